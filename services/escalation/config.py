"""The configuration of the escalation service."""

from chassis.config import StoringSettings
from identity.config import IdentitySettings


class Config(StoringSettings, IdentitySettings):
    """What every storing service is told, and where its peers answer, as `host:port`.

    A replica without `engine` takes no steps and sends no pages: it leaves them to the others.
    """

    roster_address: str
    notify_address: str
    engine: bool = True

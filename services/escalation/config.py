"""The configuration of the escalation service."""

from chassis.config import StoringSettings


class Config(StoringSettings):
    """What every storing service is told, and where its peers answer, as `host:port`."""

    roster_address: str
    notify_address: str

"""The configuration of the SLA service."""

from chassis.config import StoringSettings
from identity.config import IdentitySettings


class Config(StoringSettings, IdentitySettings):
    """What every storing service is told, who may call, and where the owners of the events that it follows answer."""

    escalation_address: str = "127.0.0.1:9002"
    notify_address: str = "127.0.0.1:9003"

"""The configuration of the SLA service."""

from chassis.config import StoringSettings
from identity.config import IdentitySettings


class Config(StoringSettings, IdentitySettings):
    """What the SLA service is told: nothing besides what every storing service is, and who may call."""

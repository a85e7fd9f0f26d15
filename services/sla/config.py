"""The configuration of the SLA service."""

from chassis.config import StoringSettings


class Config(StoringSettings):
    """What the SLA service is told: nothing besides what every storing service is."""

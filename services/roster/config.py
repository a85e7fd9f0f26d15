"""The configuration of the roster service."""

from chassis.config import StoringSettings


class Config(StoringSettings):
    """What the roster service is told: nothing besides what every storing service is."""

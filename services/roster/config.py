"""The configuration of the roster service."""

from pydantic import Field

from chassis.config import StoringSettings
from identity.config import IdentitySettings


class Config(StoringSettings, IdentitySettings):
    """What the roster service is told besides what every storing service is."""

    gap_ahead_days: int = Field(default=7, ge=0, le=366)
    """How many days ahead of a gap `roster.gap_ahead` tells of it; 0 never does."""

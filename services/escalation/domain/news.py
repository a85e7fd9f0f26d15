"""What other services tell: people who come on call, and people whom nothing reaches."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class Arrival(NamedTuple):
    """People who have come on call on a schedule at an instant, and how often alerts for them were looked for."""

    schedule_id: str
    at: datetime
    incoming: tuple[str, ...]
    looks: int = 0


class OutOfReach(NamedTuple):
    """A person whom a step meant and nothing reaches."""

    alert_id: UUID
    execution_id: UUID
    responder_id: str

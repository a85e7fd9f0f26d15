"""People who can be paged."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Responder:
    """A person who can be paged; the fields are the columns."""

    responder_id: str
    display_name: str
    time_zone: str
    created_at: datetime

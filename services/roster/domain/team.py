"""Teams of responders."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Team:
    """People who are paged together, each once, in the team's own order; the fields are the columns."""

    team_id: str
    display_name: str
    responder_ids: tuple[str, ...]
    created_at: datetime

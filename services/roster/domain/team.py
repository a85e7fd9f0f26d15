"""Teams of responders, and what being in one allows."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Team:
    """People who are paged together, each once, in the team's own order; the fields are the columns."""

    team_id: str
    display_name: str
    responder_ids: tuple[str, ...]
    created_at: datetime
    manager_ids: tuple[str, ...] = ()

    def may_edit(self, subject: str) -> bool:
        """Whether somebody may edit what belongs to the team: its members may."""
        return subject in self.responder_ids

    def may_manage(self, subject: str) -> bool:
        """Whether somebody may edit the team itself: its managers, and anybody while it has none."""
        return not self.manager_ids or subject in self.manager_ids

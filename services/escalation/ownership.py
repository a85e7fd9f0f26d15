"""Who may edit what belongs to a team: its members, whom roster knows."""

import time
from collections.abc import Collection

from chassis import auth
from chassis.errors import Conflict, Denied, DomainError, Invalid, Unavailable
from services.escalation.clients import Roster

KEPT = 5.0
"""Seconds for which roster's answer is believed."""
MOST = 10_000


class Ownership:
    """Asks roster who is in a team, and remembers the answer for a few seconds."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._known: dict[str, tuple[Collection[str] | None, float]] = {}

    async def check(self, owner: str, wanted: str | None = None) -> None:
        """Raises Denied when the caller may not edit what belongs to the team `owner`, or give it to `wanted`.

        What belongs to none may be edited by everybody. Raises Invalid when `wanted` does not exist, Unavailable when
        roster is away and it is not known who is in the team. Not for use inside a transaction: it calls roster.
        """
        await self._check_member(owner)
        if wanted and wanted != owner:
            if await self._members(wanted) is None:
                raise Invalid.field("team_id", f"the team {wanted[:64]!r} does not exist")
            await self._check_member(wanted)

    async def _check_member(self, team_id: str) -> None:
        caller = auth.caller()
        if not team_id or caller.has(auth.ADMIN):
            return
        if caller.subject not in (await self._members(team_id) or ()):
            raise Denied(
                f"{caller.subject!r} is not in the team {team_id!r}, whose it is", reason="TEAM_REQUIRED"
            )

    async def _members(self, team_id: str) -> Collection[str] | None:
        """Who is in a team; None when there is no such team."""
        known = self._known.get(team_id)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        try:
            members = await self._roster.members(team_id)
        except DomainError as error:
            raise Unavailable(
                f"who is in the team {team_id[:64]!r} is not known: {error.message}", reason="TEAMS_UNKNOWN"
            ) from None
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[team_id] = members, time.monotonic() + KEPT
        return members


def unmoved(owner: str, checked: str) -> None:
    """Raises Conflict when what was checked belongs to another team by now."""
    if owner != checked:
        raise Conflict("it has been given to another team meanwhile; try again", reason="OWNER_CHANGED")

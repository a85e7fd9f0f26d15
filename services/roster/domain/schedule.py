"""Schedules: layers of rotating people in one time zone."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from services.roster.domain.restriction import Restriction
from services.roster.domain.rotation import Rotation, Unit
from services.roster.domain.time_off import Rule

DEFAULT = "default"
"""The schedule that always exists."""
RESERVED = frozenset({"active"})
"""Ids that targets use for something else."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A rotation of people; an empty id is a turn for which it names nobody.

    Turn `turn` of the rotation belongs to the person at `place`, the others follow in their order in both directions;
    `keeper`, when set, has that turn instead: someone who left the layer in the middle of it.
    """

    name: str
    responder_ids: tuple[str, ...]
    rotation: Rotation
    restrictions: tuple[Restriction, ...] = ()
    active_days_only: bool = False
    time_off: Rule = Rule.SKIP
    turn: int = 0
    place: int = 0
    keeper: str = ""

    def person(self, turn: int) -> str:
        """Whose turn it is; empty for nobody's."""
        if self.keeper and turn == self.turn:
            return self.keeper
        return self.responder_ids[(turn - self.turn + self.place) % len(self.responder_ids)]

    def line(self, turn: int) -> tuple[str, ...]:
        """Who may take a turn: the person whose it is, then the others as they follow; nobody when it is nobody's."""
        first = self.person(turn)
        if not first:
            return ()
        place = turn - self.turn + self.place + 1
        count = len(self.responder_ids)
        following = (self.responder_ids[(place + n) % count] for n in range(count))
        return tuple(dict.fromkeys([first, *filter(None, following)]))

    def counted(self) -> Rotation:
        """The rotation as the layer counts it: by active days alone, when it says so."""
        if not (self.active_days_only and self.restrictions and self.rotation.unit is Unit.DAILY):
            return self.rotation
        active = frozenset(day for restriction in self.restrictions for day in restriction.days)
        return Rotation(self.rotation.unit, self.rotation.length, self.rotation.start, active)

    @property
    def only(self) -> str:
        """The person to whom every turn belongs; empty when there is no such person."""
        people = {*self.responder_ids, self.keeper or self.responder_ids[0]}
        return self.responder_ids[0] if len(people) == 1 else ""

    @property
    def named(self) -> frozenset[str]:
        """Everybody whom the layer may put on call."""
        return frozenset({*self.responder_ids, self.keeper}) - {""}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Who is on call when; later layers win. The fields are the columns.

    `team_id` is the team whose members may edit it; empty: anybody may.
    """

    schedule_id: str
    display_name: str
    time_zone: str
    layers: tuple[Layer, ...]
    created_at: datetime
    team_id: str = ""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which the layers are reckoned."""
        return ZoneInfo(self.time_zone)

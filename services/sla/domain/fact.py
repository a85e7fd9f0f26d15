"""What is known of one alert: facts are joined, and the order and number of the joins make no difference."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

ACK_TIMEOUT = "ACK_TIMEOUT"


@dataclass(frozen=True, slots=True)
class Fact:
    """What one event, or all of them so far, say of an alert.

    The fields from `opened_at` to `closed_by` are as they were at `version`, the newest heard of; 0 is none. The rest
    is gathered from every event: `opened` says that the alert was open or taken at any time, `acked_at` and `acked_by`
    belong to the first acknowledgement, `escalations` maps executions to their reasons, `schedules` are those that
    executions went to, `responders` the people whom an execution or a page was for, `told` those whom a page has
    reached, `reopenings` the versions at which it was opened again.
    """

    alert_id: UUID
    version: int = 0
    opened_at: datetime | None = None
    severity: str = ""
    policy_id: str = ""
    source: str = ""
    title: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    closed_at: datetime | None = None
    closed_by: str = ""
    opened: bool = False
    suppressed: bool = False
    noise_suppressed: bool = False
    acked_at: datetime | None = None
    acked_by: str = ""
    first_paged_at: datetime | None = None
    escalations: Mapping[str, str] = field(default_factory=dict)
    told: frozenset[str] = frozenset()
    schedules: frozenset[str] = frozenset()
    responders: frozenset[str] = frozenset()
    reopenings: frozenset[int] = frozenset()

    @property
    def timeout_escalated(self) -> bool:
        """Whether a level was told because nobody had acknowledged in time."""
        return ACK_TIMEOUT in self.escalations.values()


@dataclass(frozen=True, slots=True)
class Page:
    """One person reached for one escalation step, by whichever channel was first."""

    page: str
    alert_id: UUID
    responder_id: str
    sent_at: datetime


SCHEDULE = "oncall://"
ANY_SCHEDULE = "active"


def schedules_of(targets: Iterable[str]) -> frozenset[str]:
    """The schedules that targets name: `oncall://db` and `oncall://db/next`, and not `oncall://active`."""
    named = {target.removeprefix(SCHEDULE).split("/")[0] for target in targets if target.startswith(SCHEDULE)}
    return frozenset(named - {ANY_SCHEDULE, ""})


def join(one: Fact, other: Fact) -> Fact:
    """What two facts of the same alert say together: commutative, associative and idempotent."""
    newest = one if one.version >= other.version else other
    acked_at, acked_by = _earlier((one.acked_at, one.acked_by), (other.acked_at, other.acked_by))
    first_paged_at, _ = _earlier((one.first_paged_at, ""), (other.first_paged_at, ""))
    return replace(
        newest,
        opened=one.opened or other.opened,
        suppressed=one.suppressed or other.suppressed,
        noise_suppressed=one.noise_suppressed or other.noise_suppressed,
        acked_at=acked_at,
        acked_by=acked_by,
        first_paged_at=first_paged_at,
        escalations={**one.escalations, **other.escalations},
        told=one.told | other.told,
        schedules=one.schedules | other.schedules,
        responders=one.responders | other.responders,
        reopenings=one.reopenings | other.reopenings,
    )


def joined(facts: Iterable[Fact]) -> list[Fact]:
    """One fact per alert, in the order of their ids."""
    known: dict[UUID, Fact] = {}
    for fact in facts:
        before = known.get(fact.alert_id)
        known[fact.alert_id] = fact if before is None else join(before, fact)
    return sorted(known.values(), key=lambda fact: fact.alert_id)


def _earlier(
    one: tuple[datetime | None, str], other: tuple[datetime | None, str]
) -> tuple[datetime | None, str]:
    """The pair with the earlier instant, or the only one; of equal instants the one with the smaller text."""
    if one[0] is None or other[0] is None:
        return other if one[0] is None else one
    return min((one[0], one[1]), (other[0], other[1]))


def earliest(pages: Iterable[Page]) -> list[Page]:
    """One page per step and person, the first, in the order of the keys that they are stored by."""
    known: dict[tuple[str, str], Page] = {}
    for page in pages:
        before = known.setdefault((page.page, page.responder_id), page)
        if page.sent_at < before.sent_at:
            known[page.page, page.responder_id] = page
    return [known[key] for key in sorted(known)]

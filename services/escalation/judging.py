"""What keeps alerts quiet, decided under locks: silences, inhibition, and who stands behind whom."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.escalation.domain.alert import Alert, Quiet
from services.escalation.domain.grouping import Group, GroupKey, firing, in_front, inhibits
from services.escalation.domain.noise import AGGREGATIONS, INHIBITIONS, Side
from services.escalation.domain.rules import Rules, Standing
from services.escalation.storage import alerts as storage
from services.escalation.storage import noise
from services.escalation.storage import triggers as kept

SETTLE = timedelta(seconds=5)
"""After how long a review is repeated: by then every replica decides by the rules as they are."""


class Judge:
    """Decides in one transaction: groups are locked first, then alerts, each in order, so nobody waits in a circle."""

    def __init__(self, conn: AsyncConnection, now: datetime) -> None:
        self._conn = conn
        self._now = now
        self.alerts: dict[UUID, Alert] = {}
        self._groups: dict[GroupKey, Group] = {}
        self._led: dict[GroupKey, Group] = {}
        self._inhibitors: dict[Side, UUID] = {}
        self._sources: list[tuple[UUID, Side]] = []

    async def lock(
        self, standings: Iterable[Standing], *, ids: Iterable[UUID] = (), keys: Iterable[str] = ()
    ) -> dict[UUID, Alert]:
        """Locks the groups of alerts with these standings, and the alerts with these ids and dedup keys.

        With them whoever stands or may stand in front: none of those closes before the caller commits.
        """
        standings = list(standings)
        self._groups = await kept.lock_groups(self._conn, (s.group for s in standings if s.group is not None))
        await self.look(standings)
        fronts = [group.parent_alert_id for group in self._groups.values()]
        wanted = [*fronts, *self._inhibitors.values(), *ids]
        self.alerts = await storage.lock(self._conn, wanted, keys=keys)
        return self.alerts

    async def look(self, standings: Iterable[Standing]) -> None:
        """Finds out who inhibits alerts with these standings, without a lock."""
        targets = (side for standing in standings for side in standing.targets)
        self._inhibitors = await noise.inhibitors(self._conn, targets)

    async def presume(self, standing: Standing) -> None:
        """Finds out who stands, or would stand, in front of an alert and who inhibits it, without a lock."""
        await self.look([standing])
        if standing.group is not None:
            self._groups = await kept.groups_of(self._conn, [standing.group])
            fronts = [g.parent_alert_id for g in self._groups.values() if g.parent_alert_id is not None]
            self.alerts = {one: await storage.get(self._conn, one) for one in fronts}

    def overruled(self, standing: Standing) -> Quiet | None:
        """What keeps an alert quiet that would be open otherwise, whatever group it belongs to."""
        if standing.silence is not None:
            return standing.silence
        for side in standing.targets:
            if (source := self._source(side)) is not None:
                return Quiet(INHIBITIONS + side.rule_id, source)
        return None

    def quiet(self, standing: Standing, alert: Alert | None = None) -> Quiet | None:
        """What keeps an alert quiet, a new one or one that is judged anew; None when nothing does."""
        return self.overruled(standing) or self._behind(standing, alert)

    def took(self, standing: Standing, alert: Alert) -> None:
        """The alert is as it was decided: when it fires, it stands for its group, and for what it inhibits."""
        self.alerts[alert.alert_id] = alert
        self._sources += [(alert.alert_id, side) for side in standing.sources]
        if standing.group is not None and firing(alert):
            self._led[standing.group] = Group(alert.alert_id, self._now)

    async def write(self) -> dict[str, datetime]:
        """Writes who stands for whom; new alerts must have been written before. Answers the reviews that are needed."""
        await kept.write_groups(self._conn, self._led)
        await noise.add_sources(self._conn, self._sources)
        loud = {side.rule_id for one, side in self._sources if inhibits(self.alerts[one])}
        return {INHIBITIONS + name: self._now + noise.GATHER for name in loud}

    def _source(self, side: Side) -> UUID | None:
        """An alert that inhibits this one: one that was, else one of this very transaction."""
        known = self._inhibitors.get(side)
        if known is not None and (known not in self.alerts or inhibits(self.alerts[known])):
            return known
        for alert_id, source in self._sources:
            if source[:2] == side[:2] and not (source.both and side.both) and inhibits(self.alerts[alert_id]):
                return alert_id
        return None

    def _behind(self, standing: Standing, alert: Alert | None) -> Quiet | None:
        """One that stands in its group already stays in it; another joins within the window."""
        if standing.group is None:
            return None
        by = AGGREGATIONS + standing.group.rule_id
        group = self._led.get(standing.group) or self._groups.get(standing.group, Group())
        parent = self.alerts.get(group.parent_alert_id) if group.parent_alert_id else None
        joined = alert is not None and alert.suppressed_by == by
        front = in_front(group, parent, window=None if joined else standing.window, now=self._now)
        if front is None or (alert is not None and front == alert.alert_id):
            return None
        return Quiet(by, front)


async def overruled(
    conn: AsyncConnection, rules: Rules, alerts: Collection[Alert], now: datetime
) -> tuple[dict[UUID, Quiet], dict[str, datetime]]:
    """Which of these alerts, that the caller has locked, a silence or an inhibition keeps quiet at `now`.

    Whoever inhibits them is not locked: the reviews answered look again later, in case it has closed at this moment.
    """
    standings = {alert.alert_id: rules.standing(alert.facts(), now) for alert in alerts}
    judge = Judge(conn, now)
    await judge.look(standings.values())
    found = {
        alert_id: quiet
        for alert_id, standing in standings.items()
        if (quiet := judge.overruled(standing)) is not None
    }
    fronts = {quiet.parent_alert_id for quiet in found.values() if quiet.parent_alert_id is not None}
    return found, {f"{noise.ALERTS}{front}": now + SETTLE for front in fronts}

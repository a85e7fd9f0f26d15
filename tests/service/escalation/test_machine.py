"""Whatever is done to an alert, in any order, is what a model says that keeps a few numbers and a list of pages."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chassis.errors import Refused
from chassis.ids import uuid7
from chassis.wire import duration
from cli.stack.nats import Nats
from tests.fixtures.eventually import eventually
from tests.fixtures.postgres import TestDatabase
from tests.service.escalation.noises import expire, reviewed, silence
from tests.service.escalation.test_engine import taken
from tests.service.escalation.world import World
from tocsin.escalation.v1 import alert_service_pb2 as calls
from tocsin.escalation.v1.alert_pb2 import Alert
from tocsin.escalation.v1.policy_pb2 import RepeatTrigger

Page: TypeAlias = tuple[int, str, list[str]]
SECOND = timedelta(seconds=1)
WAITS = (60, 120, 60)
REPEAT, THRESHOLD, WINDOW = 1, 3, 60
FORGOTTEN, NAP = 600, 300
QUIET, SOON, HOURLY, HOUR = 200, 40, 90, 3600
"""For how long a silence lasts, how soon one begins that is made ahead, how long each window is of one that recurs."""
SETTLE = 5
"""After so long a silence is looked at for the second time."""
MOST = 4
"""Silences in one play."""
CLOSE_BY = 5
"""Seconds before something is due in which nothing is done: the clocks of model and service differ by less."""


@dataclass
class Silence:
    """From a start until an end; one that recurs begins anew every hour until then. Looked at when it is `ready`."""

    name: str
    start: float
    end: float
    ready: float | None
    recurs: bool = False
    settled: bool = False

    def next_turn(self, now: float) -> float | None:
        """When it next begins or ends to silence."""
        turns = [self.start, self.end]
        if self.recurs:
            turns += [self.start + HOUR * n + after for n in range(100) for after in (0, HOURLY)]
        return min((at for at in turns if now < at <= self.end), default=None)

    def in_force(self, now: float) -> bool:
        """Whether it silences."""
        return self.start <= now < self.end and (not self.recurs or (now - self.start) % HOUR < HOURLY)

    def looked_at(self, now: float) -> None:
        """It is looked at again when it changes, and once more soon after it did."""
        at = self.next_turn(now)
        if self.settled:
            self.ready, self.settled = at, False
        else:
            self.ready, self.settled = min(now + SETTLE, at or now + SETTLE), True


@dataclass
class Model:
    """What is known of an alert whose levels mean whoever is on call, then bob, then cy."""

    on_call: str
    now: float = 0
    state: str = "OPEN"
    pages: list[Page] = field(default_factory=list)
    due: tuple[float, int, int, str] | None = None
    asleep_until: float | None = None
    acked_at: float = 0
    level: int = 0
    triggers: list[float] = field(default_factory=list)
    target: str = ""
    hurry: bool = False
    silences: list[Silence] = field(default_factory=list)
    by: Silence | None = None

    def start(self) -> None:
        """The first level, at once."""
        self.due, self.target, self.hurry = (self.now, 1, 0, "INITIAL"), "", False

    def next_due(self) -> float | None:
        """When something happens by itself."""
        dues = [self.due_at(), *(one.ready for one in self.silences if self.state != "CLOSED")]
        return min((at for at in dues if at is not None), default=None)

    def due_at(self) -> float | None:
        """When it does something by itself, silences left aside."""
        if self.asleep_until is not None:
            return self.asleep_until
        if self.state == "ACKED":
            return self.acked_at + FORGOTTEN
        return self.due[0] if self.state == "OPEN" and self.due else None

    def run(self) -> None:
        """Everything that is due happens, now."""
        for one in self.silences:
            if one.ready is not None and one.ready <= self.now:
                self.look(one)
        while (due := self.due_at()) is not None and due <= self.now:
            if self.asleep_until is not None or self.state == "ACKED":
                self.reopen()
            else:
                self._step()

    def _step(self) -> None:
        assert self.due is not None
        _, level, round_, reason = self.due
        if reason != "MANUAL" and self.quiet():
            self.suppress()
            return
        if level > len(WAITS) and not self.target:
            if round_ >= REPEAT:
                self.due = None
                return
            level, round_ = 1, round_ + 1
        wait = WAITS[min(level, len(WAITS)) - 1]
        people = {1: self.on_call, 2: "bob", 3: "cy"}[level] if not self.target else self.target
        self.pages.append((level, reason, [people]))
        self.level = level
        follows = "REPEAT_TRIGGER" if self.hurry else "ACK_TIMEOUT"
        self.due = (self.now if self.hurry else self.now + wait, level + 1, round_, follows)
        self.target, self.hurry = "", False

    def quiet(self) -> list[Silence]:
        """What silences it now, the first by name first."""
        return sorted((one for one in self.silences if one.in_force(self.now)), key=lambda one: one.name)

    def suppress(self) -> None:
        """It falls silent."""
        self.state, self.by, self.due, self.target, self.hurry = (
            "SUPPRESSED",
            self.quiet()[0],
            None,
            "",
            False,
        )

    def look(self, silence: Silence) -> None:
        """A silence pauses what is open, and frees what it has kept quiet; what others keep quiet they keep."""
        if self.state == "OPEN" and self.asleep_until is None and silence.in_force(self.now):
            self.suppress()
        if self.state == "SUPPRESSED" and self.by is silence and not silence.in_force(self.now):
            if self.quiet():
                self.by = self.quiet()[0]
            else:
                self.reopen()
        silence.looked_at(self.now)

    def reopen(self) -> None:
        """From the first level."""
        self.state, self.asleep_until, self.by = "OPEN", None, None
        self.start()

    def trigger(self) -> None:
        """One more trigger; so many make the next level hurry."""
        if self.state != "OPEN" or self.asleep_until is not None:
            return
        self.triggers = [at for at in self.triggers if at > self.now - WINDOW] + [self.now]
        if len(self.triggers) < THRESHOLD:
            return
        self.triggers = []
        if self.due is None or (self.due[1] > len(WAITS) and self.due[2] >= REPEAT and not self.target):
            self.due, self.target, self.hurry = (self.now, 1, REPEAT, "REPEAT_TRIGGER"), "", False
        elif self.due[0] <= self.now:
            self.hurry = True
        else:
            self.due = (self.now, *self.due[1:3], "REPEAT_TRIGGER")

    def hand_over(self, person: str) -> None:
        """Somebody else is on call; an open alert at the first level goes there."""
        self.on_call = person
        if self.state == "OPEN" and self.asleep_until is None and self.at_first:
            self.pages.append((1, "SHIFT_HANDOVER", [person]))

    @property
    def at_first(self) -> bool:
        """Whether the last step that was no handover went to the schedule."""
        steps = [page for page in self.pages if page[1] != "SHIFT_HANDOVER"]
        return bool(steps) and steps[-1][0] == 1 and steps[-1][2] != ["eve"]


class Play:
    """One alert on the stage, and its model."""

    def __init__(self, stage: World, name: str) -> None:
        self.stage = stage
        self.name = name
        self.begin = stage.now
        self.model = Model("ann")
        self.model.triggers.append(0)
        self.alert = Alert()
        self.schedule = f"s-{name}"
        self.handover: tuple[datetime, str, str, Any] | None = None

    @property
    def target(self) -> str:
        """The schedule as a target."""
        return f"oncall://{self.schedule}"

    async def open(self) -> None:
        """Makes the policy, and opens the alert."""
        targets = ([self.target], ["responder://bob"], ["responder://cy"])
        self.stage.roster.on_call[self.target] = ["ann"]
        await self.stage.here.policy(
            self.name,
            *zip(targets, map(float, WAITS), strict=True),
            repeat_count=REPEAT,
            repeat_trigger=RepeatTrigger(threshold=THRESHOLD, window=duration(WINDOW * SECOND)),
            reopen_after=duration(FORGOTTEN * SECOND),
        )
        self.begin = self.stage.now
        self.alert = await self.stage.here.open(
            self.name, policy_id=self.name, dedup_key=self.name, labels={"play": self.name}
        )
        self.model.start()
        await self.agree()

    async def agree(self) -> None:
        """What is due happens on both sides, and then they are the same."""
        self.model.now = (self.stage.now - self.begin).total_seconds()
        self.model.run()
        await reviewed(self.stage)
        await self.stage.here.run()

        async def same() -> bool:
            found = taken(await self.stage.here.steps(self.alert))
            assert found == self.model.pages
            return True

        await eventually(same)
        now = await self.stage.here.get(self.alert)
        assert Alert.State.Name(now.state) == self.model.state
        assert now.HasField("snoozed_until") == (self.model.asleep_until is not None)
        assert now.HasField("exhausted_at") == (self.model.due_at() is None and self.model.state == "OPEN")
        if self.model.state != "CLOSED":
            assert now.suppressed_by == (f"silence-rules/{self.model.by.name}" if self.model.by else "")

    async def wait(self, seconds: float) -> None:
        """Time passes; never so little that it is not clear what has happened by then."""
        self.stage.advance(seconds=seconds)
        await self.agree()
        due = self.model.next_due()
        if due is not None and due - self.model.now < CLOSE_BY:
            await self.wait(2 * CLOSE_BY)

    async def do(self, act: str) -> None:
        """One thing, on both sides."""
        await self.wait(0)
        await ACTS[act](self)
        await self.agree()

    async def trigger(self) -> None:
        """It comes again; a closed alert is not the one that does."""
        if self.model.state != "CLOSED":
            await self.stage.here.trigger(self.name, dedup_key=self.name)
            self.model.trigger()

    async def acknowledge(self) -> None:
        """Somebody takes it."""
        request = calls.AcknowledgeAlertRequest(alert_id=self.alert.alert_id)
        if await self.allowed(self.stage.here.alerts.AcknowledgeAlert(request), "CLOSED"):
            if self.model.state != "ACKED":
                self.model.acked_at, self.model.asleep_until, self.model.by = self.model.now, None, None
            self.model.state = "ACKED"

    async def close(self) -> None:
        """It is over."""
        await self.stage.here.close(self.alert)
        self.model.state, self.model.asleep_until = "CLOSED", None

    async def reopen(self) -> None:
        """Somebody opens it again."""
        request = calls.ReopenAlertRequest(alert_id=self.alert.alert_id)
        if await self.allowed(self.stage.here.alerts.ReopenAlert(request), "CLOSED", "SUPPRESSED") and (
            self.model.state == "ACKED" or self.model.asleep_until is not None
        ):
            self.model.reopen()

    async def snooze(self) -> None:
        """It sleeps."""
        request = calls.SnoozeAlertRequest(alert_id=self.alert.alert_id, duration=duration(NAP * SECOND))
        if await self.allowed(self.stage.here.alerts.SnoozeAlert(request), "CLOSED", "SUPPRESSED"):
            self.model.asleep_until = self.model.now + NAP

    async def escalate(self) -> None:
        """The next level, at once."""
        request = calls.EscalateAlertRequest(alert_id=self.alert.alert_id)
        if await self.allowed(self.stage.here.alerts.EscalateAlert(request), "CLOSED", "SUPPRESSED"):
            model = self.model
            model.state, model.asleep_until, model.target, model.hurry = "OPEN", None, "", False
            model.due = (model.now, model.level % len(WAITS) + 1, 0, "MANUAL")

    async def reassign(self) -> None:
        """It goes to eve."""
        request = calls.ReassignAlertRequest(alert_id=self.alert.alert_id, target="responder://eve")
        if await self.allowed(self.stage.here.alerts.ReassignAlert(request), "CLOSED", "SUPPRESSED"):
            model = self.model
            model.state, model.asleep_until, model.target, model.hurry = "OPEN", None, "eve", False
            model.due = (model.now, max(1, model.level), 0, "MANUAL")

    async def silence(self, *, starts_in: float = 0, recurs: bool = False) -> None:
        """A silence, from now on or ahead, once or every hour."""
        number = len(self.model.silences)
        if number == MOST:
            return
        name, start = f"{self.name}-{9 - number}", self.model.now + starts_in
        await silence(
            self.stage,
            name,
            f'play="{self.name}"',
            start=self.begin + start * SECOND,
            lasts=(HOURLY if recurs else QUIET) * SECOND,
            every=f"FREQ=DAILY;BYHOUR={','.join(map(str, range(24)))}" if recurs else "",
        )
        end = 1e9 if recurs else start + QUIET
        self.model.silences.append(Silence(name, start, end, self.model.now, recurs))

    async def expire(self) -> None:
        """The silence that was made first ends."""
        if self.model.silences:
            first, now = self.model.silences[0], self.model.now
            await expire(self.stage, first.name)
            if first.end > now:
                first.start, first.end, first.recurs = min(first.start, now), now, False
            first.ready, first.settled = now, False

    async def hand_over(self) -> None:
        """Somebody else comes on call."""
        before = self.model.on_call
        after = "ann" if before == "ben" else "ben"
        self.stage.roster.on_call[self.target] = [after]
        self.handover = (self.stage.now, before, after, uuid7())
        await self.repeat_handover()
        self.model.hand_over(after)

    async def repeat_handover(self) -> None:
        """The event comes, perhaps again and perhaps late, under its id or another."""
        if self.handover is not None:
            at, before, after, event_id = self.handover
            for one in (event_id, uuid7()):
                await self.stage.hand_over(self.schedule, before, after, at=at, event_id=one)

    async def allowed(self, call: Any, *but: str) -> bool:
        """Whether the call is not refused, as it must be in the states of `but`."""
        try:
            await call
        except Refused:
            assert self.model.state in but
            return False
        assert self.model.state not in but
        return True


ACTS: dict[str, Callable[[Play], Any]] = {
    "trigger": Play.trigger,
    "trigger again": Play.trigger,
    "acknowledge": Play.acknowledge,
    "close": Play.close,
    "reopen": Play.reopen,
    "snooze": Play.snooze,
    "escalate": Play.escalate,
    "reassign": Play.reassign,
    "hand over": Play.hand_over,
    "the handover comes again": Play.repeat_handover,
    "silence": Play.silence,
    "silence ahead": lambda play: play.silence(starts_in=SOON),
    "silence again and again": lambda play: play.silence(starts_in=SOON, recurs=True),
    "expire": Play.expire,
    "an hour": lambda play: play.wait(HOUR - 20),
    "a while": lambda play: play.wait(31),
    "a wait": lambda play: play.wait(67),
    "a long time": lambda play: play.wait(307),
}
EXAMPLES = 8


def test_whatever_is_done_the_model_knows_it(database: TestDatabase, broker: Nats) -> None:
    """Verbs, triggers, handovers that come twice and late, silences and time, in any order."""
    with asyncio.Runner() as runner:
        stage = World(database, broker)
        runner.run(stage.__aenter__())
        try:

            @settings(
                max_examples=EXAMPLES,
                derandomize=True,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.explicit, Phase.generate],
            )
            @given(st.lists(st.sampled_from(sorted(ACTS)), min_size=4, max_size=12))
            def play(acts: list[str]) -> None:
                runner.run(played(stage, acts))

            play()
        finally:
            runner.run(stage.__aexit__(None, None, None))


async def played(stage: World, acts: list[str]) -> None:
    """One alert from its opening on."""
    one = Play(stage, f"p{uuid7().hex[-12:]}")
    await one.open()
    for act in acts:
        await one.do(act)

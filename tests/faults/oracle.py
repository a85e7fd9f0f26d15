"""The oracle: what is known outside of the system to have happened, and whether the system did what that asks for.

Everything that was promised or seen is on disk before anybody goes on, so it can be read whatever becomes of a test:
each trigger and verb that was answered with 2xx, and each page that came.
"""

import asyncio
import json
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import aiohttp

from cli.receiver import Received
from tests.faults.victims import Victims
from tests.fixtures.eventually import eventually
from tests.system.world import BASE, Json, World, opened, rfc3339

EVERY_SERVICE = ("/oncall/responders", "/alerts", "/routes", "/sla/overview")
STEP = 4.0
"""Seconds that each of the two levels may take."""
RATE = 30.0
"""Alerts a second, unless a test wants more."""
CALLERS = 8
"""Triggers under way at the same time."""
PATIENCE = 120.0
"""Seconds for which a sender tries to hand in what it has."""
LATEST = 10
"""Alerts that are told of when pages came late."""
SKEW = timedelta(milliseconds=250)
"""By which two clocks of one stack may differ."""


class Fate(Enum):
    """What is done with an alert: people take one half in time or never, sources close some, a silence swallows some."""

    TAKEN = "ACKED"
    CLOSED = "CLOSED"
    SILENCED = "SUPPRESSED"
    NEVER = "OPEN"


FATES = (Fate.NEVER, Fate.TAKEN, Fate.NEVER, Fate.CLOSED, Fate.TAKEN, Fate.SILENCED)


class Ledger:
    """Lines of JSON, each on the disk when `write` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)

    def write(self, what: str, **line: Any) -> None:
        """Adds a line with the time."""
        self._file.write(json.dumps({"what": what, "at": time.time(), **line}).encode() + b"\n")
        os.fdatasync(self._file.fileno())


class Sworn(list[Received]):
    """Pages that are on the disk before their sender is answered."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def append(self, page: Received) -> None:
        attempt = 1 + sum(page.webhook_id == earlier.webhook_id for earlier in self[-200:])
        self._ledger.write("page", route_log_id=page.webhook_id, attempt=attempt)
        super().append(page)


@dataclass
class Oracle:
    """One test's load on one stack, and what came of it."""

    world: World
    ledger: Ledger
    ada: str
    bob: str
    policy: str
    killed_at: Sequence[float] = ()
    """Monotonic instants at which something was killed."""
    promised: dict[str, Fate] = field(default_factory=dict)
    """Alerts that were answered with 2xx."""
    accepted_at: dict[str, float] = field(default_factory=dict)
    """Monotonic instants of these answers."""
    rate: float = RATE
    """Alerts that are offered a second."""
    answered_in: list[float] = field(default_factory=list)
    """Seconds that accepted triggers and verbs took, each from its first attempt."""
    refusals: Counter[int] = field(default_factory=Counter)
    """Answers to triggers that were no 2xx; 0 is no answer."""

    @asynccontextmanager
    async def load(self, *, rate: float = RATE) -> AsyncIterator[None]:
        """Alerts come in, `rate` a second at most, and people and sources do what is their fate, until the block ends.

        Ends when every trigger and verb that was begun has been answered with 2xx.
        """
        self.rate = rate
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            numbers = iter(range(1_000_000))
            for _ in range(CALLERS):
                tasks.create_task(self._call(numbers, over, tasks))
            yield
            over.set()

    async def more(self, count: int, timeout: float = PATIENCE) -> None:
        """Waits until so many more alerts were accepted."""
        want = len(self.promised) + count
        await eventually(lambda: len(self.promised) >= want, timeout=timeout)

    async def back_after(self, since: float, *, fault_at: float | None = None) -> float:
        """Seconds from an instant until as many alerts are accepted in a second as before the fault.

        Nine tenths of the mean of the four seconds before it, that is; the fault is at that instant unless said otherwise.
        """
        begun = since if fault_at is None else fault_at
        usual = sum(begun - 4 <= at < begun for at in self.accepted_at.values()) / 4

        def back() -> float:
            accepted = sorted(at for at in self.accepted_at.values() if at > since)
            for first, start in enumerate(accepted):
                if sum(at < start + 1 for at in accepted[first:]) >= 0.9 * usual:
                    return start - since
            return 0.0

        return await eventually(back, timeout=PATIENCE)

    def median_wait(self, last: int = 0) -> float:
        """The median of seconds from acceptance to the first page, of the alerts accepted last or of all."""
        return median(self._waits(list(self.promised)[-last:]).values())

    def _waits(self, alerts: Iterable[str]) -> dict[str, float]:
        first: dict[str, float] = {}
        for page in self.world.pages():
            first.setdefault(page.data["alert"]["alert_id"], page.at)
        wanted = set(alerts)
        return {
            alert_id: max(0.0, at - self.accepted_at[alert_id])
            for alert_id, at in first.items()
            if alert_id in wanted and alert_id in self.accepted_at
        }

    async def _call(self, numbers: Iterator[int], over: asyncio.Event, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        for number in numbers:
            due = loop.time() + CALLERS / self.rate
            fate = FATES[number % len(FATES)]
            alert_id = await self._trigger(number, fate)
            if fate in (Fate.TAKEN, Fate.CLOSED):
                tasks.create_task(self._verb(alert_id, fate, random.uniform(0, 1.5 * STEP)))
            if over.is_set():
                return
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _trigger(self, number: int, fate: Fate) -> str:
        body = {
            "title": f"load {number}",
            "severity": "CRITICAL",
            "source": self.world.mark,
            "policy_id": self.policy,
            "request_id": self.world.own(f"load-{number}"),
            "labels": {"quiet": self.world.mark} if fate is Fate.SILENCED else {},
        }
        answer = await self.accepted(f"{BASE}/alerts", body)
        alert_id = str(answer["alert"]["alert_id"])
        self.ledger.write("accepted", alert_id=alert_id, fate=fate.name)
        self.promised[alert_id] = fate
        self.accepted_at[alert_id] = time.monotonic()
        return alert_id

    async def _verb(self, alert_id: str, fate: Fate, delay: float) -> None:
        await asyncio.sleep(delay)
        verb = "acknowledge" if fate is Fate.TAKEN else "close"
        await self.accepted(f"{BASE}/alerts/{alert_id}:{verb}", {})
        self.ledger.write(verb, alert_id=alert_id)

    async def accepted(self, path: str, body: object) -> Json:
        """A call that is repeated while the answer is that somebody is away: what a careful sender does."""

        async def once() -> Json | None:
            try:
                status, answer = await self.world.call("POST", path, body)
            except (aiohttp.ClientError, TimeoutError):
                self.refusals[0] += 1
                return None
            if status == 200:
                return answer
            self.refusals[status] += 1
            assert status in (503, 504), f"{path} -> {status} {answer}"
            return None

        began = time.monotonic()
        while (answer := await once()) is None:
            assert time.monotonic() < began + PATIENCE, f"{path} was not accepted within {PATIENCE:g} s"
            await asyncio.sleep(0.1)
        self.answered_in.append(time.monotonic() - began)
        return answer

    async def judge(self, *, first_page: float, settle: float = 90.0) -> "Verdict":
        """Waits until every alert has ended as it must, then checks N1 to N4; `first_page` bounds N3 in seconds.

        Raises AssertionError with what is lost, doubled, late, or told after it was taken.
        """
        stories = await eventually(self._ended, timeout=settle)
        self._once(stories)
        self._none_after_it_was_taken(stories)
        verdict = self._verdict()
        assert verdict.p99 <= first_page, f"first pages came late: {verdict}\n{await self._latest(stories)}"
        await eventually(self._counted, timeout=settle)
        return verdict

    async def _ended(self) -> "list[Story]":
        """N1: each alert is in its last state, with its trail; who had to be told was told."""
        told = {(page.data["alert"]["alert_id"], page.data["responder_id"]) for page in self.world.pages()}
        stories = await self._stories()
        missing = [story for story in stories if not story.whole(told, (self.ada, self.bob))]
        assert not missing, f"{len(missing)} of {len(stories)} alerts have not ended, as {missing[:2]}"
        return stories

    async def _stories(self) -> "list[Story]":
        gate = asyncio.Semaphore(16)

        async def one(alert_id: str) -> Story:
            async with gate:
                alert = await self.world.alert(alert_id)
                steps = (await self.world.ok("GET", f"/alerts/{alert_id}/escalations"))["executions"]
                actions = (await self.world.ok("GET", f"/alerts/{alert_id}/actions"))["actions"]
            return Story(self.promised[alert_id], alert, steps, actions)

        try:
            return await asyncio.gather(*(one(alert_id) for alert_id in self.promised))
        except aiohttp.ClientError as error:
            raise AssertionError(f"the stack does not answer: {error}") from None

    def _once(self, stories: "Sequence[Story]") -> None:
        """N2: one alert a request, one execution a level, one action a verb, one webhook id a page."""
        for story in stories:
            levels = [step["level"] for step in story.steps]
            assert levels == sorted(set(levels)), f"a level twice: {story}"
            assert len(story.actions) == (story.fate in (Fate.TAKEN, Fate.CLOSED)), f"a verb twice: {story}"
            assert int(story.alert["trigger_count"]) == 1, story
        ids = defaultdict(set)
        for page in self.world.pages():
            data = page.data
            ids[data["alert"]["alert_id"], data["responder_id"], data["level"]].add(page.webhook_id)
        doubled = {key: found for key, found in ids.items() if len(found) > 1}
        assert not doubled, f"pages under two ids: {doubled}"
        strangers = {alert_id for alert_id, _, _ in ids} - set(self.promised)
        assert not strangers, f"pages of alerts that nobody was promised: {strangers}"

    def _none_after_it_was_taken(self, stories: "Sequence[Story]") -> None:
        """N4: no step was decided after the verb that ended it."""
        for story in stories:
            ended = story.alert["closed_at"] or story.alert["acked_at"]
            late = [step for step in story.steps if ended and instant(step["at"]) > instant(ended) + SKEW]
            assert not late, f"told after it was taken at {ended}: {late}, {story}"

    async def _counted(self) -> bool:
        """N2, for the figures: each alert and each verb counts once."""
        fates = Counter(self.promised.values())
        found = await self.world.ok("GET", f"/sla/overview?source={self.world.mark}")
        figures = {name: found[name] for name in ("total_alerts", "acked_alerts", "closed_alerts")}
        assert figures == {
            "total_alerts": len(self.promised) - fates[Fate.SILENCED],
            "acked_alerts": fates[Fate.TAKEN],
            "closed_alerts": fates[Fate.CLOSED],
        }
        return True

    async def _latest(self, stories: "Sequence[Story]") -> str:
        """What became when of the alerts that waited longest for their first page."""
        waits = self._waits(self.promised)
        by_id = {story.alert["alert_id"]: story for story in stories}
        latest = sorted(waits, key=waits.__getitem__, reverse=True)[:LATEST]
        return "\n".join([await self._told_of(by_id[alert_id], waits[alert_id]) for alert_id in latest])

    async def _told_of(self, story: "Story", waited: float) -> str:
        """An alert's steps and the ways that were tried, in seconds after its acceptance, and the kills meanwhile."""
        alert_id = story.alert["alert_id"]
        accepted = self.accepted_at[alert_id]
        wall = time.time() - time.monotonic() + accepted

        def after(text: str | None) -> str:
            return f"{instant(text).timestamp() - wall:+.1f}" if text else "never"

        routes = (await self.world.ok("GET", f"/routes?alert_id={alert_id}"))["routes"]
        return "\n  ".join(
            [
                f"{alert_id} waited {waited:.1f} s, {story.fate}",
                f"killed {[round(at - accepted, 1) for at in self.killed_at if 0 < at - accepted < waited]}",
                *(f"level {step['level']} {after(step['at'])}" for step in story.steps),
                *(
                    f"{route['channel']} made {after(route['created_at'])} sent {after(route['sent_at'])}"
                    f" attempts {route['attempts']} {route['last_error']}".rstrip()
                    for route in routes
                ),
            ]
        )

    def _verdict(self) -> "Verdict":
        waits = sorted(self._waits(self.promised).values())
        sent = Counter(page.webhook_id for page in self.world.pages())
        return Verdict(
            alerts=len(self.promised),
            pages=len(sent),
            repeats=sum(sent.values()) - len(sent),
            p50=waits[len(waits) // 2],
            p99=quantiles(waits, n=100, method="inclusive")[-1],
            longest=waits[-1],
            refusals=dict(self.refusals),
        )


@dataclass(frozen=True, slots=True)
class Story:
    """What the system says of one alert."""

    fate: Fate
    alert: Json
    steps: list[Json]
    actions: list[Json]

    def whole(self, told: set[tuple[str, str]], people: tuple[str, str]) -> bool:
        """Whether it has ended as it must, with its trail, and reached everybody that it names."""
        if self.alert["state"] != self.fate.value:
            return False
        match self.fate:
            case Fate.TAKEN | Fate.CLOSED:
                return len(self.actions) >= 1
            case Fate.SILENCED:
                return not self.steps
            case Fate.NEVER:
                named = [step["recipients"] for step in self.steps]
                reached = {(self.alert["alert_id"], person) for person in people} <= told
                return reached and named == [[person] for person in people]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was measured: seconds from the 2xx to the first page, and pages that came more than once under their id."""

    alerts: int
    pages: int
    repeats: int
    p50: float
    p99: float
    longest: float
    refusals: dict[int, int]


def instant(text: str) -> datetime:
    """An instant as the API writes it."""
    return datetime.fromisoformat(text)


@asynccontextmanager
async def beside(victims: Victims, directory: Path) -> AsyncIterator[Oracle]:
    """An oracle on a stack, once that is well: whoever is on call, then somebody by name, and a silence."""
    async with opened(victims.state) as world:
        await well(world)
        ledger = Ledger(directory / "ledger.jsonl")
        world.receiver.pages = Sworn(ledger)
        schedule = await world.schedule()
        ada, bob = await world.responder("ada", on=schedule), await world.responder("bob")
        policy = await world.policy((f"oncall://{schedule}", STEP), (f"responder://{bob}", STEP))
        now = datetime.now(UTC)
        silence = {
            "matchers": [f'quiet="{world.mark}"'],
            "starts_at": rfc3339(now - timedelta(minutes=1)),
            "ends_at": rfc3339(now + timedelta(hours=1)),
            "comment": "a test",
        }
        await world.ok("POST", "/silence-rules", silence)
        yield Oracle(world, ledger, ada, bob, policy, victims.killed_at)


async def well(world: World) -> None:
    """Waits until every service answers through the gateway."""
    for path in EVERY_SERVICE:

        async def answers(path: str = path) -> bool:
            try:
                return (await world.call("GET", BASE + path))[0] == 200
            except aiohttp.ClientError:
                return False

        await eventually(answers, timeout=60)

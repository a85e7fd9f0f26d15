"""The preview says what the engine then does: with handovers, turns, gaps and whatever else is on the way."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from chassis.errors import Invalid, NotFound, Unavailable
from chassis.ids import uuid7
from chassis.wire import duration, instant, timestamp
from tests.fixtures.eventually import eventually
from tests.service.escalation.noises import aggregate, becomes, expire, inhibit, reviewed, silence
from tests.service.escalation.test_engine import exhausted
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_pb2 import Alert, EscalationExecution, Severity
from tocsin.escalation.v1.policy_pb2 import EscalationPolicy, EscalationStep, StepCondition
from tocsin.escalation.v1.policy_service_pb2 import (
    CreateEscalationPolicyRequest,
    PlannedPage,
    PreviewEscalationPolicyRequest,
    PreviewEscalationPolicyResponse,
)

MINUTE = timedelta(minutes=1)
EXAMPLES = 8


async def preview(stage: World, **fields: Any) -> PreviewEscalationPolicyResponse:
    """What would be."""
    return await stage.here.policies.PreviewEscalationPolicy(PreviewEscalationPolicyRequest(**fields))


def said(pages: Sequence[PlannedPage | EscalationExecution]) -> list[tuple[Any, ...]]:
    """What pages, planned or sent, have in common."""
    return [
        (page.level, page.reason, list(page.targets), list(page.recipients), page.catch_all) for page in pages
    ]


class Example:
    """A policy, two schedules and perhaps silences made up by chance; changes fall a third of a minute away from steps."""

    def __init__(self, stage: World, number: int) -> None:
        self._stage = stage
        self._chance = random.Random(number)
        self.name = f"p{number}"
        self.schedules = [f"a{number}", f"b{number}"]
        self.begin = stage.now
        self._told: set[tuple[str, int]] = set()
        self.labels = {"example": self.name}
        for schedule_id in self.schedules:
            starts = sorted(self._chance.sample(range(1, 20), k=self._chance.randint(0, 5)))
            stage.roster.rotas[schedule_id] = [
                (self.begin + minutes * MINUTE + MINUTE / 2, self._people()) for minutes in (-1_000, *starts)
            ]

    def _people(self) -> list[str]:
        return sorted(self._chance.sample(["ada", "bob", "cy", "dee"], k=self._chance.randint(0, 2)))

    def policy(self) -> EscalationPolicy:
        """A policy for the schedules."""
        chance = self._chance
        steps = []
        for _ in range(chance.randint(1, 3)):
            targets = [f"oncall://{name}" for name in chance.sample(self.schedules, k=chance.randint(0, 2))]
            step = EscalationStep(
                targets=targets or ["responder://eve"],
                ack_timeout=duration(chance.choice([1, 2, 5]) * MINUTE),
                selection=chance.choice([EscalationStep.ALL, EscalationStep.ROUND_ROBIN]),
                skip_if_empty=chance.random() < 0.3,
            )
            if chance.random() < 0.3:
                step.condition.CopyFrom(
                    StepCondition(severities=[chance.choice([Severity.HIGH, Severity.LOW])])
                )
            steps.append(step)
        return EscalationPolicy(
            policy_id=self.name,
            steps=steps,
            repeat_count=chance.randint(0, 1),
            catch_all=chance.choice(["responder://boss", f"oncall://{self.schedules[0]}"]),
            handover=chance.choice([EscalationPolicy.OPEN_ONLY] * 2 + [EscalationPolicy.OFF]),
        )

    async def silences(self) -> None:
        """Some silences, one after the other or at once: each begins 20 and ends 40 seconds after a whole minute."""
        for number in range(self._chance.choice([0, 0, 1, 2])):
            start = self.begin + self._chance.randint(-1, 8) * MINUTE + MINUTE / 3
            lasts = self._chance.randint(0, 5) * MINUTE + MINUTE / 3
            if start + lasts > self._stage.now:
                await silence(
                    self._stage,
                    f"{self.name}-{number}",
                    f'example="{self.name}"',
                    start=start,
                    lasts=lasts,
                )

    async def pass_by(self) -> None:
        """Tells of the handovers that have passed."""
        for schedule_id in self.schedules:
            rota = self._stage.roster.rotas[schedule_id]
            for place in range(1, len(rota)):
                at, people = rota[place]
                before = rota[place - 1][1]
                if at <= self._stage.now and people != before and (schedule_id, place) not in self._told:
                    self._told.add((schedule_id, place))
                    await self._stage.hand_over(
                        schedule_id,
                        " ".join(set(before) - set(people)),
                        " ".join(set(people) - set(before)),
                        at=at,
                    )

    @property
    def told(self) -> int:
        """How many handovers were told of."""
        return len(self._told)

    def stops_after(self, pages: Sequence[PlannedPage]) -> int:
        """After how many pages somebody acknowledges, while there is time to; more than there are for never."""
        ats = [page.at.ToDatetime() for page in pages]
        pauses = [place for place in range(1, len(ats)) if ats[place] - ats[place - 1] > MINUTE / 4]
        return self._chance.choice([len(pages) + 1, *pauses])


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_engine_does_what_the_preview_says(stage: World, seed: int) -> None:
    """Page by page, until somebody acknowledges or it is exhausted; and so it says of what is left."""
    handed_over = 0
    silenced = 0
    for number in range(seed * EXAMPLES, (seed + 1) * EXAMPLES):
        example = Example(stage, number)
        await stage.here.policies.CreateEscalationPolicy(
            CreateEscalationPolicyRequest(escalation_policy=example.policy())
        )
        await example.silences()
        about: Any = {"policy_id": example.name, "severity": Severity.HIGH, "labels": example.labels}
        plan = await preview(stage, **about)
        silenced += len(plan.quiet_times)
        alert = await stage.here.open(**about)
        stops = example.stops_after(plan.pages)
        for done, page in enumerate(plan.pages):
            if done == stops:
                break
            await come_to(stage, example, alert, plan, page)
            await eventually(partial(enough, stage, alert, done + 1))
        assert_alike(await stage.here.steps(alert), plan.pages[:stops])
        if stops < len(plan.pages):
            rest = await preview(stage, alert_id=alert.alert_id)
            assert said(rest.pages) == said(plan.pages[stops:])
        else:
            await go_to(stage, example, plan.exhausted_at.ToDatetime(UTC))
            await eventually(partial(exhausted, stage, alert))
        await stage.here.acknowledge(
            alert
        )  # whoever comes on call later is told of one that is exhausted, too
        stage.advance(hours=1)
        await example.pass_by()
        handed_over += example.told
        await stage.here.run()
        assert said(await stage.here.steps(alert)) == said(plan.pages[:stops])
    await stage.consumed("roster", handed_over)
    assert silenced, "no example has a silence: choose others"


async def come_to(
    stage: World,
    example: Example,
    alert: Alert,
    plan: PreviewEscalationPolicyResponse,
    page: PlannedPage,
) -> None:
    """Moves the clock to just after the page's instant, and tells of what is on the way: silences, handovers."""
    at = instant(page, "at")
    assert at is not None
    for quiet in plan.quiet_times:
        for turn, state in (
            (instant(quiet, "starts_at"), Alert.SUPPRESSED),
            (instant(quiet, "ends_at"), None),
        ):
            if turn is not None and stage.now < turn <= at:
                await go_to(stage, example, turn)
                if state is not None:
                    await becomes(stage, alert, state, quiet.suppressed_by)
    await go_to(stage, example, at)
    await stage.here.run()


async def go_to(stage: World, example: Example, at: datetime) -> None:
    """Moves the clock to just after an instant, and tells of the handovers on the way."""
    stage.advance(seconds=max(0.0, (at - stage.now).total_seconds()) + 0.2)
    await example.pass_by()


async def enough(stage: World, alert: Alert, count: int) -> bool:
    """Whether the alert has so many steps."""
    return len(await stage.here.steps(alert)) >= count


def assert_alike(sent: Sequence[EscalationExecution], planned: Sequence[PlannedPage]) -> None:
    """The same pages, each at its time."""
    assert said(sent) == said(planned)
    for one, other in zip(sent, planned, strict=True):
        assert abs((one.at.ToDatetime() - other.at.ToDatetime()).total_seconds()) < 30


async def test_a_plan_in_the_future(stage: World) -> None:
    """With the people of that time, the handover on the way, the rounds, and its end."""
    start = stage.now + timedelta(days=2)
    stage.roster.rotas["db"] = [(stage.now, ["ada"]), (start + 90 * MINUTE / 60, ["bob"])]
    await stage.here.policy("p", (["oncall://db"], 60), (["oncall://db"], 60), repeat_count=1)
    before = await stage.rows("select * from timers"), await stage.rows("select * from alerts")
    plan = await preview(stage, policy_id="p", start=timestamp(start))
    found = [
        (round((page.at.ToDatetime() - plan.start.ToDatetime()).total_seconds()), page.level, page.round)
        for page in plan.pages
    ]
    assert found == [(0, 1, 0), (60, 2, 0), (90, 2, 0), (120, 1, 1), (180, 2, 1)]
    assert [list(page.recipients) for page in plan.pages] == [["ada"], ["ada"], ["bob"], ["bob"], ["bob"]]
    assert plan.pages[2].reason == EscalationExecution.SHIFT_HANDOVER
    assert plan.exhausted_at.ToDatetime() == plan.start.ToDatetime() + timedelta(seconds=240)
    assert not plan.HasField("cut_at")
    assert (await stage.rows("select * from timers"), await stage.rows("select * from alerts")) == before


async def test_what_a_preview_is_of(stage: World) -> None:
    """The policy that the labels lead to, or an alert; never both, and only what there is."""
    await stage.here.policy("db", (["responder://ada"], 60), matchers=['team="db"', 'severity="HIGH"'])
    assert (await preview(stage, labels={"team": "db"}, severity="HIGH")).policy_id == "db"
    assert (await preview(stage, labels={"team": "db"})).policy_id == "default"
    alert = await stage.here.open(policy_id="db")
    await stage.steps(alert, 1)
    await stage.here.acknowledge(alert)
    over = await preview(stage, alert_id=alert.alert_id)
    assert (list(over.pages), over.HasField("exhausted_at"), over.HasField("cut_at")) == ([], False, False)
    with pytest.raises(NotFound):
        await preview(stage, alert_id=str(uuid7()))
    with pytest.raises(Invalid) as raised:
        await preview(stage, alert_id=alert.alert_id, source="x", policy_id="db")
    assert {field.path for field in raised.value.fields} == {"source", "policy_id"}
    with pytest.raises(Invalid) as raised:
        await preview(stage, policy_id="none")
    assert [field.path for field in raised.value.fields] == ["policy_id"]
    with pytest.raises(Invalid) as raised:
        await preview(stage, policy_id="No!", severity=77, labels={"": "x"})
    assert {field.path for field in raised.value.fields} >= {"policy_id", "severity"}


async def test_a_plan_that_goes_on(stage: World) -> None:
    """It is cut after a month; and without roster there is none."""
    await stage.here.policy("p", *[(["responder://ada"], 86_400.0)] * 20, repeat_count=100)
    plan = await preview(stage, policy_id="p")
    assert len(plan.pages) == 32
    assert not plan.HasField("exhausted_at")
    assert plan.cut_at.ToDatetime() == plan.start.ToDatetime() + timedelta(days=32)
    await stage.roster.stop()
    with pytest.raises(Unavailable):
        await preview(stage, policy_id="p")


async def test_a_plan_of_what_a_silence_keeps_quiet(stage: World) -> None:
    """Pages begin when it ends; one that begins on the way pauses, and then the steps begin again."""
    await stage.here.policy("p", (["responder://ada"], 60), (["responder://bob"], 60))
    about: Any = {"policy_id": "p", "labels": {"team": "db"}}
    begin = stage.now
    await silence(stage, "now", 'team="db"', start=begin, lasts=10 * MINUTE)
    await silence(stage, "later", 'team="db"', start=begin + 10.5 * MINUTE, lasts=5 * MINUTE)
    await silence(stage, "others", 'team="web"')
    alert = await stage.here.open(**about)
    for plan in (await preview(stage, **about), await preview(stage, alert_id=alert.alert_id)):
        assert [(one.suppressed_by, one.parent_alert_id) for one in plan.quiet_times] == [
            ("silence-rules/now", ""),
            ("silence-rules/later", ""),
        ]
        first, second = plan.quiet_times
        assert first.starts_at == plan.start
        assert first.ends_at.ToDatetime(UTC) == begin + 10 * MINUTE
        assert second.starts_at.ToDatetime(UTC) == begin + 10.5 * MINUTE
        assert [(page.at.ToDatetime(UTC) - begin, page.level) for page in plan.pages] == [
            (10 * MINUTE, 1),
            (15.5 * MINUTE, 1),
            (16.5 * MINUTE, 2),
        ]
        assert plan.exhausted_at.ToDatetime(UTC) == begin + 17.5 * MINUTE
    foreseen = await stage.here.run(alert, dry_run=True, as_of=timestamp(begin + 5 * MINUTE))
    assert foreseen == []
    await expire(stage, "now")
    await expire(stage, "later")
    await becomes(stage, alert, Alert.OPEN)
    assert not (await preview(stage, alert_id=alert.alert_id)).quiet_times


async def test_a_dry_run_knows_of_silences_to_come(stage: World) -> None:
    """Steps that one will hold up are not foreseen."""
    await stage.here.policy("p", (["responder://ada"], 60), (["responder://bob"], 60))
    alert = await stage.here.open(policy_id="p", labels={"team": "db"})
    await stage.steps(alert, 1)
    at = stage.now + 5 * MINUTE
    assert [step.level for step in await stage.here.run(alert, dry_run=True, as_of=timestamp(at))] == [2]
    await silence(stage, "soon", 'team="db"', start=stage.now + MINUTE / 2)
    assert await stage.here.run(alert, dry_run=True, as_of=timestamp(at)) == []


async def test_a_plan_by_night(stage: World) -> None:
    """A silence of every night, by its zone's clock: what opens in it is paged in the morning."""
    rule = await silence(
        stage,
        "nights",
        'team="db"',
        start=datetime(2030, 3, 1, 21, tzinfo=UTC),
        lasts=timedelta(hours=8),
        every="FREQ=DAILY",
    )
    assert rule.recurrence.time_zone == "Europe/Berlin"
    await stage.here.policy("p", (["responder://ada"], 60))
    midnight = datetime(2030, 6, 10, 0, tzinfo=UTC)
    about: Any = {"policy_id": "p", "labels": {"team": "db"}, "start": timestamp(midnight)}
    plan = await preview(stage, **about)
    assert [page.at.ToDatetime(UTC) for page in plan.pages] == [datetime(2030, 6, 10, 4, tzinfo=UTC)]
    (night,) = plan.quiet_times
    assert (night.starts_at, night.ends_at) == (about["start"], plan.pages[0].at)


async def test_a_plan_says_what_else_keeps_an_alert_quiet(stage: World) -> None:
    """A group or an inhibition: nobody can tell for how long, and of an alert to come nobody knows."""
    await aggregate(stage, "by-host", 'team="web"', by=("host",))
    await inhibit(stage, "power", 'kind="power"', 'kind="link"', "site")
    front = await stage.here.open(labels={"team": "web", "host": "a"})
    power = await stage.here.open(labels={"kind": "power", "site": "x"})
    await reviewed(stage)
    for labels, by, parent in (
        ({"team": "web", "host": "a"}, "aggregation-rules/by-host", front),
        ({"kind": "link", "site": "x"}, "inhibition-rules/power", power),
    ):
        alert = await stage.here.open(labels=labels)
        assert alert.suppressed_by == by
        for plan in (await preview(stage, labels=labels), await preview(stage, alert_id=alert.alert_id)):
            (quiet,) = plan.quiet_times
            assert (quiet.suppressed_by, quiet.parent_alert_id) == (by, parent.alert_id)
            assert not quiet.HasField("ends_at")
            assert (list(plan.pages), plan.HasField("exhausted_at")) == ([], False)
        to_come = await preview(stage, labels=labels, start=timestamp(stage.now + timedelta(hours=1)))
        assert not to_come.quiet_times
        assert to_come.pages
    assert not (await preview(stage, labels={"team": "web", "host": "b"})).quiet_times


async def test_levels_for_some_severities_and_hours(stage: World) -> None:
    """Each level is for an alert or not at the instant at which it is due: on Mondays from nine to five in Berlin."""
    hours = StepCondition(
        weekdays=[StepCondition.MON], start_time="09:00", end_time="17:00", time_zone="Europe/Berlin"
    )
    conditions = (StepCondition(severities=[Severity.CRITICAL]), hours, None)
    policy = EscalationPolicy(policy_id="p")
    for person, condition in zip(("ada", "bob", "cy"), conditions, strict=True):
        targets = [f"responder://{person}"]
        policy.steps.add(targets=targets, ack_timeout=duration(MINUTE), condition=condition)
    await stage.here.policies.CreateEscalationPolicy(CreateEscalationPolicyRequest(escalation_policy=policy))
    monday, late = datetime(2030, 6, 3, 10, tzinfo=UTC), datetime(2030, 6, 3, 14, 59, 30, tzinfo=UTC)
    for severity, start, told in (
        (Severity.CRITICAL, monday, ["ada", "bob", "cy"]),
        (Severity.LOW, monday, ["bob", "cy"]),
        (Severity.LOW, late, ["bob", "cy"]),
        (Severity.CRITICAL, late, ["ada", "cy"]),
        (Severity.LOW, monday + timedelta(days=1), ["cy"]),
    ):
        plan = await preview(stage, policy_id="p", severity=severity, start=timestamp(start))
        assert [name for page in plan.pages for name in page.recipients] == told
        ats = [page.at.ToDatetime(UTC) for page in plan.pages]
        assert ats == [start + n * MINUTE for n in range(len(told))]

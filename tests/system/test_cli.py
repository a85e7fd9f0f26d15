"""The command line does what operators ask of it, on a real stack and as a user runs it."""

import asyncio
import json
import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.declared import document
from cli.declared.kinds import KINDS
from tests.fixtures.eventually import eventually
from tests.system.world import Json, World

ROOT = Path(__file__).parents[2]
EVERYTHING = ROOT / "tests" / "data" / "everything.yaml"
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Shell:
    """A shell whose environment names the stack of the test."""

    world: World

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        """A `tocsin` that runs."""
        stack = self.world.stack
        named = {"GATEWAY": stack["gateway"], "TOKEN": stack["token"], "NATS_URL": stack["nats"]}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli",
            *arguments,
            cwd=ROOT,
            env=os.environ | {f"TOCSIN_{name}": value for name, value in named.items()} | environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str, given: str = "", **environment: str) -> Done:
        """A `tocsin` that has ended."""
        process = await self.start(*arguments, **environment)
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(given.encode())
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())

    async def ok(self, *arguments: str, given: str = "") -> str:
        """What a command said that must succeed."""
        done = await self.run(*arguments, given=given)
        assert done.code == 0, f"{arguments} -> {done}"
        return done.out

    async def json(self, *arguments: str, given: str = "") -> Any:
        """What a command answers with --json."""
        return json.loads(await self.ok(*arguments, "--json", given=given))


@pytest.fixture
def tocsin(world: World) -> Shell:
    """The shell of a test."""
    return Shell(world)


async def policy_of(world: World) -> tuple[str, str]:
    """A policy of two levels that nobody is in a hurry about, and the person of its first level."""
    ada, bob = await world.responder("ada", webhook=False), await world.responder("bob", webhook=False)
    return await world.policy((f"responder://{ada}", 600), (f"responder://{bob}", 600)), ada


async def test_an_alert_from_trigger_to_close(world: World, tocsin: Shell) -> None:
    policy, ada = await policy_of(world)
    words = (
        "--severity",
        "critical",
        "--policy",
        policy,
        "--label",
        f"team={world.mark}",
        "--source",
        world.mark,
    )
    triggered = await tocsin.json("alerts", "trigger", "disk full [db]", *words)
    assert triggered["outcome"] == "OPENED"
    alert_id = triggered["alert"]["alert_id"]

    listed = await tocsin.ok("alerts", "list", "--source", world.mark, "--match", f'team="{world.mark}"')
    assert alert_id in listed
    assert "disk full [db]" in listed

    await tocsin.ok("alerts", "escalate", alert_id, "--note", "quick")
    await tocsin.ok("alerts", "comment", alert_id, "vendor called")
    acked = await tocsin.json("alerts", "ack", alert_id, "--note", "on it")
    assert (acked["state"], acked["acked_by"]) == ("ACKED", "admin")
    assert "until" in await tocsin.ok("alerts", "snooze", alert_id, "1h30m")
    await tocsin.ok("alerts", "close", alert_id)
    assert "no alerts" in await tocsin.ok("alerts", "list", "--source", world.mark)
    everything = await tocsin.json("alerts", "list", "--source", world.mark, "--all")
    assert [one["alert_id"] for one in everything["alerts"]] == [alert_id]

    async def told() -> bool:
        shown = await tocsin.json("alerts", "show", alert_id)
        return {one["responder_id"] for one in shown["routes"]} >= {ada}

    await eventually(told, timeout=PATIENCE)
    shown = await tocsin.ok("alerts", "show", alert_id)
    for text in ("level 1, INITIAL", "level 2, MANUAL", "quick", "vendor called", "on it", "snooze", "close"):
        assert text in shown


async def test_several_alerts_at_once(world: World, tocsin: Shell) -> None:
    """A refusal of one does not keep the verb from the others, and shows in the exit code."""
    policy, _ = await policy_of(world)
    ids = [(await world.trigger(policy_id=policy))["alert"]["alert_id"] for _ in range(2)]
    done = await tocsin.run("alerts", "ack", ids[0], "nonsense", ids[1])
    assert done.code == 1
    assert "nonsense" in done.err
    assert [(await world.alert(one))["state"] for one in ids] == ["ACKED", "ACKED"]


async def test_who_is_on_call_and_how_the_stack_is(world: World, tocsin: Shell) -> None:
    schedule = await world.schedule()
    assert "nobody" in await tocsin.ok("oncall", "--schedule", schedule)
    ada = await world.responder("ada", on=schedule, webhook=False)
    assert ada in await tocsin.ok("oncall", "--schedule", schedule)
    assert ada in await tocsin.ok("oncall")
    tomorrow = await tocsin.json("oncall", "--schedule", schedule, "--at", "+1d")
    assert tomorrow["responders"] == []

    found = await tocsin.json("status")
    assert {name: one["state"] for name, one in found["services"].items()} == dict.fromkeys(
        ("gateway", "roster", "escalation", "notify", "sla"), "SERVING"
    )
    assert ada in {one["responder_id"] for one in found["on_call"]}
    assert ada in await tocsin.ok("status")


async def test_a_schedule_is_drawn(world: World, tocsin: Shell) -> None:
    schedule = await world.schedule()
    ada = await world.responder("ada", on=schedule, webhook=False)
    drawn = await tocsin.ok("schedule", "show", schedule, "--days", "1")
    assert ada in drawn
    assert "█" in drawn
    assert "(nobody)" in drawn
    preview = await tocsin.json("schedule", "show", schedule, "--days", "1")
    assert [one["responder_id"] for one in preview["segments"]] == [ada]
    assert schedule in await tocsin.ok("schedule", "list")


async def test_a_silence_keeps_alerts_quiet_until_it_is_ended(world: World, tocsin: Shell) -> None:
    policy, _ = await policy_of(world)
    matcher = f'source="{world.mark}"'
    name = world.own("quiet")
    added = await tocsin.json("silence", "add", matcher, "2h", "--comment", "disk swap", "--id", name)
    assert (added["state"], added["comment"]) == ("ACTIVE", "disk swap")
    assert (await world.trigger(policy_id=policy))["outcome"] == "SUPPRESSED"
    assert name in await tocsin.ok("silence", "list")
    assert (await tocsin.json("silence", "expire", name))["state"] == "EXPIRED"
    assert name not in await tocsin.ok("silence", "list")
    assert name in await tocsin.ok("silence", "list", "--all")
    assert (await world.trigger(policy_id=policy))["outcome"] == "OPENED"


async def test_a_silence_and_an_integration_of_a_team(world: World, tocsin: Shell) -> None:
    team, quiet, sender = world.own("team"), world.own("quiet"), world.own("sender")
    await world.ok(
        "POST", "/oncall/teams", {"team_id": team, "responder_ids": [await world.responder("ada")]}
    )
    silence = ("silence", "add", f'source="{world.mark}"', "2h", "--id", quiet)
    assert (await tocsin.json(*silence, "--team", team))["team_id"] == team
    assert (await tocsin.json("integration", "add", sender, "--team", team))["team_id"] == team
    assert team in await tocsin.ok("silence", "list")
    assert team in await tocsin.ok("integration", "list")
    await tocsin.ok("silence", "expire", quiet)
    await tocsin.ok("integration", "delete", sender)


async def test_a_silence_that_recurs(world: World, tocsin: Shell) -> None:
    """By its zone's clock, shown with its windows, previewed, and ended like any other."""
    policy, _ = await policy_of(world)
    matcher, name = f'source="{world.mark}"', world.own("nights")
    begin = ("--start", "2026-03-01T22:00", "--rrule", "FREQ=DAILY", "--time-zone", "Europe/Berlin")
    added = await tocsin.json("silence", "add", matcher, "24h", *begin, "--id", name)
    assert (added["state"], added["starts_at"]) == ("ACTIVE", "2026-03-01T21:00:00Z")
    assert added["recurrence"] == {
        "rrule": "FREQ=DAILY",
        "time_zone": "Europe/Berlin",
        "duration": "86400s",
    }
    assert "FREQ=DAILY Europe/Berlin for 1d" in await tocsin.ok("silence", "list")
    shown = await tocsin.ok("policy", "preview", policy, "--source", world.mark)
    assert f"silence-rules/{name}" in shown
    assert (await tocsin.json("silence", "expire", name))["state"] == "EXPIRED"
    assert name not in await tocsin.ok("silence", "list")
    for wrong in (
        ("2h", "--time-zone", "Europe/Berlin"),
        ("2h", "--rrule", "FREQ=DAILY", "--time-zone", "Nowhere/Land"),
    ):
        assert (await tocsin.run("silence", "add", matcher, *wrong)).code == 2


async def test_alerts_by_words_keys_and_times(world: World, tocsin: Shell) -> None:
    policy, _ = await policy_of(world)
    key = world.own("key")
    made = await world.trigger(policy_id=policy, title="flux capacitor glows", dedup_key=key)
    alert_id = made["alert"]["alert_id"]
    mine = ("alerts", "list", "--source", world.mark)
    for options in (
        ("--text", "glows flux"),
        ("--dedup-key", key),
        ("--since", "1h", "--until", "+1h"),
    ):
        found = await tocsin.json(*mine, *options)
        assert [one["alert_id"] for one in found["alerts"]] == [alert_id], options
    for others in (("--text", "tepid"), ("--exhausted",), ("--until", "1h"), ("--dedup-key", "other")):
        assert (await tocsin.json(*mine, *others))["alerts"] == [], others


async def test_the_figures_of_a_source(world: World, tocsin: Shell) -> None:
    policy, _ = await policy_of(world)
    await world.trigger(policy_id=policy)

    async def counted() -> Json:
        found: Json = await tocsin.json("sla", "--start", "1h", "--source", world.mark)
        assert found["total_alerts"] == 1, found
        return found

    assert (await eventually(counted, timeout=PATIENCE))["mtta_seconds"]["avg"] is None
    assert "to acknowledgement" in await tocsin.ok("sla", "--source", world.mark, "--severity", "critical")
    days = await tocsin.json("sla", "series", "--start", "1h", "--source", world.mark, "--step", "hour")
    assert sum(point["overview"]["total_alerts"] for point in days["points"]) == 1
    listed = await tocsin.ok("sla", "facts", "--source", world.mark, "--counted", "unacked")
    assert "CRITICAL" in listed


async def test_targets_are_made_listed_and_ended(world: World, tocsin: Shell) -> None:
    name, matcher = world.own("t"), f'source="{world.mark}"'
    made = await tocsin.json("sla", "targets", "add", name, matcher, "--acknowledge", "5m", "--over", "7d")
    assert (made["acknowledge_within"], made["budget_window"]) == ("300s", "604800s")
    assert name in await tocsin.ok("sla", "targets", "list")
    await tocsin.ok("sla", "targets", "delete", name)


async def test_policies_are_shown(world: World, tocsin: Shell) -> None:
    policy, ada = await policy_of(world)
    assert policy in await tocsin.ok("policy", "list")
    shown = await tocsin.ok("policy", "show", policy)
    assert f"responder://{ada}" in shown
    assert "10m" in shown


async def test_tail_shows_what_was_and_what_comes(world: World, tocsin: Shell) -> None:
    """The events of an alert, those before the call and those after it, each once and in order."""
    policy, _ = await policy_of(world)
    alert_id = (await world.trigger("täil ✓", policy_id=policy))["alert"]["alert_id"]
    process = await tocsin.start("tail", "alert", "--since", "10m", "--json")
    assert process.stdout is not None
    seen: list[Json] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while not seen or seen[-1]["type"] != "alert.closed":
                event = json.loads(await process.stdout.readline())
                if event["subject"] == alert_id:
                    seen.append(event)
                    if event["type"] == "alert.escalated":
                        await world.ok("POST", f"/alerts/{alert_id}:close", {})
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert [event["type"] for event in seen] == ["alert.opened", "alert.escalated", "alert.closed"]
    assert [event["data"]["version"] for event in seen] == ["1", "2", "3"]
    assert seen[0]["data"]["alert"]["title"] == "täil ✓"
    line = await tocsin.ok("tail", "alert.closed", "--since", "10m", "--count", "1")
    assert "alert.closed" in line


async def test_a_file_is_applied_once_and_exported_as_it_is(world: World, tocsin: Shell) -> None:
    ada, web, policy, prom = (world.own(name) for name in ("ada", "web", "p", "prom"))
    file = f"""
responders:
- responder_id: {ada}
  display_name: Ada
  time_zone: Europe/London
schedules:
- schedule_id: {web}
  time_zone: Europe/Berlin
  layers:
  - name: primary
    responder_ids: [{ada}]
    rotation: {{unit: WEEKLY, start: 2026-03-02T09:00}}
    restrictions: [{{weekdays: [MON, TUE], start_time: 08:00, end_time: 17:00}}]
escalation_policies:
- policy_id: {policy}
  matchers: ['team="{world.mark}"']
  steps: [{{targets: ["oncall://{web}"], ack_timeout: 60s}}, {{targets: ["responder://{ada}"]}}]
  repeat_trigger: {{threshold: 3, window: 60s}}
  handover: OFF
aggregation_rules:
- {{aggregation_rule_id: {policy}, matchers: ['team="{world.mark}"'], group_by: [host], window: 60s}}
integrations:
- {{integration_id: {prom}, policy_id: {policy}, labels: {{team: "{world.mark}"}}}}
"""
    dry = await tocsin.json("apply", "-f", "-", "--dry-run", given=file)
    assert [(step["change"], step["id"]) for step in dry["plan"]] == [
        ("create", name) for name in (ada, web, policy, policy, prom)
    ]
    assert dry["applied"] == []
    applied = await tocsin.json("apply", "-f", "-", given=file)
    [key] = [step["routing_key"] for step in applied["applied"] if "routing_key" in step]
    body = {"title": "by the new key", "action": "TRIGGER", "dedup_key": world.mark}
    assert (await world.call("POST", f"/api/alert/integrations/{key}/events", body, token=None))[0] == 202
    assert await tocsin.ok("apply", "-f", "-", given=file) == "nothing to do\n"

    exported = await tocsin.ok("export")
    assert key not in exported
    assert await tocsin.ok("apply", "-f", "-", given=exported) == "nothing to do\n"
    assert await tocsin.ok("export") == exported

    changed = file.replace("display_name: Ada", "display_name: Ada L.").replace("  handover: OFF\n", "")
    assert await tocsin.ok("apply", "-f", "-", given=changed) == (
        f"~ responder {ada}: display_name\n~ policy {policy}: handover\n2 of 2 changes made\n"
    )
    assert await tocsin.ok("apply", "-f", "-", given=changed) == "nothing to do\n"


async def test_every_section_and_field_goes_in_and_comes_back(world: World, tocsin: Shell) -> None:
    """tests/data/everything.yaml, with names of this test's own."""
    file = EVERYTHING.read_text()
    for name in ("ada", "bob", "web", "by-host", "dependants", "prometheus", "critical"):
        file = re.sub(rf"\b{name}\b(?!\.|@)", world.own(name), file)
    applied = await tocsin.json("apply", "-f", "-", given=file)
    assert {step["change"] for step in applied["plan"]} == {"create"}
    assert await tocsin.ok("apply", "-f", "-", given=file) == "nothing to do\n"
    exported = await tocsin.ok("export")
    assert await tocsin.ok("apply", "-f", "-", given=exported) == "nothing to do\n"
    declared, again = document.read(file), document.read(exported)
    for kind in KINDS:
        for one in declared[kind.section]:
            wanted = {name: value for name, value in kind.normal(one).items() if name != kind.unread}
            assert wanted in again[kind.section]


async def test_integrations(world: World, tocsin: Shell) -> None:
    name = world.own("prom")
    made = await tocsin.json("integration", "add", name, "--label", f"mark={world.mark}")
    rotated = await tocsin.json("integration", "rotate", name, "--grace", "1h")
    assert rotated["routing_key"] != made["routing_key"]
    for key in (made["routing_key"], rotated["routing_key"]):
        path = f"/api/alert/integrations/{key}/events"
        assert (await world.call("POST", path, {"title": "x"}, token=None))[0] == 202
    assert name in await tocsin.ok("integration", "list")
    await tocsin.ok("integration", "delete", name)
    assert name not in await tocsin.ok("integration", "list")


async def test_the_shell_completes_ids(world: World, tocsin: Shell) -> None:
    """As bash asks for them; where no stack answers there is nothing to offer, and nothing is said."""
    schedule = await world.schedule()
    words = f"tocsin schedule show {schedule[:3]}"
    asked = {"_TOCSIN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}
    done = await tocsin.run(**asked)
    assert schedule in done.out.split()
    away = await tocsin.run(**asked, TOCSIN_GATEWAY="http://127.0.0.1:9")
    assert (away.out.strip(), away.err) == ("", "")


async def test_a_file_that_is_refused_says_where_and_what_was_done(world: World, tocsin: Shell) -> None:
    good = world.own("good")
    file = f"responders: [{{responder_id: {good}}}, {{responder_id: {good}2, time_zone: Nowhere}}]"
    done = await tocsin.run("apply", "-f", "-", given=file)
    assert done.code == 1
    assert "1 of 2 changes made" in done.out
    assert f"responder {good}2: " in done.err
    assert "time_zone" in done.err


async def test_how_it_ends_when_it_cannot(world: World, tocsin: Shell) -> None:
    """1 for a refusal, 2 for a command that is not right, 3 when nobody is there."""
    nobody = "0193a1c2-7b1e-7cc4-9f52-2f1d8a3c1e11"
    assert (await tocsin.run("alerts", "ack", nobody)).code == 1
    refused = await tocsin.run("status", TOCSIN_TOKEN="wrong")
    assert (refused.code, "token" in refused.err.lower()) == (1, True)
    assert (await tocsin.run("alerts", "snooze", nobody, "later")).code == 2
    assert (await tocsin.run("alerts", "list", "--data-dir", "/nowhere")).code == 2
    away = await tocsin.run("alerts", "list", "--json", TOCSIN_GATEWAY="http://127.0.0.1:9")
    assert away.code == 3
    assert json.loads(away.err)["error"]["status"] == "UNAVAILABLE"


async def test_the_stack_is_found_by_its_data_directory(world: World, tocsin: Shell) -> None:
    path = Path(world.stack["path"])
    if path.name != "stack.json":
        pytest.skip("the stack was named by a file of another name")
    named = await tocsin.run("oncall", "--data-dir", str(path.parent), TOCSIN_GATEWAY="http://127.0.0.1:9")
    assert named.code == 0

"""One alert through all five services, and each of the ways that it can end."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from tests.fixtures.eventually import eventually
from tests.system.world import World, rfc3339, target

DATA = Path(__file__).parents[1] / "data"


async def test_who_is_on_call_is_paged_and_the_second_level_takes_it(world: World) -> None:
    """INITIAL to who is on call, ACK_TIMEOUT to the second level, whose signed receipt stops the escalation."""
    schedule = await world.schedule()
    ada, bob = await world.responder("ada", on=schedule), await world.responder("bob")
    policy = await world.policy((f"oncall://{schedule}", 1.5), (f"responder://{bob}", 60))
    alert_id = (await world.trigger(policy_id=policy))["alert"]["alert_id"]

    first = await world.expect_page(ada, alert_id=alert_id)
    assert (first.data["reason"], first.data["level"]) == ("INITIAL", 1)
    second = await world.expect_page(bob, alert_id=alert_id)
    assert (second.data["reason"], second.data["level"]) == ("ACK_TIMEOUT", 2)

    status, route = await world.call(
        "POST", second.data["receipt_url"], {"status": "ACKNOWLEDGED"}, token=None
    )
    assert (status, route["status"]) == (200, "ACKNOWLEDGED")
    alert = await world.expect_state(alert_id, "ACKED")
    assert alert["acked_by"] == bob
    actions = (await world.ok("GET", f"/alerts/{alert_id}/actions"))["actions"]
    assert [(action["type"], action["actor"]) for action in actions] == [("ACK", bob)]
    executions = (await world.ok("GET", f"/alerts/{alert_id}/escalations"))["executions"]
    assert [step["reason"] for step in executions] == ["INITIAL", "ACK_TIMEOUT"]
    assert [step["recipients"] for step in executions] == [[ada], [bob]]
    told = [datetime.fromisoformat(step["at"]) for step in executions]
    assert timedelta(seconds=1.5) <= told[1] - told[0] < timedelta(seconds=12)
    assert world.receiver.refused == 0


async def test_acknowledging_in_time_keeps_the_second_level_asleep(world: World) -> None:
    """Nobody is paged after an acknowledgement."""
    ada, bob = await world.responder("ada"), await world.responder("bob")
    policy = await world.policy((f"responder://{ada}", 4), (f"responder://{bob}", 4))
    alert_id = (await world.trigger(policy_id=policy))["alert"]["alert_id"]
    await world.expect_page(ada, alert_id=alert_id)
    acked = await world.ok("POST", f"/alerts/{alert_id}:acknowledge", {"actor": ada, "note": "on it"})
    assert (acked["state"], acked["acked_by"]) == ("ACKED", ada)

    witness = await world.policy((f"responder://{ada}", 4), (f"responder://{bob}", 60), name="witness")
    later = (await world.trigger(policy_id=witness))["alert"]["alert_id"]
    await world.expect_page(bob, alert_id=later)  # its second level, a whole timeout later
    assert world.pages(bob, alert_id) == []


async def test_a_dedup_key_gathers_triggers_until_the_alert_is_closed(world: World) -> None:
    """REPEATED while it is not closed, a new alert afterwards."""
    ada = await world.responder("ada")
    policy = await world.policy((f"responder://{ada}", 60))
    key = world.own("key")
    answers = [await world.trigger(dedup_key=key, policy_id=policy) for _ in range(3)]
    assert [answer["outcome"] for answer in answers] == ["OPENED", "REPEATED", "REPEATED"]
    assert len({answer["alert"]["alert_id"] for answer in answers}) == 1
    assert int(answers[-1]["alert"]["trigger_count"]) == 3
    alert_id = answers[0]["alert"]["alert_id"]
    await world.ok("POST", f"/alerts/{alert_id}:close", {"actor": ada})
    again = await world.trigger(dedup_key=key, policy_id=policy)
    assert (again["outcome"], again["alert"]["alert_id"] == alert_id) == ("OPENED", False)
    status, body = await world.call("POST", f"/api/alert/alerts/{alert_id}:acknowledge", {})
    assert (status, body["error"]["status"]) == (400, "FAILED_PRECONDITION")


async def test_the_inbox_shows_what_was_paged_and_remembers_what_was_read(world: World) -> None:
    """Every responder has IN_APP without asking."""
    ada = await world.responder("ada", webhook=False)
    policy = await world.policy((f"responder://{ada}", 60))
    alert_id = (await world.trigger(policy_id=policy))["alert"]["alert_id"]

    async def item() -> dict[str, object]:
        found = (await world.ok("GET", f"/inbox?responder_id={ada}"))["inbox_items"]
        assert [one["alert"]["alert_id"] for one in found] == [alert_id]
        return dict(found[0])

    first = await eventually(item)
    assert first["read_at"] is None
    read = await world.ok("POST", f"/inbox/{first['route_log_id']}:read", {})
    assert read["read_at"] is not None
    route = await world.ok("GET", f"/routes/{first['route_log_id']}")
    assert (route["channel"], route["status"]) == ("IN_APP", "READ")


async def test_silences_and_aggregation_keep_alerts_quiet_and_countable(world: World) -> None:
    """SUPPRESSED alerts page nobody, and say what keeps them quiet."""
    ada = await world.responder("ada")
    policy = await world.policy((f"responder://{ada}", 60))
    now = datetime.now(UTC)
    silence = {
        "matchers": [f'team="{world.mark}-net"'],
        "starts_at": rfc3339(now - timedelta(minutes=1)),
        "ends_at": rfc3339(now + timedelta(hours=1)),
        "comment": "planned work",
    }
    made = await world.ok("POST", "/silence-rules", silence)
    assert made["state"] == "ACTIVE"
    quiet = await world.trigger(labels={"team": f"{world.mark}-net"}, policy_id=policy)
    assert quiet["outcome"] == "SUPPRESSED"
    assert quiet["alert"]["suppressed_by"] == f"silence-rules/{made['silence_rule_id']}"

    group = {"matchers": [f'team="{world.mark}-web"'], "group_by": ["svc"], "window": "60s"}
    await world.ok("POST", "/aggregation-rules", group)
    labels = {"team": f"{world.mark}-web", "svc": "x"}
    answers = [await world.trigger(labels=labels, policy_id=policy) for _ in range(3)]
    assert [answer["outcome"] for answer in answers] == ["OPENED", "AGGREGATED", "AGGREGATED"]
    parent = answers[0]["alert"]["alert_id"]
    assert {answer["alert"]["parent_alert_id"] for answer in answers[1:]} == {parent}
    await world.expect_page(ada, alert_id=parent)
    assert {page.data["alert"]["alert_id"] for page in world.pages(ada)} == {parent}

    async def counted() -> bool:
        query = urlencode({"source": world.mark})
        found = await world.ok("GET", f"/sla/overview?{query}")
        figures = ("total_alerts", "suppressed_alerts", "noise_suppressed_alerts")
        assert [found[figure] for figure in figures] == [1, 1, 2]
        return True

    await eventually(counted)


async def test_alertmanager_fires_one_alert_per_fingerprint_and_resolves_each(world: World) -> None:
    """A recorded webhook of version 4; the group may still fire while an alert inside is resolved."""
    ada = await world.responder("ada")
    policy = await world.policy((f"responder://{ada}", 60))
    made = await world.ok("POST", "/integrations", {"policy_id": policy, "labels": {"world": world.mark}})
    path = f"/api/alert/integrations/{made['routing_key']}/alertmanager"
    body = json.loads((DATA / "alertmanager_webhook_firing.json").read_text())
    for alert in body["alerts"]:
        alert["fingerprint"] = world.mark + alert["fingerprint"]
    assert (await world.call("POST", path, body, token=None))[0] == 200

    query = urlencode({"matchers": f'world="{world.mark}"'})
    alerts = (await world.ok("GET", f"/alerts?{query}"))["alerts"]
    assert [(alert["state"], alert["severity"], alert["policy_id"]) for alert in alerts] == [
        ("OPEN", "CRITICAL", policy)
    ] * 2
    body["alerts"][0]["status"] = "resolved"
    assert (await world.call("POST", path, body, token=None))[0] == 200
    alerts = (await world.ok("GET", f"/alerts?{query}"))["alerts"]
    assert sorted(alert["state"] for alert in alerts) == ["CLOSED", "OPEN"]
    assert {int(alert["trigger_count"]) for alert in alerts} == {1, 2}


async def test_the_overview_counts_what_happened(world: World) -> None:
    """Totals, the timeout rate and the averages of this test's own alerts; nulls where there is nothing."""
    query = f"/sla/overview?{urlencode({'source': world.mark})}"
    empty = await world.ok("GET", query)
    assert (empty["total_alerts"], empty["timeout_escalation_rate"]) == (0, 0)
    assert empty["mtta_seconds"] == {"avg": None, "p50": None, "p90": None, "p99": None}

    ada, bob = await world.responder("ada"), await world.responder("bob")
    slow = await world.policy((f"responder://{ada}", 1), (f"responder://{bob}", 60), name="slow")
    quick = await world.policy((f"responder://{ada}", 60), name="quick")
    late = (await world.trigger(policy_id=slow))["alert"]["alert_id"]
    await world.expect_page(bob, alert_id=late)
    soon = (await world.trigger(policy_id=quick))["alert"]["alert_id"]
    for alert_id in (late, soon):
        await world.ok("POST", f"/alerts/{alert_id}:acknowledge", {"actor": bob})
    await world.ok("POST", f"/alerts/{late}:close", {"actor": bob})

    async def counted() -> dict[str, object]:
        found = await world.ok("GET", query)
        figures = ("total_alerts", "acked_alerts", "closed_alerts", "timeout_escalated_alerts")
        assert [found[figure] for figure in figures] == [2, 2, 1, 1]
        return found

    found = await eventually(counted)
    assert found["timeout_escalation_rate"] == 0.5
    alerts = await asyncio.gather(*(world.alert(alert_id) for alert_id in (late, soon)))
    waits = [
        (
            datetime.fromisoformat(alert["acked_at"]) - datetime.fromisoformat(alert["opened_at"])
        ).total_seconds()
        for alert in alerts
    ]
    mtta = found["mtta_seconds"]
    assert isinstance(mtta, dict)
    assert abs(mtta["avg"] - sum(waits) / 2) < 0.01
    assert mtta["p50"] <= mtta["p90"] <= mtta["p99"] <= max(waits) + 0.001


async def test_run_escalations_says_what_would_happen_and_changes_nothing(world: World) -> None:
    """A dry run as of later shows the next level; the alert stays where it is."""
    ada, bob = await world.responder("ada"), await world.responder("bob")
    policy = await world.policy((f"responder://{ada}", 60), (f"responder://{bob}", 60))
    alert_id = (await world.trigger(policy_id=policy))["alert"]["alert_id"]
    await world.expect_page(ada, alert_id=alert_id)
    later = rfc3339(datetime.now(UTC) + timedelta(seconds=90))
    planned = await world.ok(
        "POST", "/alerts:escalation-run", {"alert_ids": [alert_id], "dry_run": True, "as_of": later}
    )
    assert [(step["reason"], step["level"], step["recipients"]) for step in planned["executions"]] == [
        ("ACK_TIMEOUT", 2, [bob])
    ]
    assert (await world.ok("POST", "/alerts:escalation-run", {"alert_ids": [alert_id]}))["executions"] == []
    assert (await world.alert(alert_id))["escalation_level"] == 1


async def test_resolve_answers_who_is_on_call(world: World) -> None:
    """The target of a schedule, of everybody and of a person."""
    schedule = await world.schedule()
    ada = await world.responder("ada", on=schedule)
    for uri in (f"oncall://{schedule}", "oncall://active", f"responder://{ada}"):
        found = await world.ok("GET", f"/oncall:resolve?target={target(uri)}")
        assert ada in [person["responder_id"] for person in found["responders"]]

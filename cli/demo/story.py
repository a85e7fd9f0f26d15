"""The story: two alerts from Alertmanager, a page that nobody takes, a second level that does, and how well it went."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
import nats
from nats.js.errors import NotFoundError
from rich.console import Console
from rich.table import Table

from cli.receiver import Received, Receiver, receiving
from tocsin.escalation.v1 import events_pb2

Json = dict[str, Any]
T = TypeVar("T")
ACK_TIMEOUT = 2.0
PATIENCE = 10.0
EVENTS: dict[str, Any] = {
    "alert.opened": events_pb2.AlertOpenedEvent,
    "alert.repeated": events_pb2.AlertRepeatedEvent,
    "alert.escalated": events_pb2.AlertEscalatedEvent,
    "alert.acknowledged": events_pb2.AlertAcknowledgedEvent,
    "alert.closed": events_pb2.AlertClosedEvent,
}


@dataclass
class Stage:
    """The stack that the story is played on, what is printed, and what differed from what is right."""

    http: aiohttp.ClientSession
    stack: Json
    console: Console
    began: float = field(default_factory=time.monotonic)
    differences: list[str] = field(default_factory=list)

    async def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """One call of the HTTP API; raises RuntimeError with its error."""
        async with self.http.request(method, f"{self.stack['gateway']}/api/alert{path}", json=body) as answer:
            found: Json = await answer.json()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {found}")
        return found

    def say(self, text: str) -> None:
        """Prints a line with the seconds since the story began."""
        self.console.print(f"[dim]{time.monotonic() - self.began:5.1f} s[/]  {text}")

    def expect(self, what: str, got: object, want: object) -> None:
        """Notes a difference where there is one."""
        if got != want:
            self.differences.append(f"{what} is {got!r}, not {want!r}")


async def play(stack: Json, console: Console) -> list[str]:
    """Plays the story on a fresh stack; answers what was not as it should be."""
    headers = {"authorization": f"Bearer {stack['token']}"}
    async with aiohttp.ClientSession(headers=headers) as http, receiving() as receiver:
        stage = Stage(http, stack, console)
        key = await _set_the_scene(stage, receiver)
        await _fire(stage, key)
        first = await _first_level(stage, receiver)
        second = await _second_level(stage, receiver, first)
        await _take_one(stage, second[0])
        await _resolve(stage, key)
        stage.expect("forged or unsigned webhooks", receiver.refused, 0)
        stage.expect("pages in all", len(receiver.pages), 4)
        await _trail(stage)
        await _overview(stage)
        return stage.differences


async def _set_the_scene(stage: Stage, receiver: Receiver) -> str:
    """Two responders, their shifts and webhooks, a policy of two levels, an integration; its routing key."""
    now = datetime.now(UTC).replace(microsecond=0)
    turns = (("ada", -1, 8), ("bob", 8, 16))
    for name, start, end in turns:
        person = await stage.call(
            "POST", "/oncall/responders", {"responder_id": name, "display_name": name.title()}
        )
        shift = {
            "responder_id": person["responder_id"],
            "starts_at": (now + timedelta(hours=start)).isoformat(),
            "ends_at": (now + timedelta(hours=end)).isoformat(),
        }
        await stage.call("POST", "/oncall/shifts", shift)
        method = {
            "responder_id": name,
            "channel": "WEBHOOK",
            "address": receiver.url,
            "secret": receiver.secret,
        }
        await stage.call("POST", "/contact-methods", method)
    on_call = await stage.call("GET", f"/oncall:resolve?{urlencode({'target': 'oncall://active'})}")
    names = [person["responder_id"] for person in on_call["responders"]]
    stage.expect("on call now", names, ["ada"])
    stage.say(f"on call now: [bold]{', '.join(names)}[/], until {on_call['responders'][0]['until']}")
    steps = [
        {"targets": ["oncall://active"], "ack_timeout": f"{ACK_TIMEOUT:g}s"},
        {"targets": ["responder://bob"], "ack_timeout": "60s"},
    ]
    policy = await stage.call("POST", "/escalation-policies", {"policy_id": "checkout", "steps": steps})
    for level, step in enumerate(policy["steps"], 1):
        stage.say(
            f"policy {policy['policy_id']}, level {level}: {', '.join(step['targets'])}, {step['ack_timeout']} to take it"
        )
    integration = {"display_name": "alertmanager", "policy_id": "checkout", "labels": {"via": "alertmanager"}}
    return str((await stage.call("POST", "/integrations", integration))["routing_key"])


def _alertmanager(status: str, instances: tuple[str, ...], since: datetime) -> Json:
    """A webhook body of version 4, as Alertmanager sends it."""
    common = {"alertname": "HighErrorRate", "service": "checkout", "severity": "critical"}
    end = datetime.now(UTC).isoformat() if status == "resolved" else "0001-01-01T00:00:00Z"
    return {
        "version": "4",
        "receiver": "tocsin",
        "status": status,
        "groupKey": '{}:{alertname="HighErrorRate", service="checkout"}',
        "groupLabels": {"alertname": "HighErrorRate", "service": "checkout"},
        "commonLabels": common,
        "commonAnnotations": {"summary": "5xx above 5%"},
        "externalURL": "http://alertmanager.example:9093",
        "truncatedAlerts": 0,
        "alerts": [
            {
                "status": status,
                "labels": {**common, "instance": instance},
                "annotations": {"summary": f"5xx above 5% on {instance}", "description": "täst ✓"},
                "startsAt": since.isoformat(),
                "endsAt": end,
                "generatorURL": "http://prometheus.example/graph?g0.expr=up",
                "fingerprint": f"{instance.encode().hex():0>16}"[-16:],
            }
            for instance in instances
        ],
    }


async def _alerts(stage: Stage) -> list[Json]:
    """The alerts of the story, oldest first."""
    listed: list[Json] = (await stage.call("GET", "/alerts"))["alerts"]
    return sorted(listed, key=lambda alert: str(alert["alert_id"]))


async def _fire(stage: Stage, key: str) -> None:
    since = datetime.now(UTC)
    path = f"/integrations/{key}/alertmanager"
    await stage.call("POST", path, _alertmanager("firing", ("web-1", "web-2"), since))
    await stage.call("POST", path, _alertmanager("firing", ("web-1",), since))
    alerts = await _alerts(stage)
    for alert in alerts:
        stage.say(
            f"[bold]{alert['severity']}[/] {alert['title']}: {alert['state']}, triggered {alert['trigger_count']}×"
        )
    stage.expect("triggers", sorted(int(alert["trigger_count"]) for alert in alerts), [1, 2])
    stage.expect("severities", {alert["severity"] for alert in alerts}, {"CRITICAL"})


def _show(stage: Stage, page: Received) -> None:
    data = page.data
    stage.say(
        f"paged [bold]{data['responder_id']}[/] (level {data['level']}, {data['reason']}): {data['alert']['title']}"
    )


async def _first_level(stage: Stage, receiver: Receiver) -> list[Received]:
    pages = await receiver.until(2, PATIENCE)
    for page in pages:
        _show(stage, page)
    told = [(page.data["responder_id"], page.data["reason"], page.data["level"]) for page in pages]
    stage.expect("first level", told, [("ada", "INITIAL", 1)] * 2)
    return pages


async def _second_level(stage: Stage, receiver: Receiver, first: list[Received]) -> list[Received]:
    """Nobody takes it: after the timeout the second level is told."""
    pages = (await receiver.until(4, PATIENCE))[len(first) :]
    for page in pages:
        _show(stage, page)
    told = [(page.data["responder_id"], page.data["reason"], page.data["level"]) for page in pages]
    stage.expect("second level", told, [("bob", "ACK_TIMEOUT", 2)] * 2)
    opened = {page.data["alert"]["alert_id"]: page.at for page in first}
    waits = [page.at - opened[page.data["alert"]["alert_id"]] for page in pages]
    late = [wait for wait in waits if not ACK_TIMEOUT - 0.2 < wait < ACK_TIMEOUT + 1]
    stage.expect("second levels at the wrong time", late, [])
    return pages


async def _take_one(stage: Stage, page: Received) -> None:
    """Bob's receipt acknowledges, by its signed link alone."""
    async with aiohttp.ClientSession() as anybody:
        receipt = {"status": "ACKNOWLEDGED", "detail": "on it"}
        async with anybody.post(page.data["receipt_url"], json=receipt) as answer:
            stage.expect("receipt", answer.status, 200)
        async with anybody.post(page.data["receipt_url"] + "x", json=receipt) as answer:
            stage.expect("forged receipt", answer.status, 403)
    route = await stage.call("GET", f"/routes/{page.data['route_log_id']}")
    alert = await stage.call("GET", f"/alerts/{page.data['alert']['alert_id']}")
    stage.say(
        f"receipt: {route['status']} by {route['responder_id']}, so {alert['title']} is [bold]{alert['state']}[/] by "
        f"{alert['acked_by']}; a forged link is refused"
    )
    stage.expect(
        "acknowledged", (route["status"], alert["state"], alert["acked_by"]), ("ACKNOWLEDGED", "ACKED", "bob")
    )


async def _resolve(stage: Stage, key: str) -> None:
    body = _alertmanager("resolved", ("web-1", "web-2"), datetime.now(UTC))
    await stage.call("POST", f"/integrations/{key}/alertmanager", body)
    for alert in await _alerts(stage):
        stage.say(f"resolved: {alert['title']} is [bold]{alert['state']}[/] by {alert['closed_by']}")
        stage.expect("resolved", alert["state"], "CLOSED")


async def _trail(stage: Stage) -> None:
    """What happened, from the event stream: every alert's events in the order of its versions."""
    alerts = {alert["alert_id"]: alert for alert in await _alerts(stage)}
    last = {alert_id: int(alert["version"]) for alert_id, alert in alerts.items()}
    seen = await _events(stage.stack["nats"], last)
    table = Table("alert", "events, from the stream alert.>", title="What happened", title_justify="left")
    for alert_id, events in seen.items():
        table.add_row(
            alerts[alert_id]["title"], " → ".join(name.removeprefix("alert.") for name, _ in events)
        )
        versions = [version for _, version in events]
        stage.expect("versions on the stream", versions, list(range(1, last[alert_id] + 1)))
        executions = await stage.call("GET", f"/alerts/{alert_id}/escalations")
        reasons = [step["reason"] for step in executions["executions"]]
        stage.expect("reasons", reasons, ["INITIAL", "ACK_TIMEOUT"])
    stage.console.print(table)


async def _events(url: str, last: dict[str, int]) -> dict[str, list[tuple[str, int]]]:
    """The events of each alert up to its last version, repeats dropped by their id."""
    client = await nats.connect(url)
    try:
        stream = client.jetstream()
        await _eventually(lambda: stream.stream_info("TOCSIN_ALERT"), NotFoundError)
        subscription = await stream.subscribe("alert.>", ordered_consumer=True)
        ids: set[str] = set()
        seen: dict[str, list[tuple[str, int]]] = {alert_id: [] for alert_id in last}
        deadline = time.monotonic() + PATIENCE
        while any(len(events) < last[alert_id] for alert_id, events in seen.items()):
            try:
                message = await subscription.next_msg(max(0.01, deadline - time.monotonic()))
            except TimeoutError:
                break
            assert message.headers is not None
            if message.headers["ce-id"] not in ids and message.headers["ce-subject"] in seen:
                ids.add(message.headers["ce-id"])
                version = EVENTS[message.subject].FromString(message.data).version
                seen[message.headers["ce-subject"]].append((message.subject, version))
        return seen
    finally:
        await client.close()


async def _overview(stage: Stage) -> None:
    want = {"total_alerts": 2, "acked_alerts": 1, "closed_alerts": 2, "timeout_escalated_alerts": 2}

    async def complete() -> Json | None:
        found = await stage.call("GET", "/sla/overview")
        return found if all(found[name] == figure for name, figure in want.items()) else None

    found = await _eventually(complete) or await stage.call("GET", "/sla/overview")
    for name, figure in want.items():
        stage.expect(name, found[name], figure)
    stage.expect("timeout_escalation_rate", found["timeout_escalation_rate"], 1.0)
    table = Table("figure", "value", title="How well it went", title_justify="left")
    for name in (*want, "timeout_escalation_rate"):
        table.add_row(name, str(found[name]))
    for name in ("mtta_seconds", "mttr_seconds"):
        average = found[name]["avg"]
        table.add_row(name, "–" if average is None else f"{average:.2f}")
        stage.expect(f"{name} is at least the timeout", average is not None and average >= ACK_TIMEOUT, True)
    stage.console.print(table)


async def _eventually(
    look: Callable[[], Awaitable[T]], not_yet: type[Exception] | tuple[type[Exception], ...] = ()
) -> T | None:
    """The first truthy answer within the patience of the story; None when there is none."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if found := await look():
                return found
        except not_yet:
            pass
        await asyncio.sleep(0.05)
    return None

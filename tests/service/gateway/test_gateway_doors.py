"""The intake: what other tools send becomes signals in one call, and they hear what they understand."""

import asyncio
import hashlib
import hmac
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from google.rpc import status_pb2

from chassis.errors import Conflict, Exhausted, Invalid, TimedOut, Unauthenticated, Unavailable
from tests.fixtures.eventually import eventually
from tests.service.gateway.stage import Stage
from tocsin.escalation.v1 import alert_pb2, integration_service_pb2

DATA = Path(__file__).parents[2] / "data" / "gateway"
KEY = "0123456789abcdef0123456789abcdef"
ALERTMANAGER, EVENTS, PAGERDUTY = (
    f"/api/alert/integrations/{KEY}/alertmanager", f"/api/alert/integrations/{KEY}/events", "/v2/enqueue",
)  # fmt: skip
Signal = integration_service_pb2.Signal
BODIES: dict[str, Any] = {
    ALERTMANAGER: json.loads((DATA / "alertmanager_webhook_firing.json").read_bytes()),
    EVENTS: {"title": "disk"},
    PAGERDUTY: json.loads((DATA / "pagerduty_trigger.json").read_bytes()),
}


@pytest.fixture(autouse=True)
def taking(stage: Stage) -> None:
    """Escalation takes everything."""

    def take(request: Any, context: Any) -> Any:
        results = [
            integration_service_pb2.SignalResult(alert_id=f"a{i}") for i, _ in enumerate(request.signals)
        ]
        return integration_service_pb2.IngestSignalsResponse(results=results)

    stage.services.play("IngestSignals", take)


def refusing(error: status_pb2.Status) -> Any:
    """Escalation refuses the first signal of a call and takes the others."""

    def take(request: Any, context: Any) -> Any:
        results = [integration_service_pb2.SignalResult(alert_id="a1") for _ in request.signals]
        results[0] = integration_service_pb2.SignalResult(error=error)
        return integration_service_pb2.IngestSignalsResponse(results=results)

    return take


async def test_alertmanager(stage: Stage) -> None:
    body = (DATA / "alertmanager_webhook_firing.json").read_bytes()
    answer = await stage.call("POST", ALERTMANAGER, body, token=None)
    assert (answer.status, answer.json) == (200, {"accepted": 2, "refused": []})
    (asked,) = stage.services.asked
    assert "authorization" not in asked.metadata
    assert asked.request.routing_key == KEY
    first, second = asked.request.signals
    assert (first.action, first.alert.dedup_key) == (Signal.TRIGGER, "b1c11497b32ce15e")
    assert first.alert.severity == alert_pb2.Severity.CRITICAL
    assert first.alert.labels["alertname"] == "HighErrorRate"
    assert second.alert.dedup_key == "5308e11450d376b3"
    resolved = json.loads(body)
    resolved["alerts"][1]["status"] = "resolved"
    assert (await stage.call("POST", ALERTMANAGER + "/", resolved, token="admin")).status == 200
    assert [signal.action for signal in stage.services.last.signals] == [Signal.TRIGGER, Signal.RESOLVE]


async def test_more_alerts_than_one_call_takes(stage: Stage) -> None:
    alerts = [{"fingerprint": f"f{i}"} for i in range(1001)]
    answer = await stage.call("POST", ALERTMANAGER, {"alerts": alerts}, token=None)
    assert (answer.status, answer.json["accepted"]) == (200, 1001)
    assert [len(asked.request.signals) for asked in stage.services.asked] == [1000, 1]


@pytest.mark.parametrize(
    "body", [b"{nope", b"", b"[]", b'{"alerts": []}', b'{"alerts": [1]}', b"\xff", b"[" * 9999]
)
async def test_what_alertmanager_never_sends(stage: Stage, body: bytes) -> None:
    answer = await stage.call("POST", ALERTMANAGER, body, token=None)
    assert (answer.status, answer.error["status"]) == (400, "INVALID_ARGUMENT")
    assert (await stage.call("POST", EVENTS, body, token=None)).status == 400
    wrong = await stage.call("POST", PAGERDUTY, body, token=None)
    assert (wrong.status, wrong.json["status"]) == (400, "invalid event")
    assert stage.services.asked == []


@pytest.mark.parametrize(
    "error",
    [Unavailable("x"), Exhausted("x"), TimedOut("x"), Conflict("x"), RuntimeError("x"), status_pb2.Status(code=14),
     status_pb2.Status(code=13), status_pb2.Status(code=8)],
)  # fmt: skip
async def test_back_pressure_is_503(stage: Stage, error: Any) -> None:
    """Alertmanager drops what is answered with 4xx; PagerDuty's senders know 429 too."""
    stage.services.play("IngestSignals", refusing(error) if isinstance(error, status_pb2.Status) else error)
    for path in (ALERTMANAGER, EVENTS):
        answer = await stage.call("POST", path, BODIES[path], token=None)
        assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, 503, "1")
    answer = await stage.call("POST", PAGERDUTY, BODIES[PAGERDUTY], token=None)
    assert answer.status in (429, 503)


async def test_a_signal_that_is_refused_does_not_spoil_the_others(stage: Stage) -> None:
    stage.services.play("IngestSignals", refusing(status_pb2.Status(code=3, message="title: is bad")))
    answer = await stage.call("POST", ALERTMANAGER, BODIES[ALERTMANAGER], token=None)
    assert (answer.status, answer.json) == (200, {"accepted": 1, "refused": ["title: is bad"]})
    answer = await stage.call("POST", EVENTS, BODIES[EVENTS], token=None)
    assert (answer.status, answer.error["message"]) == (400, "title: is bad")
    answer = await stage.call("POST", PAGERDUTY, BODIES[PAGERDUTY], token=None)
    assert (answer.status, answer.json["errors"]) == (400, ["title: is bad"])


async def test_routing_keys_that_are_none(stage: Stage) -> None:
    for key in ("short", "k" * 33, "%C3%A4" * 32, "%00" * 32):
        answer = await stage.call(
            "POST", f"/api/alert/integrations/{key}/alertmanager", BODIES[ALERTMANAGER], token=None
        )
        assert answer.status == 401
    assert stage.services.asked == []
    stage.services.play("IngestSignals", Unauthenticated("no integration has this key"))
    for path in (ALERTMANAGER, EVENTS):
        assert (await stage.call("POST", path, BODIES[path], token=None)).status == 401
    answer = await stage.call("POST", PAGERDUTY, BODIES[PAGERDUTY], token=None)
    assert (answer.status, answer.json["errors"]) == (400, ["no integration has this key"])
    stage.services.play("IngestSignals", Invalid("signals: is wrong"))
    assert (await stage.call("POST", ALERTMANAGER, BODIES[ALERTMANAGER], token=None)).status == 400


async def test_the_plain_form(stage: Stage) -> None:
    body = {"title": "disk", "severity": "CRITICAL", "labels": {"team": "db"}, "unknown": 1}
    answer = await stage.call("POST", EVENTS, body, token=None)
    assert (answer.status, answer.json["status"], answer.json["alert_id"]) == (202, "accepted", "a0")
    key = answer.json["dedup_key"]
    (signal,) = stage.services.last.signals
    assert (signal.alert.dedup_key, signal.alert.severity) == (key, alert_pb2.Severity.CRITICAL)
    body = {"action": "ACKNOWLEDGE", "dedup_key": key, "note": "mine"}
    assert (await stage.call("POST", EVENTS, body, token=None)).status == 202
    (signal,) = stage.services.last.signals
    assert (signal.action, signal.note) == (Signal.ACKNOWLEDGE, "mine")
    wrong = await stage.call("POST", EVENTS, {"action": "RESOLVE", "labels": []}, token=None)
    assert (wrong.status, set(wrong.wrong)) == (400, {"dedup_key"})


async def test_pagerduty(stage: Stage) -> None:
    body = (DATA / "pagerduty_trigger.json").read_bytes()
    answer = await stage.call("POST", PAGERDUTY, body, token=None)
    assert answer.status == 202
    key = json.loads(body)["dedup_key"]
    assert answer.json == {"status": "success", "message": "Event processed", "dedup_key": key}
    resolve = {"routing_key": KEY, "event_action": "resolve", "dedup_key": key, "payload": {}}
    assert (await stage.call("POST", PAGERDUTY + "/", resolve, token=None)).status == 202
    assert stage.services.last.signals[0].action == Signal.RESOLVE
    wrong = await stage.call("POST", PAGERDUTY, {"event_action": "resolve"}, token=None)
    assert (wrong.status, wrong.json["message"]) == (400, "Event object is invalid")
    assert wrong.json["errors"] == ["'routing_key' is missing or blank", "'dedup_key' is missing or blank"]


async def test_pagerdutys_other_answers(stage: Stage) -> None:
    large = BODIES[PAGERDUTY] | {"client": "x" * 512 * 1024}
    answer = await stage.call("POST", PAGERDUTY, large, token=None)
    assert (answer.status, answer.json["message"]) == (413, "Event object is too large")
    stage.services.play("IngestSignals", Exhausted("slow down"))
    assert (await stage.call("POST", PAGERDUTY, BODIES[PAGERDUTY], token=None)).status == 429
    stage.services.play("IngestSignals", Unavailable("away"))
    assert (await stage.call("POST", PAGERDUTY, BODIES[PAGERDUTY], token=None)).status == 503


def mutated(body: Any, chance: random.Random) -> Any:
    """The body with some parts left out, doubled or replaced by what nobody expects."""
    roll = chance.random()
    if roll < 0.08:
        return chance.choice(ODD)
    if isinstance(body, dict):
        kept = {key: mutated(value, chance) for key, value in body.items() if chance.random() > 0.06}
        return kept | ({chance.choice(ODD_KEYS): chance.choice(ODD)} if roll > 0.9 else {})
    if isinstance(body, list):
        return [mutated(value, chance) for value in body] * chance.choice([1, 1, 1, 2])
    return body


ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1e300,
    10**30,
    "",
    " ",
    "\0",
    "\ud800",
    "x" * 70_000,
    [],
    {},
    [[]],
    {"": {"": []}},
]
ODD_KEYS = ["", "\0", "labels", "\ud800", "x" * 300]


EVENT = {
    "specversion": "1.0",
    "id": "1",
    "type": "disk.full",
    "source": "/ci",
    "subject": "db-1",
    "data": {"title": "x"},
}
CLOUD = f"/api/alert/integrations/{KEY}/cloudevents"
ACTED = {"user": "ada", "source": "ci", "note": "it is on fire"}
SENT: dict[str, tuple[str, str, Any]] = {
    "alertmanager": (ALERTMANAGER, "application/json", BODIES[ALERTMANAGER]),
    "grafana": (ALERTMANAGER, "application/json", json.loads((DATA / "grafana_webhook.json").read_bytes())),
    "plain": (EVENTS, "application/json", {"title": "disk", "labels": {"a": "b"}, "action": "TRIGGER", "dedup_key": "d"}),
    "pagerduty": (PAGERDUTY, "application/json", BODIES[PAGERDUTY]),
    "change": ("/v2/change/enqueue", "application/json", BODIES[PAGERDUTY]),
    "opsgenie": ("/v2/alerts", "application/json", json.loads((DATA / "opsgenie_alertmanager.json").read_bytes())),
    "close": ("/v2/alerts/a%2Fb/close", "application/json", ACTED),
    "notes": ("/v2/alerts/a%2Fb/notes", "application/json", ACTED),
    "message": ("/v2/alerts/a%2Fb/message", "application/json", {"message": "another"}),
    "description": ("/v2/alerts/%F0%9F%94%A5/description", "application/json", {"description": "another"}),
    "structured": (CLOUD, "application/cloudevents+json", EVENT),
    "batch": (CLOUD, "application/cloudevents-batch+json", [EVENT, {**EVENT, "id": "2", "type": "disk.resolved"}]),
    "binary": (CLOUD, "application/json", {"title": "disk", "labels": {"a": "b"}, "action": "TRIGGER"}),
}  # fmt: skip
"""What is sent where: path, content type, and a body that is right."""


@pytest.mark.parametrize("sender", SENT)
async def test_no_body_gives_a_500(stage: Stage, sender: str) -> None:
    """The same bodies in every run: what fails, fails again."""
    path, media, right = SENT[sender]
    chance = random.Random(sender)
    taken = 0
    for _ in range(100):
        sent = json.dumps(mutated(right, chance)).encode()
        if chance.random() < 0.2:
            at = chance.randrange(len(sent) + 1)
            sent = sent[:at] + bytes([chance.randrange(256)]) + sent[at + 1 :]
        headers = {"content-type": media, "authorization": f"GenieKey {KEY}"}
        if sender == "binary":
            headers |= {
                f"ce-{name}": chance.choice(
                    [value, value, value, "", "%", "%FF", "%ED%A0%80", "\xff", "x" * 5000]
                )
                for name, value in EVENT.items()
                if isinstance(value, str) and chance.random() > 0.02
            }
        answer = await stage.call("POST", path, sent, token=None, headers=headers)
        assert answer.status in (200, 202, 400, 422), (answer.status, sent[:500])
        assert answer.json
        taken += answer.status < 300
    assert 0 < taken < 100


async def test_a_sender_that_does_not_wait(stage: Stage) -> None:
    """Its own deadline counts, however many share the call; 503 means again, which Alertmanager does."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(request: Any, context: Any) -> Any:
        asked.set()
        await go.wait()
        results = [integration_service_pb2.SignalResult(alert_id="a") for _ in request.signals]
        return integration_service_pb2.IngestSignalsResponse(results=results)

    stage.services.play("IngestSignals", slow)
    genie = {"authorization": f"GenieKey {KEY}"}
    patient = asyncio.create_task(
        stage.call("POST", EVENTS, {"title": "p"}, token=None, headers={"x-request-timeout": "4m"})
    )
    await asked.wait()
    for headers in ({"x-request-timeout": "50ms"}, {"grpc-timeout": "50m"}):
        for path in (EVENTS, PAGERDUTY, ALERTMANAGER):
            hasty = await stage.call("POST", path, BODIES[path], token=None, headers=headers)
            assert (hasty.status, hasty.headers["retry-after"]) == (503, "1")
        hasty = await stage.call("POST", "/v2/alerts", {"message": "x"}, token=None, headers=genie | headers)
        assert hasty.status == 503
    go.set()
    assert (await patient).status == 202
    seconds = stage.services.asked[0].seconds
    assert seconds is not None
    assert 60 < seconds < 241
    odd = await stage.call("POST", EVENTS, {"title": "x"}, token=None, headers={"x-request-timeout": "soon"})
    assert odd.status == 202, "no page is lost over a header"


async def test_requests_that_come_together_share_a_call(stage: Stage) -> None:
    """Each is answered by its own result; the first goes at once, those that come meanwhile go together."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(request: Any, context: Any) -> Any:
        asked.set()
        await go.wait()
        results = [
            integration_service_pb2.SignalResult(error=status_pb2.Status(code=3, message=one.alert.title))
            if one.alert.title == "bad"
            else integration_service_pb2.SignalResult(alert_id=f"alert of {one.alert.title}")
            for one in request.signals
        ]
        return integration_service_pb2.IngestSignalsResponse(results=results)

    stage.services.play("IngestSignals", slow)

    def post(title: str) -> asyncio.Task[Any]:
        return asyncio.create_task(stage.call("POST", EVENTS, {"title": title}, token=None))

    first = post("0")
    await asked.wait()
    others = [post(title) for title in ("1", "bad", "2")]
    alone = asyncio.create_task(stage.call("POST", EVENTS.replace(KEY, "k" * 32), {"title": "x"}, token=None))
    await eventually(lambda: len(stage.services.asked) == 2)  # another key waits for nobody
    go.set()
    answers = await asyncio.gather(first, *others, alone)
    assert [answer.status for answer in answers] == [202, 202, 400, 202, 202]
    assert [answer.json["alert_id"] for answer in (answers[0], answers[1], answers[3])] == [
        "alert of 0", "alert of 1", "alert of 2",
    ]  # fmt: skip
    assert len(stage.services.asked) < 5


async def test_a_key_in_a_header_stays_out_of_paths(stage: Stage) -> None:
    for header in (f"Bearer {KEY}", f"GenieKey {KEY}"):
        for path, status in ((ALERTMANAGER, 200), (EVENTS, 202)):
            sent = {"authorization": header}
            answer = await stage.call("POST", path.replace(KEY, "-"), BODIES[path], token=None, headers=sent)
            assert (answer.status, stage.services.last.routing_key) == (status, KEY)
    assert (await stage.call("POST", EVENTS.replace(KEY, "-"), BODIES[EVENTS], token=None)).status == 401
    basic = {"authorization": f"Basic {KEY}"}
    answer = await stage.call("POST", EVENTS.replace(KEY, "-"), BODIES[EVENTS], token=None, headers=basic)
    assert answer.status == 401


async def test_grafanas_signature(stage: Stage) -> None:
    body = (DATA / "grafana_webhook.json").read_bytes()
    now = str(int(time.time()))

    def signature(key: str, text: bytes) -> dict[str, str]:
        return {"x-grafana-alerting-signature": hmac.new(key.encode(), text, hashlib.sha256).hexdigest()}

    def timed(at: str) -> dict[str, str]:
        return {**signature(KEY, f"{at}:".encode() + body), "x-grafana-alerting-signature-timestamp": at}

    for headers, status in (
        (signature(KEY, body), 200), (timed(now), 200), (signature("x" * 32, body), 401), (timed("1700000000"), 401),
        ({**timed(now), **signature(KEY, body)}, 401), (timed("soon"), 401), ({}, 200),
        ({"x-grafana-alerting-signature": "\u00e4"}, 401),
    ):  # fmt: skip
        answer = await stage.call("POST", ALERTMANAGER, body, token=None, headers=headers)
        assert answer.status == status, (headers, answer.text)


async def test_cloudevents(stage: Stage) -> None:
    path = EVENTS.replace("/events", "/cloudevents")
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/db-1",
        "type": "disk.full",
        "data": {"title": "disk"},
    }
    structured = {"content-type": "application/cloudevents+json; charset=utf-8"}
    answer = await stage.call("POST", path, event, token=None, headers=structured)
    assert (answer.status, answer.json) == (202, {"accepted": 1, "refused": []})
    binary = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/db-1", "ce-type": "disk.full"}
    assert (await stage.call("POST", path, {"title": "disk"}, token=None, headers=binary)).status == 202
    first, second = (asked.request.signals[0] for asked in stage.services.asked)
    assert first.alert == second.alert
    batched = {"content-type": "application/cloudevents-batch+json"}
    answer = await stage.call("POST", path, [event, {**event, "id": "2"}], token=None, headers=batched)
    assert answer.json["accepted"] == 2
    assert (await stage.call("POST", path, [], token=None, headers=batched)).json["accepted"] == 0
    wrong = await stage.call("POST", path, {**event, "id": ""}, token=None, headers=structured)
    assert (wrong.status, wrong.wrong) == (400, {"id": "is missing or blank"})
    asked = {"webhook-request-origin": "eventemitter.example.com"}
    agreed = await stage.call("OPTIONS", path, token=None, headers=asked)
    assert (agreed.status, agreed.headers["webhook-allowed-origin"]) == (204, "eventemitter.example.com")


async def test_opsgenie(stage: Stage) -> None:
    genie = {"authorization": f"GenieKey {KEY}"}
    answer = await stage.call("POST", "/v2/alerts", {"message": "disk", "alias": "a/b"}, headers=genie)
    assert (answer.status, answer.json["result"]) == (202, "Request will be processed")
    assert set(answer.json) == {"result", "took", "requestId"}
    for verb, action in (("close", Signal.RESOLVE), ("acknowledge", Signal.ACKNOWLEDGE)):
        path = f"/v2/alerts/a%2Fb/{verb}?identifierType=alias"
        assert (await stage.call("POST", path, headers=genie)).status == 202
        (signal,) = stage.services.last.signals
        assert (signal.action, signal.alert.dedup_key) == (action, "a/b")
    wrong = await stage.call("POST", "/v2/alerts", {"alias": "x"}, headers=genie)
    assert (wrong.status, wrong.json["errors"]) == (422, {"message": "can not be empty"})
    changes: list[tuple[str, str, dict[str, str], str]] = [
        ("POST", "notes", {"note": "vendor called", "user": "ada"}, "by ada: vendor called"),
        ("PUT", "message", {"message": "disk  fuller"}, "message: disk  fuller"),
        ("POST", "message", {"message": "disk fuller"}, "message: disk fuller"),
        ("PUT", "description", {"description": "99 %"}, "description: 99 %"),
    ]
    for method, what, body, note in changes:
        path = f"/v2/alerts/a%2Fb/{what}?identifierType=alias"
        assert (await stage.call(method, path, body, headers=genie)).status == 202
        (signal,) = stage.services.last.signals
        assert (signal.action, signal.alert.dedup_key, signal.note) == (Signal.COMMENT, "a/b", note)
        assert signal.alert.title == ("disk fuller" if what == "message" else "")
        assert signal.alert.description == body.get("description", "")
    asked = len(stage.services.asked)
    assert (await stage.call("PUT", "/v2/alerts/a/description", {}, headers=genie)).status == 202
    assert len(stage.services.asked) == asked, "an empty one is no news"
    wrong = await stage.call("POST", "/v2/alerts/a/notes", {"user": "ada"}, headers=genie)
    assert (wrong.status, wrong.json["errors"]) == (422, {"note": "can not be empty"})
    wrong = await stage.call("PUT", "/v2/alerts/a/message", {"message": ["x"]}, headers=genie)
    assert (wrong.status, wrong.json["errors"]) == (422, {"message": "is not a text"})
    assert (await stage.call("PUT", "/v2/alerts/a/notes", {"note": "x"}, headers=genie)).status == 405
    assert (await stage.call("POST", "/v2/alerts", {"message": "x"}, token=None)).status == 401
    for error, status in ((Exhausted("x"), 429), (Unavailable("x"), 503), (RuntimeError("x"), 503)):
        stage.services.play("IngestSignals", error)
        refused = await stage.call("POST", "/v2/alerts", {"message": "x"}, headers=genie)
        assert (refused.status, refused.headers["retry-after"]) == (status, "1")


async def test_pagerdutys_change_events(stage: Stage) -> None:
    body = {
        "routing_key": KEY,
        "payload": {"summary": "deployed", "timestamp": "2026-03-01T09:00:00.000+0000"},
    }
    answer = await stage.call("POST", "/v2/change/enqueue", body, token=None)
    assert (answer.status, answer.json["status"]) == (202, "success")
    wrong = await stage.call("POST", "/v2/change/enqueue/", {"payload": {}}, token=None)
    assert (wrong.status, len(wrong.json["errors"])) == (400, 2)
    assert stage.services.asked == []

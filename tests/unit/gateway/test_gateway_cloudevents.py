"""CloudEvents over HTTP in their three modes, the examples of the specification among them, and anything at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Invalid
from services.gateway.intake import cloudevents, events
from services.gateway.intake.signal import Action, Severity, Signal
from tests.unit.gateway.anything import ANY, TEXT, accepted

EVENT: dict[str, Any] = {
    "specversion": "1.0", "type": "com.example.disk.full", "source": "/hosts/db-1", "subject": "/data", "id": "A234",
    "time": "2026-04-05T17:31:00Z", "comexampleextension1": "value", "comexampleothervalue": 5,
}  # fmt: skip


def test_an_event_of_the_specification() -> None:
    event = {**EVENT, "datacontenttype": "text/xml", "data": '<much wow="xml"/>'}
    assert cloudevents.one(event) == Signal(
        Action.TRIGGER,
        cloudevents.one(EVENT).dedup_key,
        title="com.example.disk.full: /data",
        description='<much wow="xml"/>',
        severity=Severity.MEDIUM,
        source="/hosts/db-1",
        labels={
            "type": "com.example.disk.full", "subject": "/data", "comexampleextension1": "value",
            "comexampleothervalue": "5",
        },
    )  # fmt: skip


def test_data_in_the_words_of_the_plain_form() -> None:
    data = {
        "title": "disk",
        "severity": "high",
        "dedup_key": "db-1/disk",
        "labels": {"team": "db"},
        "source": "cron",
    }
    found = cloudevents.one({**EVENT, "data": data})
    assert (found.title, found.severity, found.dedup_key) == ("disk", Severity.HIGH, "db-1/disk")
    assert (found.source, found.labels["team"], found.description) == ("cron", "db", "")
    other = cloudevents.one({**EVENT, "severity": "critical", "data": {"free": 0.03}})
    assert (other.severity, other.description) == (Severity.CRITICAL, '{"free": 0.03}')


@pytest.mark.parametrize(
    ("kind", "data", "action"),
    [
        ("disk.full", None, "TRIGGER"), ("disk.resolved", None, "RESOLVE"), ("disk-recovered", None, "RESOLVE"),
        ("alert.acknowledged", None, "ACKNOWLEDGE"), ("disk.resolved", {"action": "trigger"}, "TRIGGER"),
        ("disk.full", {"action": "RESOLVE"}, "RESOLVE"), ("look", None, "TRIGGER"),
    ],
)  # fmt: skip
def test_what_an_event_asks_for(kind: str, data: object, action: str) -> None:
    assert cloudevents.one({**EVENT, "type": kind, "data": data}).action is Action(action)


def test_what_an_event_is_about() -> None:
    full = cloudevents.one(EVENT)
    assert (
        cloudevents.one({**EVENT, "type": "com.example.disk.resolved", "id": "B1"}).dedup_key
        == full.dedup_key
    )
    assert cloudevents.one({**EVENT, "subject": "/var"}).dedup_key != full.dedup_key
    nameless = {name: value for name, value in EVENT.items() if name != "subject"}
    assert cloudevents.one(nameless).dedup_key == cloudevents.one(nameless).dedup_key
    assert cloudevents.one(nameless).dedup_key != cloudevents.one({**nameless, "id": "B1"}).dedup_key
    assert cloudevents.one({**EVENT, "dedupkey": "k"}).dedup_key == "k"


def test_binary_mode() -> None:
    headers = {"ce-specversion": "1.0", "ce-type": "disk.full", "ce-source": "/db", "ce-id": "1",
               "ce-subject": "Euro%20%E2%82%AC", "content-type": "application/json; charset=utf-8", "host": "x"}  # fmt: skip
    event = cloudevents.binary(headers, b'{"title": "disk"}')
    assert event is not None
    found = cloudevents.one(event)
    assert (found.title, found.labels["subject"]) == ("disk", "Euro €")
    with pytest.raises(Invalid) as raised:
        cloudevents.one(cloudevents.binary(headers, b"{nope"))
    assert raised.value.fields[0].path == "data"
    text = cloudevents.binary({**headers, "content-type": "text/plain"}, b"it is full")
    assert cloudevents.one(text).description == "it is full"
    assert (
        cloudevents.one(cloudevents.binary({**headers, "content-type": "image/png"}, b"\xff")).description
        == ""
    )
    assert cloudevents.binary({"content-type": "application/json"}, b"{}") is None


def test_a_batch() -> None:
    assert cloudevents.batch([]) == []
    assert [one.action for one in cloudevents.batch([EVENT, {**EVENT, "type": "x.ok"}])] == [
        Action.TRIGGER,
        Action.RESOLVE,
    ]
    with pytest.raises(Invalid) as raised:
        cloudevents.batch([EVENT, {"specversion": "0.3"}, 5, {**EVENT, "data": {"action": "explode"}}])
    assert [field.path for field in raised.value.fields] == [
        "[1].specversion", "[1].id", "[1].source", "[1].type", "[2].body", "[3].action",
    ]  # fmt: skip
    with pytest.raises(Invalid):
        cloudevents.batch([EVENT] * 1001)
    with pytest.raises(Invalid):
        cloudevents.batch({"events": []})


@given(
    ANY
    | st.fixed_dictionaries(
        {"specversion": st.just("1.0"), "id": TEXT, "source": TEXT, "type": TEXT},
        optional={
            "subject": TEXT | ANY, "data": ANY | st.dictionaries(st.sampled_from([*events.TEXTS, "action", "labels"]), ANY),
            "data_base64": TEXT | ANY, "severity": ANY, "dedupkey": ANY, "datacontenttype": TEXT | ANY,
        },
    )
)  # fmt: skip
def test_nothing_breaks_an_event(body: object) -> None:
    try:
        found = cloudevents.one(body)
    except Invalid as problem:
        json.dumps([field.description for field in problem.fields]).encode()
        return
    accepted([found])

"""The adapters against recorded bodies and against anything at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Invalid
from services.gateway.intake import alertmanager, events, pagerduty, signal
from services.gateway.intake.signal import Action, Severity, Signal
from tests.unit.gateway.anything import ANY, TEXT, WORDS, accepted

DATA = Path(__file__).parents[2] / "data" / "gateway"


def recorded(name: str) -> Any:
    """A body as it was recorded."""
    return json.loads((DATA / name).read_bytes())


def test_a_real_alertmanager_body() -> None:
    first, second = alertmanager.signals(recorded("alertmanager_webhook_firing.json"))
    assert first == Signal(
        Action.TRIGGER,
        "b1c11497b32ce15e",
        title="5xx above 5%",
        description="täst ✓\n\nRunbook: https://runbooks.example/high-errors\n"
        "Query: http://prom.example/graph?g0.expr=up",
        severity=Severity.CRITICAL,
        source="alertmanager/both",
        labels={
            "alertname": "HighErrorRate", "instance": "web-1", "service": "checkout", "severity": "critical",
        },
    )  # fmt: skip
    assert (second.dedup_key, second.labels["instance"]) == ("5308e11450d376b3", "web-2")


def test_a_real_grafana_body() -> None:
    firing, resolved = alertmanager.signals(recorded("grafana_webhook.json"))
    assert (firing.action, firing.dedup_key, firing.source) == (
        Action.TRIGGER,
        "c6eadffa33fcdf37",
        "grafana/tocsin",
    )
    assert firing.title == "This alert was triggered for zone us-1"
    assert "[ metric='' labels={} value=44.2 ]" in firing.description
    assert "Silence: https://play.grafana.org/" in firing.description
    assert (resolved.action, resolved.dedup_key) == (Action.RESOLVE, "bc97ff14869b13e3")


def test_each_alert_goes_by_its_own_status() -> None:
    """A group stays firing while alerts in it are resolved."""
    body = recorded("alertmanager_webhook_firing.json")
    body["alerts"][0]["status"] = "resolved"
    assert [one.action for one in alertmanager.signals(body)] == [Action.RESOLVE, Action.TRIGGER]


def test_alerts_without_fingerprint_title_or_labels() -> None:
    body = {
        "status": "firing",
        "alerts": [{}, {"labels": {"a": "1"}}, {"labels": {"a": "1"}, "annotations": 5}],
    }
    nameless, one, same = alertmanager.signals(body)
    assert nameless.title == "alert without a name"
    assert one.dedup_key == same.dedup_key != nameless.dedup_key
    assert len(one.dedup_key) == 64
    titled = alertmanager.signals(
        {"alerts": [{"labels": {"alertname": "Disk"}, "annotations": {"summary": " "}}]}
    )
    assert titled[0].title == "Disk"


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("critical", "CRITICAL"), ("error", "HIGH"), ("warning", "MEDIUM"), ("info", "INFO"), ("page", "CRITICAL"),
        ("high", "HIGH"), ("low", "LOW"), ("none", "INFO"), ("Critical", "CRITICAL"), ("sev1", "MEDIUM"),
        (None, "MEDIUM"), (5, "MEDIUM"), ([], "MEDIUM"),
    ],
)  # fmt: skip
def test_severities(word: object, severity: str) -> None:
    assert signal.severity(word) is Severity(severity)


def test_what_is_too_long_is_cut() -> None:
    body = {
        "alerts": [
            {
                "fingerprint": "f" * 300,
                "labels": {f"label{i}": "v" * 2000 for i in range(100)} | {"n" * 200: None},
                "annotations": {"summary": "s" * 2000, "description": "ä" * 100_000},
            }
        ]
    }
    (cut,) = alertmanager.signals(body)
    assert len(cut.title) == signal.MOST_TITLE
    assert len(cut.description.encode()) <= signal.MOST_DESCRIPTION
    assert len(cut.labels) == signal.MOST_LABELS
    assert {len(value) for value in cut.labels.values()} == {signal.MOST_LABEL_VALUE}
    assert len(cut.dedup_key) == 64


@pytest.mark.parametrize("body", [None, [], "x", {}, {"alerts": {}}, {"alerts": []}, {"alerts": [1]}])
def test_what_is_no_webhook(body: object) -> None:
    with pytest.raises(Invalid):
        alertmanager.signals(body)


def test_a_real_pagerduty_event_of_alertmanager() -> None:
    key, trigger = pagerduty.event(recorded("pagerduty_trigger.json"))
    assert key == "0123456789abcdef0123456789abcdef"
    assert (trigger.action, trigger.severity, trigger.source) == (
        Action.TRIGGER,
        Severity.CRITICAL,
        "Alertmanager",
    )
    assert trigger.title == "[FIRING:2] HighErrorRate checkout (critical)"
    assert trigger.dedup_key.startswith("97510b41")
    assert trigger.labels == {"num_firing": "2", "num_resolved": "0"}
    assert "description = täst ✓" in trigger.description
    assert "Sent by Alertmanager http://vm:19093/#/alerts?receiver=both" in trigger.description


def test_a_full_pagerduty_event() -> None:
    payload = {
        "summary": "DISK at 99%", "source": "prod-1", "severity": "error", "timestamp": "2015-07-17T08:42:58.315+0000",
        "component": "postgres", "group": "prod", "class": "disk", "custom_details": {"free": 1.5, "list": [1]},
    }  # fmt: skip
    links = [{"href": "https://x.example/1", "text": "graph"}, 5]
    images = [{"src": "https://x.example/i.png", "alt": "chart"}]
    body = {
        "routing_key": "k" * 32,
        "event_action": "trigger",
        "payload": payload,
        "links": links,
        "images": images,
    }
    _, trigger = pagerduty.event(body)
    assert trigger.labels == {"component": "postgres", "group": "prod", "class": "disk", "free": "1.5"}
    assert trigger.severity is Severity.HIGH
    assert trigger.description == (
        "free: 1.5\nlist: [1]\n\ngraph https://x.example/1\n5\nchart https://x.example/i.png\n"
        "Happened at 2015-07-17T08:42:58.315+0000"
    )
    assert len(trigger.dedup_key) == 32


@pytest.mark.parametrize(
    ("word", "action"), [("acknowledge", Action.ACKNOWLEDGE), ("resolve", Action.RESOLVE)]
)
def test_acknowledge_and_resolve_need_no_payload(word: str, action: Action) -> None:
    body = {"routing_key": "k" * 32, "event_action": word, "dedup_key": "d"}
    assert pagerduty.event(body)[1].action is action
    assert pagerduty.event({**body, "payload": {"summary": ""}})[1].dedup_key == "d"
    with pytest.raises(pagerduty.InvalidEvent, match="dedup_key"):
        pagerduty.event({**body, "dedup_key": " "})


def test_everything_wrong_with_a_pagerduty_event_is_told() -> None:
    with pytest.raises(pagerduty.InvalidEvent) as raised:
        pagerduty.event(
            {"routing_key": "short", "event_action": "trigger", "payload": {"summary": "s" * 1025}}
        )
    assert raised.value.errors == [
        "Length of 'routing_key' is incorrect (should be 32 characters)",
        "'payload.source' is missing or blank",
        "'payload.severity' is missing or blank",
        "'payload.summary' is too long (maximum is 1024 characters)",
    ]
    with pytest.raises(pagerduty.InvalidEvent) as raised:
        pagerduty.event({"event_action": [], "dedup_key": "d" * 256})
    assert len(raised.value.errors) == 3


def test_the_plain_form() -> None:
    (trigger,) = events.signals(
        {"title": "disk", "severity": "high", "labels": {"n": 1, "b": True}, "extra": 1}
    )
    assert (trigger.title, trigger.severity, trigger.labels) == (
        "disk",
        Severity.HIGH,
        {"n": "1", "b": "true"},
    )
    assert len(trigger.dedup_key) == 32
    (resolve,) = events.signals({"action": "resolve", "dedup_key": "d", "note": "fixed"})
    assert resolve == Signal(Action.RESOLVE, "d", note="fixed")


def test_everything_wrong_with_the_plain_form_is_told() -> None:
    with pytest.raises(Invalid) as raised:
        events.signals({"action": "EXPLODE", "labels": [1], "description": {}, "dedup_key": "d" * 256})
    assert {field.path for field in raised.value.fields} == {
        "action", "labels", "description", "dedup_key", "title",
    }  # fmt: skip
    with pytest.raises(Invalid):
        events.signals({"action": "ACKNOWLEDGE"})
    with pytest.raises(Invalid):
        events.signals([])


ALERT = st.dictionaries(WORDS, ANY, max_size=8)
EVENT = st.fixed_dictionaries(
    {"routing_key": st.just("k" * 32), "event_action": st.sampled_from(["trigger", "resolve"])},
    optional={
        "dedup_key": ANY, "client": ANY, "links": ANY, "images": ANY,
        "payload": st.fixed_dictionaries(
            {"summary": ANY | TEXT, "source": TEXT, "severity": TEXT},
            optional={"custom_details": ANY, "timestamp": ANY, "class": ANY},
        ),
    },
)  # fmt: skip


@given(ANY | st.fixed_dictionaries({"alerts": st.lists(ALERT, max_size=3)}, optional={"receiver": ANY}))
def test_nothing_breaks_alertmanagers_adapter(body: object) -> None:
    try:
        found = alertmanager.signals(body)
    except Invalid:
        return
    accepted(found)


@given(ANY | EVENT)
def test_nothing_breaks_pagerdutys_adapter(body: object) -> None:
    try:
        key, found = pagerduty.event(body)
    except pagerduty.InvalidEvent as problem:
        json.dumps(problem.errors).encode()
        return
    assert len(key) == 32
    accepted([found])


@given(ANY | st.dictionaries(st.sampled_from([*events.TEXTS, "action", "labels"]), ANY))
def test_nothing_breaks_the_plain_form(body: object) -> None:
    try:
        found = events.signals(body)
    except Invalid:
        return
    accepted(found)

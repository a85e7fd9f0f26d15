"""Opsgenie's alert API against recorded bodies and against anything at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Invalid
from services.gateway.intake import opsgenie, signal
from services.gateway.intake.signal import Action, Severity, Signal
from tests.unit.gateway.anything import ANY, TEXT, accepted

DATA = Path(__file__).parents[2] / "data" / "gateway"


def test_a_real_alert_of_alertmanager() -> None:
    body = json.loads((DATA / "opsgenie_alertmanager.json").read_bytes())
    trigger = opsgenie.created(body)
    assert (trigger.action, trigger.severity) == (Action.TRIGGER, Severity.CRITICAL)
    assert trigger.dedup_key == body["alias"]
    assert trigger.title == "[FIRING:1] HighErrorRate web-1 checkout critical web"
    assert (trigger.labels["alertname"], trigger.labels["team"]) == ("HighErrorRate", "web")
    assert trigger.source.startswith("http://")


def test_a_full_alert() -> None:
    body = {
        "message": "An example alert message", "alias": "Life is too short for no alias", "description": "Every alert…",
        "responders": [{"id": "4513b7ea", "type": "team"}], "visibleTo": [{"id": "x", "type": "user"}],
        "actions": ["Restart"], "tags": ["OverwriteQuietHours", "Critical"], "details": {"key1": "value1", "n": 2},
        "entity": "An example entity", "priority": "P1", "source": "ci", "user": "ada", "note": "look", "new": [1],
    }  # fmt: skip
    assert opsgenie.created(body) == Signal(
        Action.TRIGGER,
        "Life is too short for no alias",
        title="An example alert message",
        description="Every alert…\n\nlook",
        severity=Severity.CRITICAL,
        source="ci",
        labels={
            "key1": "value1",
            "n": "2",
            "entity": "An example entity",
            "tags": "OverwriteQuietHours, Critical",
        },
    )


@pytest.mark.parametrize(
    ("said", "severity"),
    [
        ({"priority": "P1"}, "CRITICAL"), ({"priority": "P2"}, "HIGH"), ({"priority": "P3"}, "MEDIUM"),
        ({"priority": "P4"}, "LOW"), ({"priority": "p5"}, "INFO"), ({}, "MEDIUM"),
        ({"details": {"severity": "critical"}}, "CRITICAL"),
        ({"priority": "P5", "details": {"severity": "critical"}}, "INFO"),
    ],
)  # fmt: skip
def test_priorities(said: dict[str, Any], severity: str) -> None:
    assert opsgenie.created({"message": "x", **said}).severity is Severity(severity)


def test_aliases() -> None:
    long = "a" * 500
    opened = opsgenie.created({"message": "x", "alias": long})
    closed = opsgenie.acted(Action.RESOLVE, long, {})
    assert opened.dedup_key == closed.dedup_key != long
    assert len(opened.dedup_key) <= signal.MOST_KEY
    assert opsgenie.created({"message": "x"}).dedup_key != opsgenie.created({"message": "x"}).dedup_key


def test_who_acted() -> None:
    acted = opsgenie.acted(Action.ACKNOWLEDGE, "k", {"user": "ada", "note": "mine", "source": "ci"})
    assert acted == Signal(Action.ACKNOWLEDGE, "k", note="by ada: mine")
    assert opsgenie.acted(Action.RESOLVE, "k", {"source": "Alertmanager"}).note == "by Alertmanager"


def test_everything_wrong_is_told() -> None:
    with pytest.raises(Invalid) as raised:
        opsgenie.created({"message": " ", "priority": "P9", "description": []})
    assert {field.path for field in raised.value.fields} == {"message", "priority", "description"}
    bodies: list[Any] = [None, [], "x"]
    for body in bodies:
        with pytest.raises(Invalid):
            opsgenie.created(body)
        with pytest.raises(Invalid):
            opsgenie.acted(Action.RESOLVE, "k", body)
    with pytest.raises(Invalid):
        opsgenie.acted(Action.RESOLVE, " ", {})


@given(
    ANY
    | st.fixed_dictionaries(
        {"message": ANY | TEXT},
        optional=dict.fromkeys((*opsgenie.TEXTS[1:], "details", "tags", "responders"), ANY),
    )
)
def test_nothing_breaks_an_alert(body: object) -> None:
    try:
        found = opsgenie.created(body)
    except Invalid as problem:
        json.dumps([field.description for field in problem.fields]).encode()
        return
    accepted([found])


@given(
    TEXT,
    ANY | st.fixed_dictionaries({"message": ANY, "description": ANY, "note": ANY, "user": ANY}),
    st.sampled_from(
        [
            lambda *given: [opsgenie.acted(Action.RESOLVE, *given)],
            lambda *given: [opsgenie.noted(*given)],
            lambda *given: opsgenie.reworded("message", *given),
            lambda *given: opsgenie.reworded("description", *given),
        ]
    ),
)
def test_nothing_breaks_an_action(
    identifier: str, body: object, act: Callable[[str, object], list[Signal]]
) -> None:
    try:
        found = act(signal.text(identifier), body)
    except Invalid:
        return
    accepted(found)
    assert all(one.note.strip() for one in found if one.action is Action.COMMENT)

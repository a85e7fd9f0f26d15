"""A file is read as it is meant, the plan is what differs and no more, and an export read again is the same."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.api import BASE, Json
from cli.declared import document
from cli.declared.document import Declared, Wrong
from cli.declared.kinds import KINDS
from cli.declared.plan import plan
from services.gateway import contract

NOTHING: dict[str, list[Json]] = {kind.section: [] for kind in KINDS}
FILE = """
responders:
  - {responder_id: ada, display_name: Ada, time_zone: Europe/London}
teams:
  - {team_id: web, responder_ids: [ada], manager_ids: [ada]}
schedules:
  - schedule_id: web
    team_id: web
    layers:
      - name: primary
        responder_ids: [ada]
        rotation: {unit: DAILY, start: 2026-03-01T09:00}
        restrictions: [{weekdays: [MON], start_time: 08:00, end_time: 17:00}]
escalation_policies:
  - policy_id: web
    steps: [{targets: ["oncall://web"]}]
    handover: OFF
integrations:
  - {integration_id: prom, policy_id: web, labels: {team: web, empty: ""}}
"""
SERVER: dict[str, list[Json]] = NOTHING | {
    "responders": [
        {"responder_id": "ada", "display_name": "Ada", "time_zone": "Europe/London", "created_at": "2026"}
    ],
    "teams": [{"team_id": "web", "display_name": "web", "responder_ids": ["ada"], "manager_ids": ["ada"]}],
    "schedules": [
        {"schedule_id": "default", "display_name": "default", "time_zone": "UTC", "layers": []},
        {
            "schedule_id": "web",
            "display_name": "web",
            "time_zone": "UTC",
            "layers": [
                {
                    "name": "primary",
                    "responder_ids": ["ada"],
                    "rotation": {
                        "unit": "DAILY",
                        "length": 1,
                        "start": "2026-03-01T09:00",
                        "active_days_only": False,
                    },
                    "restrictions": [{"weekdays": ["MON"], "start_time": "08:00", "end_time": "17:00"}],
                    "time_off": "SKIP",
                }
            ],
            "created_at": "2026",
            "team_id": "web",
        },
    ],
    "escalation_policies": [
        {
            "policy_id": "web",
            "display_name": "web",
            "matchers": [],
            "priority": 0,
            "steps": [{"targets": ["oncall://web"], "ack_timeout": "300s"}],
            "repeat_count": 0,
            "repeat_trigger": None,
            "handover": "OFF",
            "created_at": "2026",
            "updated_at": "2026",
            "team_id": "",
        }
    ],
    "aggregation_rules": [],
    "integrations": [
        {
            "integration_id": "prom",
            "display_name": "prom",
            "policy_id": "web",
            "routing_key": "",
            "labels": {"empty": "", "team": "web"},
        }
    ],
}


def planned(current: dict[str, list[Json]], wanted: Declared, *, prune: bool = False) -> list[str]:
    """The plan as it is shown."""
    return [str(step) for step in plan(current, wanted, prune=prune)]


def test_yaml_is_read_without_surprises() -> None:
    read = document.read(FILE)
    restriction = read["schedules"][0]["layers"][0]["restrictions"][0]
    assert (restriction["start_time"], restriction["end_time"]) == ("08:00", "17:00")
    assert read["schedules"][0]["layers"][0]["rotation"]["start"] == "2026-03-01T09:00"
    assert read["escalation_policies"][0]["handover"] == "OFF"
    assert document.read("responders:\nschedules: []\n") == {"responders": [], "schedules": []}
    assert document.read("") == {}


def test_what_is_not_there_is_made_in_the_order_in_which_it_is_named() -> None:
    assert planned(NOTHING, document.read(FILE)) == [
        "+ responder ada",
        "+ team web",
        "+ schedule web",
        "+ policy web",
        "+ integration prom",
    ]


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert planned(SERVER, document.read(FILE)) == []


def test_differences_are_named_by_field() -> None:
    wanted = document.read(FILE)
    wanted["responders"][0] = {"responder_id": "ada"}
    wanted["escalation_policies"][0]["steps"][0]["ack_timeout"] = "60s"
    wanted["integrations"][0]["labels"]["team"] = "db"
    assert planned(SERVER, wanted) == [
        "~ responder ada: display_name, time_zone",
        "~ policy web: steps",
        "~ integration prom: labels",
    ]


def test_what_cannot_be_changed_is_refused() -> None:
    method = {"contact_method_id": "m", "responder_id": "ada", "channel": "EMAIL", "address": "a@x.example"}
    target = {"target_id": "t", "acknowledge_within": "300s"}
    there = SERVER | {
        "contact_methods": [{**method, "enabled": True, "delay": "0s"}],
        "sla_targets": [target],
    }
    same: Declared = {"contact_methods": [{**method, "secret": "whsec_x"}], "sla_targets": [target]}
    assert planned(there, same) == []
    wanted: Declared = {
        "contact_methods": [{**method, "address": "b@x.example", "enabled": False}],
        "sla_targets": [{**target, "acknowledge_within": "60s"}],
    }
    assert planned(there, wanted) == [
        "~ contact method m: address, enabled",
        "! SLA target t: acknowledge_within cannot be changed; delete it first, and it is made anew",
    ]
    wanted["contact_methods"][0]["channel"] = "CHAT"
    assert planned(there, wanted)[0].startswith("! contact method m: channel")


def test_every_field_that_people_may_set_can_be_declared() -> None:
    spoken = contract.load()
    made = {rule.template.text: rule.method.output_type for rule in spoken.rules if rule.verb == "POST"}
    for kind in KINDS:
        fields = made[f"{BASE}{kind.path}"].fields
        settable = {field.name for field in fields if not spoken.output_only(field)} - {"etag"}
        assert settable == {kind.identity, *kind.fields, *filter(None, [kind.unread])}, kind.section


def test_the_example_has_every_section_and_field() -> None:
    """What the system test sends in and gets back."""
    everything = document.read((Path(__file__).parents[2] / "data" / "everything.yaml").read_text())
    for kind in KINDS:
        said = {name for one in everything[kind.section] for name in one}
        assert said == {kind.identity, *kind.fields, *filter(None, [kind.unread])}, kind.section


def test_nothing_is_deleted_unless_asked_for_nor_of_other_sections_nor_what_always_exists() -> None:
    wanted: Declared = {"schedules": [], "integrations": []}
    assert planned(SERVER, wanted) == []
    assert planned(SERVER, wanted, prune=True) == ["- integration prom", "- schedule web"]


def exported(current: dict[str, list[Json]]) -> Declared:
    """What `tocsin export` writes."""
    return {kind.section: [kind.normal(one) for one in current[kind.section]] for kind in KINDS}


def test_an_export_is_the_shortest_file_that_changes_nothing() -> None:
    text = document.write(exported(SERVER))
    read = document.read(text)
    assert planned(SERVER, read) == []
    assert "created_at" not in text
    assert "routing_key" not in text
    assert read["schedules"][0] == {"schedule_id": "default"}
    assert read["integrations"][0]["labels"] == {"empty": "", "team": "web"}
    assert document.write(read) == text


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12) | st.sampled_from(
    ["off", "1e3", "17:00", "0x1f", "08", "null", "~", "2026-03-01", "true", "=", "- a", "yes", "1_000"]
)


@given(WORDS, st.dictionaries(WORDS, WORDS, max_size=3), st.integers(0, 1000))
def test_any_words_and_numbers_survive_the_file(name: str, labels: dict[str, str], priority: int) -> None:
    declared: dict[str, list[Any]] = {
        "escalation_policies": [{"policy_id": "p", "display_name": name, "priority": priority}],
        "integrations": [{"integration_id": "i", "labels": labels}],
    }
    assert document.read(document.write(declared)) == declared


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("]", ["is not YAML"]),
        ("[]", ["holds no sections"]),
        ("responder: []", ["responder: is no section"]),
        ("responders: {}", ["responders: is no list"]),
        (
            "responders: [3, {display_name: x}, {responder_id: a, tz: b}, {responder_id: a}]",
            [
                "responders[0]: is no responder",
                "responders[1]: has no responder_id",
                "responders[2]: 'tz' is no field",
                "responders[3]: responder_id 'a' is there twice",
            ],
        ),
        ("x: !!python/object/apply:os.system ['true']", ["is not YAML"]),
    ],
)
def test_every_mistake_is_named(text: str, complaints: list[str]) -> None:
    with pytest.raises(Wrong) as wrong:
        document.read(text)
    for complaint in complaints:
        assert complaint in str(wrong.value)

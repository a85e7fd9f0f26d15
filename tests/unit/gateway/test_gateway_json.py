"""JSON into messages and back: everything wrong at once, and whatever is valid survives the way there and back."""

import json
from typing import Any

from google.protobuf import descriptor_pb2, json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.printing import Printer, encoded
from services.gateway.reading import MOST_PROBLEMS, Reader, Wrong
from tocsin.escalation.v1 import alert_pb2, alert_service_pb2, integration_service_pb2, policy_pb2
from tocsin.notify.v1 import contact_method_pb2
from tocsin.roster.v1 import schedule_pb2
from tocsin.sla.v1 import sla_pb2


def type_of(message: Message) -> Any:
    """The type of a message."""
    return message.DESCRIPTOR


def read(message: Message, value: object) -> dict[str, str]:
    """The wrong fields."""
    wrong = Wrong()
    Reader(type_of(message)).fill(message, value, "", wrong)
    return {field.path: field.description for field in wrong.found}


def test_every_wrong_field_is_named_at_once() -> None:
    found = read(
        schedule_pb2.Schedule(),
        {
            "titel": 1,
            "display_nam": "x",
            "time_zone": 5,
            "layers": [
                {"rotation": {"unit": "FORTNIGHTLY", "length": "many"}, "responder_ids": ["a", None, 3]},
                "layer",
            ],
            "created_at": "yesterday",
        },
    )
    assert found == {
        "titel": "is not a field of Schedule",
        "display_nam": "is not a field of Schedule; did you mean 'display_name'?",
        "time_zone": "is a number; want a string",
        "layers[0].rotation.unit": "is 'FORTNIGHTLY'; want one of HOURLY, DAILY, WEEKLY, MONTHLY",
        "layers[0].rotation.length": "is 'many'; want a whole number",
        "layers[0].responder_ids[1]": "is null; want a value",
        "layers[0].responder_ids[2]": "is a number; want a string",
        "layers[1]": "is a string; want an object",
        "created_at": "is 'yesterday'; want an RFC 3339 time such as '2026-03-01T09:00:00Z'",
    }


def test_maps_lists_and_shapes() -> None:
    assert read(alert_service_pb2.TriggerAlertRequest(), {"labels": {"a": 1, "b": "x"}}) == {
        "labels['a']": "is a number; want a string"
    }
    assert read(alert_service_pb2.TriggerAlertRequest(), {"labels": ["a"]}) == {
        "labels": "is a list; want an object"
    }
    assert read(policy_pb2.EscalationPolicy(), {"steps": {"a": 1}, "matchers": "x"}) == {
        "steps": "is an object; want a list",
        "matchers": "is a string; want a list",
    }
    assert read(policy_pb2.EscalationPolicy(), [1]) == {"body": "is a list; want an object"}


def test_both_spellings_are_accepted_but_not_together() -> None:
    policy = policy_pb2.EscalationPolicy()
    assert read(policy, {"policyId": "p", "display_name": "P", "repeatTrigger": {"window": "300s"}}) == {}
    assert (policy.policy_id, policy.display_name, policy.repeat_trigger.window.seconds) == ("p", "P", 300)
    assert read(policy_pb2.EscalationPolicy(), {"policyId": "p", "policy_id": "q"}) == {
        "policy_id": "is given twice, in two spellings"
    }


def test_one_of_a_choice() -> None:
    found = read(alert_service_pb2.BatchTriggerAlertsResult(), {"alert": {}, "error": {}})
    assert found == {"error": "excludes alert; give one of them"}


def test_null_leaves_a_field_unset_and_empty_objects_set_it() -> None:
    policy = policy_pb2.EscalationPolicy()
    assert (
        read(policy, {"display_name": None, "repeat_trigger": None, "steps": [{"ack_timeout": "0s"}]}) == {}
    )
    assert not policy.HasField("repeat_trigger")
    assert policy.steps[0].HasField("ack_timeout")
    assert read(policy, {"repeat_trigger": {}}) == {}
    assert policy.HasField("repeat_trigger")


def test_the_wrong_fields_that_are_named_are_limited() -> None:
    assert len(read(alert_pb2.Alert(), {f"f{i}": 1 for i in range(1000)})) == MOST_PROBLEMS
    assert len(read(policy_pb2.EscalationPolicy(), {"matchers": [1] * 1000})) == MOST_PROBLEMS


def test_unset_messages_and_optional_fields_print_as_null() -> None:
    printed = Printer(contact_method_pb2.ContactMethod.DESCRIPTOR)(contact_method_pb2.ContactMethod())
    assert printed["enabled"] is None
    assert printed["delay"] is None
    assert (printed["address"], printed["channel"]) == ("", "VALUE_UNSPECIFIED")
    statistics = Printer(sla_pb2.DurationStatistics.DESCRIPTOR)(
        sla_pb2.DurationStatistics(avg=0, p50=float("nan"))
    )
    assert statistics == {"avg": 0.0, "p50": "NaN", "p90": None, "p99": None}


def test_a_status_prints_as_the_error_object() -> None:
    status = status_pb2.Status(code=5, message="gone")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="NOT_FOUND", domain="tocsin"))
    status.details.add(type_url="type.googleapis.com/no.such.Type", value=b"x")
    printed: Any = Printer(integration_service_pb2.SignalResult.DESCRIPTOR)(
        integration_service_pb2.SignalResult(error=status)
    )
    assert printed["error"] == {
        "code": 404,
        "status": "NOT_FOUND",
        "message": "gone",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "NOT_FOUND", "domain": "tocsin"},
            {"@type": "type.googleapis.com/no.such.Type"},
        ],
    }
    unset: Any = Printer(integration_service_pb2.SignalResult.DESCRIPTOR)(
        integration_service_pb2.SignalResult()
    )
    assert unset["error"] is None


def test_every_kind_of_field_reads_and_prints_as_the_library_does() -> None:
    """Against a message with all of protobuf's older oddities: proto2, enums, lists, nesting."""
    message = descriptor_pb2.FieldDescriptorProto(name="x", number=3, json_name="X")
    message.type = descriptor_pb2.FieldDescriptorProto.TYPE_ENUM
    message.options.ctype = descriptor_pb2.FieldOptions.CORD
    printed = Printer(type_of(message))(message)
    assert {name: value for name, value in printed.items() if value is not None and name != "options"} == {
        "name": "x", "number": 3, "json_name": "X", "type": "TYPE_ENUM",
    }  # fmt: skip


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=0, max_size=8)
ALERTS = st.builds(
    alert_pb2.Alert,
    title=NAMES,
    severity=st.integers(0, 5),
    labels=st.dictionaries(NAMES, NAMES, max_size=3),
    version=st.integers(-(1 << 63), (1 << 63) - 1),
    trigger_count=st.integers(-(1 << 31), (1 << 31) - 1),
)


@given(ALERTS)
def test_what_is_printed_reads_back_here_and_in_the_library(alert: alert_pb2.Alert) -> None:
    alert.opened_at.seconds = 5
    text = encoded(Printer(alert.DESCRIPTOR)(alert))
    again = alert_pb2.Alert()
    assert read(again, json.loads(text)) == {}
    assert again == alert
    assert json_format.Parse(text, alert_pb2.Alert()) == alert


FIELDS = st.sampled_from(
    [
        "steps",
        "matchers",
        "ack_timeout",
        "targets",
        "repeat_trigger",
        "window",
        "labels",
        "requests",
        "severity",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["OPEN", "300s"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | FIELDS, inner, max_size=5)
    ),
    max_leaves=20,
)


@given(st.sampled_from([policy_pb2.EscalationPolicy, alert_service_pb2.BatchTriggerAlertsRequest]), JSON)
def test_no_json_breaks_the_reader(kind: type[Message], value: object) -> None:
    """It is read or refused, and what is refused can be told in UTF-8."""
    json.dumps(read(kind(), value), ensure_ascii=False).encode()


@given(JSON)
def test_the_reader_accepts_nothing_that_the_library_refuses(value: Any) -> None:
    ours = policy_pb2.EscalationPolicy()
    if not read(ours, value):
        assert json_format.ParseDict(value, policy_pb2.EscalationPolicy()) == ours

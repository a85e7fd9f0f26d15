"""Silences live from their start to their end; aggregation rules tell groups apart."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from chassis import wire
from chassis.errors import Invalid, Problems
from services.escalation.convert import noise as convert
from services.escalation.domain.facts import Facts
from services.escalation.domain.noise import AggregationRule, check_aggregation
from services.escalation.domain.silence import SilenceRule, SilenceState, check_silence, expire
from tocsin.escalation.v1 import noise_pb2
from tocsin.escalation.v1.noise_service_pb2 import ListSilenceRulesRequest

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)
SILENCE = SilenceRule("night", ('team="db"',), NOW, NOW + HOUR, "alice", "", NOW)
GROUPS = AggregationRule("hosts", ('team="db"',), ("host", "rack"), HOUR, NOW)


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (NOW - TICK, SilenceState.PENDING),
        (NOW, SilenceState.ACTIVE),
        (NOW + HOUR - TICK, SilenceState.ACTIVE),
        (NOW + HOUR, SilenceState.EXPIRED),
    ],
)
def test_the_state_follows_the_clock(at: datetime, state: SilenceState) -> None:
    """The start belongs to it, the end does not."""
    assert SILENCE.state(at) is state
    assert SILENCE.in_force(at) is (state is SilenceState.ACTIVE)


@pytest.mark.parametrize("at", [NOW - HOUR, NOW, NOW + TICK, NOW + HOUR, NOW + 2 * HOUR])
def test_an_expired_silence_never_silences_again(at: datetime) -> None:
    """And expiring it again changes nothing."""
    ended = expire(SILENCE, at)
    assert ended.state(at) is SilenceState.EXPIRED
    assert not any(ended.in_force(at + n * HOUR) for n in range(3))
    assert expire(ended, at + HOUR) == ended
    assert (ended == SILENCE) is (at >= SILENCE.ends_at)


@pytest.mark.parametrize(
    ("matchers", "wide"),
    [
        (('team="db"',), False),
        (('team!="db"',), True),
        (('team=~".*"',), True),
        (('team=~"db|"', 'env!~"dev"'), True),
        (('team!="db"', 'host=~".+"'), False),
        (('team!=""',), False),
        (('team=""',), True),
    ],
)
def test_a_silence_must_ask_for_something(matchers: tuple[str, ...], wide: bool) -> None:
    """One that matches alerts without any labels is refused."""
    problems = Problems()
    check_silence(replace(SILENCE, matchers=matchers), problems)
    assert [found.path for found in problems.found] == (["matchers"] if wide else [])


def test_a_silence_needs_matchers_and_an_end() -> None:
    """Everything wrong is named at once."""
    message = noise_pb2.SilenceRule(comment="x" * 1025, starts_at=wire.timestamp(NOW))
    with pytest.raises(Invalid) as raised:
        convert.silence(message, request_id="", created_by="alice", now=NOW)
    assert [field.path for field in raised.value.fields] == ["ends_at", "matchers", "comment"]


def test_a_silence_begins_now_and_is_the_callers() -> None:
    """Unless it says otherwise."""
    message = noise_pb2.SilenceRule(matchers=['a="b"'], ends_at=wire.timestamp(NOW + HOUR))
    made = convert.silence(message, request_id="", created_by="alice", now=NOW)
    assert (made.starts_at, made.created_by) == (NOW, "alice")
    assert made.silence_rule_id.startswith("silence-")
    message.created_by = "bob"
    assert convert.silence(message, request_id="", created_by="alice", now=NOW).created_by == "bob"


@pytest.mark.parametrize("ends_at", [NOW, NOW - HOUR])
def test_the_end_comes_after_the_start(ends_at: datetime) -> None:
    """An empty interval is no silence."""
    message = noise_pb2.SilenceRule(matchers=['a="b"'], ends_at=wire.timestamp(ends_at))
    with pytest.raises(Invalid, match="ends_at"):
        convert.silence(message, request_id="", created_by="alice", now=NOW)


def test_lists_ask_for_states_that_exist() -> None:
    """The unspecified one is none of them."""
    asked = ListSilenceRulesRequest(
        state=[noise_pb2.SilenceRule.State.ACTIVE, noise_pb2.SilenceRule.State.EXPIRED]
    )
    assert convert.silence_states(asked) == {SilenceState.ACTIVE, SilenceState.EXPIRED}
    with pytest.raises(Invalid, match=r"state\[0\]"):
        convert.silence_states(ListSilenceRulesRequest(state=[noise_pb2.SilenceRule.State.STATE_UNSPECIFIED]))


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ({}, []),
        ({"group_by": ()}, []),
        ({"aggregation_rule_id": "A"}, ["aggregation_rule_id"]),
        ({"matchers": ()}, ["matchers"]),
        ({"group_by": tuple(f"l{n}" for n in range(21))}, ["group_by"]),
        ({"group_by": ("host", "", "host")}, ["group_by[1]", "group_by[2]"]),
        ({"window": timedelta()}, ["window"]),
        ({"window": timedelta(hours=25)}, ["window"]),
    ],
)
def test_limits_of_aggregation(change: dict[str, object], paths: list[str]) -> None:
    """As the proto's comments say."""
    problems = Problems()
    check_aggregation(replace(GROUPS, **change), problems)  # type: ignore[arg-type]
    assert [found.path for found in problems.found] == paths


def test_a_patch_of_aggregation_changes_what_the_mask_names() -> None:
    """The window cannot be taken away."""
    message = noise_pb2.AggregationRule(group_by=["rack"])
    assert convert.changed_aggregation(GROUPS, message, FieldMask()) == replace(GROUPS, group_by=("rack",))
    with pytest.raises(Invalid, match="window"):
        convert.changed_aggregation(GROUPS, message, FieldMask(paths=["window"]))


label = st.dictionaries(st.sampled_from(["host", "rack", "other"]), st.text(max_size=3))


@given(label, label)
def test_groups_are_the_values_of_group_by(one: dict[str, str], other: dict[str, str]) -> None:
    """Two alerts share a group exactly when these values are the same; what is missing is ''."""
    keys = [GROUPS.group_of(Facts("LOW", "", "", labels)) for labels in (one, other)]
    values = [[labels.get("host", ""), labels.get("rack", "")] for labels in (one, other)]
    assert (keys[0] == keys[1]) is (values[0] == values[1])
    assert all(len(key) == 32 for key in keys)


def test_groups_can_be_made_by_severity_source_and_title() -> None:
    """Which match as labels; the fields win over labels of their names."""
    rule = replace(GROUPS, group_by=("severity",))
    facts = Facts("LOW", "", "", {"severity": "HIGH"})
    assert rule.group_of(facts) == rule.group_of(Facts("LOW", "s", "t", {}))
    assert rule.group_of(facts) != rule.group_of(Facts("HIGH", "", "", {}))


def test_no_group_by_is_one_group() -> None:
    """For every alert that matches."""
    rule = replace(GROUPS, group_by=())
    assert rule.group_of(Facts("LOW", "a", "b", {"c": "d"})) == rule.group_of(Facts("HIGH", "", "", {}))

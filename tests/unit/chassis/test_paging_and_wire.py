"""Page tokens, well-known types and shared checks."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from chassis import ids, paging, validation, wire
from chassis.errors import Invalid, Problems
from tocsin.escalation.v1 import alert_pb2, alert_service_pb2, policy_pb2
from tocsin.roster.v1 import responder_pb2

INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(("asked", "size"), [(0, 50), (1, 1), (1000, 1000), (5000, 1000)])
def test_page_sizes(asked: int, size: int) -> None:
    """Default 50, at most 1000 (AIP-158)."""
    assert paging.size(asked) == size


@given(st.lists(st.text(), min_size=2, max_size=2))
def test_a_token_says_after_which_row(key: list[str]) -> None:
    """And there is none on the last page."""
    rows, token = paging.page([1, 2, 3], 2, key)
    assert rows == [1, 2]
    assert paging.after(token, 2) == key
    assert paging.page([1, 2], 2, key) == ([1, 2], "")


def test_a_token_serves_the_list_and_the_filters_that_made_it() -> None:
    """Another method, or another filter, refuses it; another page size does not (AIP-158)."""
    asked = alert_service_pb2.ListAlertsRequest(source="db", page_size=2)
    paging.enter("/List", asked)
    _, token = paging.page([1, 2, 3], 2, ["k"])
    paging.enter("/List", alert_service_pb2.ListAlertsRequest(source="db", page_size=5, page_token=token))
    assert paging.after(token, 1) == ["k"]
    for method, source in (("/Other", "db"), ("/List", "web")):
        paging.enter(method, alert_service_pb2.ListAlertsRequest(source=source))
        with pytest.raises(Invalid):
            paging.after(token, 1)


def test_times_that_no_calendar_has_are_named() -> None:
    """Protobuf carries more than Python's datetime."""
    for seconds, nanos in ((10**15, 0), (-(10**15), 0), (0, -5), (0, 10**9)):
        with pytest.raises(Invalid) as refused:
            wire.instant(alert_pb2.Alert(opened_at=Timestamp(seconds=seconds, nanos=nanos)), "opened_at")
        assert refused.value.fields[0].path == "opened_at"
    with pytest.raises(Invalid):
        wire.length(policy_pb2.EscalationStep(ack_timeout=Duration(seconds=10**17)), "ack_timeout")


@pytest.mark.parametrize("token", ["nonsense", "W10=", "eyJhIjogMX0=", "ÿ", "WyJhIiwgMV0="])
def test_a_token_that_no_list_made_is_refused(token: str) -> None:
    """Naming the field."""
    with pytest.raises(Invalid) as refused:
        paging.after(token, 2)
    assert refused.value.fields[0].path == "page_token"
    with pytest.raises(Invalid):
        paging.size(-1)


@given(INSTANTS)
def test_instants_survive_the_wire(at: datetime) -> None:
    """To the microsecond."""
    alert = alert_pb2.Alert(opened_at=wire.timestamp(at))
    assert wire.instant(alert, "opened_at") == at
    assert wire.instant(alert_pb2.Alert(), "opened_at") is None


@given(st.timedeltas(timedelta(-100), timedelta(100)))
def test_lengths_survive_the_wire(length: timedelta) -> None:
    """To the microsecond, negative ones too."""
    step = policy_pb2.EscalationStep(ack_timeout=wire.duration(length))
    assert wire.length(step, "ack_timeout") == length


def test_a_patch_changes_the_fields_of_its_mask() -> None:
    """Without a mask those that are set; what cannot be changed is a problem."""
    person = responder_pb2.Responder(responder_id="ada", display_name="Ada")
    allowed = ("display_name", "time_zone")
    problems = Problems()
    assert wire.changed(FieldMask(), person, allowed, problems) == {"display_name"}
    assert wire.changed(FieldMask(paths=["time_zone"]), person, allowed, problems) == {"time_zone"}
    assert wire.changed(FieldMask(paths=["*"]), person, allowed, problems) == set(allowed)
    problems.check()
    wire.changed(FieldMask(paths=["created_at"]), person, allowed, problems)
    with pytest.raises(Invalid):
        problems.check()


@pytest.mark.parametrize("name", ["a", "a-b", "0", "a" * 63])
def test_ids_that_people_choose(name: str) -> None:
    """CONTRACT §1."""
    problems = Problems()
    validation.name(problems, "id", name)
    problems.check()


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a_b", "a" * 64, "ä", "a\n"])
def test_what_is_no_id(name: str) -> None:
    """CONTRACT §1."""
    problems = Problems()
    validation.name(problems, "id", name)
    with pytest.raises(Invalid):
        problems.check()


def test_uuids_are_of_version_7_and_ordered_by_time() -> None:
    """RFC 9562."""
    made = [ids.uuid7() for _ in range(1000)]
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {"specified in RFC 4122"}
    assert len(set(made)) == 1000
    stamps = [one.int >> 80 for one in made]
    assert stamps == sorted(stamps)

"""The text forms of proto3 JSON: read strictly, written canonically, and one the inverse of the other."""

from collections.abc import Callable

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from services.gateway import values
from services.gateway.values import WrongValue
from tocsin.escalation.v1 import alert_pb2

NANOS = st.one_of(st.just(0), st.integers(0, 999).map(lambda n: n * 10**6), st.integers(0, 10**9 - 1))


@given(st.integers(-62_135_596_800, 253_402_300_799), NANOS)
def test_times_read_back_and_match_the_library(seconds: int, nanos: int) -> None:
    text = values.write_instant(seconds, nanos)
    assert text == Timestamp(seconds=seconds, nanos=nanos).ToJsonString()
    assert values.read_instant(text) == (seconds, nanos)


@given(st.integers(-values.LONGEST, values.LONGEST), NANOS)
def test_durations_read_back_and_match_the_library(seconds: int, nanos: int) -> None:
    nanos = -nanos if seconds < 0 else nanos
    text = values.write_length(seconds, nanos)
    assert text == Duration(seconds=seconds, nanos=nanos).ToJsonString()
    assert values.read_length(text) == (seconds, nanos)


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("2026-03-01T09:00:00Z", 1772355600, 0),
        ("2026-03-01t09:00:00z", 1772355600, 0),
        ("2026-03-01T10:00:00+01:00", 1772355600, 0),
        ("2026-03-01T03:30:00-05:30", 1772355600, 0),
        ("2026-03-01T09:00:00.5Z", 1772355600, 500_000_000),
        ("2026-03-01T09:00:00.622318889Z", 1772355600, 622_318_889),
        ("1969-12-31T23:59:59.25Z", -1, 250_000_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
    ],
)
def test_times_with_any_offset(text: str, seconds: int, nanos: int) -> None:
    assert values.read_instant(text) == (seconds, nanos)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01", "2026-03-01T09:00:00", "2026-03-01 09:00:00Z", "2026-02-30T09:00:00Z", "2026-03-01T24:00:00Z",
        "2026-03-01T09:00:00+25:00", "2026-03-01T09:00:00+01:60", "2026-03-01T09:00:60Z", "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00", "2026-03-01T09:00:00.1234567890Z", "٢026-03-01T09:00:00Z", "", 5, None, ["x"], True,
    ],
)  # fmt: skip
def test_what_is_no_time(text: object) -> None:
    with pytest.raises(WrongValue):
        values.read_instant(text)


@pytest.mark.parametrize(
    "text", ["300", "5m", "s", "1.s", ".5s", "+1s", "315576000001s", "1e3s", "", 300, None]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(WrongValue):
        values.read_length(text)


@pytest.mark.parametrize(("value", "number"), [(5, 5), ("5", 5), (5.0, 5), ("-5", -5), (1e2, 100), (0, 0)])
def test_whole_numbers(value: object, number: int) -> None:
    assert values.read_whole(value, values.INT32) == number


@pytest.mark.parametrize(
    "value", [True, "5.5", 5.5, "x", "", None, [], 1 << 31, "9999999999", "05", "1e2", float("inf"), "٣"]
)
def test_what_is_no_whole_number(value: object) -> None:
    with pytest.raises(WrongValue):
        values.read_whole(value, values.INT32)


@pytest.mark.parametrize(
    ("value", "number"), [(1, 1.0), ("1.5", 1.5), ("-2e3", -2000.0), ("Infinity", float("inf"))]
)
def test_numbers(value: object, number: float) -> None:
    assert values.read_number(value) == number


@pytest.mark.parametrize(
    "value", [True, "x", "inf", "nan", "0x1", "1_0", 10**400, "1e999", float("inf"), None, {}]
)
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(WrongValue):
        values.read_number(value)


def test_a_wrong_enum_is_told_what_is_allowed() -> None:
    enum = alert_pb2.Severity.DESCRIPTOR.enum_types_by_name["Value"]
    assert values.read_enum("CRITICAL", enum) == 1
    assert values.read_enum(2, enum) == 2
    for wrong in ("PINK", "critical", 99, True, None, 1.0):
        with pytest.raises(WrongValue, match=r"CRITICAL, HIGH, MEDIUM, LOW, INFO$"):
            values.read_enum(wrong, enum)


def test_bytes_in_any_base64() -> None:
    assert values.read_bytes("_-8=") == values.read_bytes("/+8") == b"\xff\xef"
    with pytest.raises(WrongValue):
        values.read_bytes("!")


@pytest.mark.parametrize(
    ("read", "value"), [(values.read_text, "\ud800"), (values.read_text, 5), (values.read_flag, "true")]
)
def test_other_wrong_values(read: Callable[[object], object], value: object) -> None:
    with pytest.raises(WrongValue):
        read(value)


def test_what_is_repeated_to_the_caller_is_short_and_valid() -> None:
    assert values.shown("\ud800" * 100) == "?" * values.SHOWN

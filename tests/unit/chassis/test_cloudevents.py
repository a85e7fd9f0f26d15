"""Events as headers: encoded as CloudEvents' NATS binding has it, and read whatever they are."""

from datetime import UTC, datetime
from urllib.parse import unquote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg

from chassis.cloudevents import Received, encode

REPLY = "$JS.ACK.TOCSIN_BELL.ear.3.41.7.1700000000000000000.0"
ID = "0198f5c3-7d3c-7b1e-9d6b-0d2f4a1b2c3d"


def message(headers: dict[str, str] | None, data: bytes = b"data") -> Msg:
    return Msg(_client=Client(), subject="bell.rung", reply=REPLY, data=data, headers=headers)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("plain-1.~!#$&'()*+,/:;<=>?@[\\]^_`{|}", "plain-1.~!#$&'()*+,/:;<=>?@[\\]^_`{|}"),
        ("a b", "a%20b"),
        ('say "hi"', "say%20%22hi%22"),
        ("100%", "100%25"),
        ("Zoë", "Zo%C3%AB"),
        ("☎", "%E2%98%8E"),
        ("a\r\nNats-Msg-Id: x", "a%0D%0ANats-Msg-Id:%20x"),
        ("\x7f", "%7F"),
        ("", ""),
    ],
)
def test_encoding(value: str, encoded: str) -> None:
    assert encode(value) == encoded


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_encoded_is_printable_and_read_back(value: str) -> None:
    encoded = encode(value)
    assert unquote(encoded) == value
    assert all(0x21 <= ord(char) <= 0x7E for char in encoded)


def test_an_event_is_read() -> None:
    event = Received.read(
        message(
            {
                "ce-id": ID,
                "ce-type": "bell.rung",
                "ce-subject": "big%20b%C3%ABll",
                "ce-time": "2026-03-01T09:00:00.123456Z",
                "traceparent": "00-1-2-00",
            }
        )
    )
    assert event.id == UUID(ID)
    assert (event.type, event.subject, event.data) == ("bell.rung", "big bëll", b"data")
    assert event.at == datetime(2026, 3, 1, 9, 0, 0, 123456, tzinfo=UTC)
    assert event.headers["traceparent"] == "00-1-2-00"
    assert event.redelivered == 2


@pytest.mark.parametrize(
    "headers", [None, {}, {"ce-id": "nonsense", "ce-time": "noon", "ce-subject": "%00%ff"}]
)
def test_what_is_no_event_is_read_too(headers: dict[str, str] | None) -> None:
    event, again = Received.read(message(headers)), Received.read(message(headers))
    assert event.id == again.id, "its place in the stream is its name"
    assert (event.type, event.at) == ("bell.rung", None)
    assert "\0" not in event.subject

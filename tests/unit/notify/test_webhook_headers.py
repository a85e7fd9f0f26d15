"""The signature of Standard Webhooks and `retry-after`."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.notify.channels.webhook import retry_after, signed
from services.notify.domain.contact_method import secret_key
from services.notify.domain.delivery import Message

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def test_the_signature_covers_id_timestamp_and_body() -> None:
    key = secret_key("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
    assert key is not None
    message = Message(UUID("01890a5d-ac96-774b-bcce-b302099a8057"), "", "", NOW, {})
    headers = signed(message, b'{"test": 2432232314}', [key], datetime.fromtimestamp(1_614_265_330, UTC))
    assert headers["webhook-id"] == "01890a5d-ac96-774b-bcce-b302099a8057"
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,5WHEDH02ipsAqxuH15h8x7+fZcB7S/of7lFpF1k/1mU="


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("0", 0),
        ("120", 120),
        ("9" * 30, 86_400),
        ("Thu, 01 Jan 2026 12:01:00 GMT", 60),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("Thu, 01 Jan 2099 11:00:00 GMT", 86_400),
        ("²", None),
    ],
)
def test_how_long_the_other_side_asks_to_wait(header: str, seconds: int | None) -> None:
    assert retry_after(header, NOW) == (None if seconds is None else timedelta(seconds=seconds))

"""What providers of messages report by their status callbacks, as receipts: a receipt link is a callback address too."""

from collections.abc import Mapping

WORDS: Mapping[str, str] = {
    "delivered": "DELIVERED",
    "delivery": "DELIVERED",
    "in-progress": "DELIVERED",
    "answered": "DELIVERED",
    "read": "READ",
    "seen": "READ",
    "open": "READ",
    "opened": "READ",
    "click": "READ",
    "clicked": "READ",
    "failed": "FAILED",
    "undelivered": "FAILED",
    "undeliverable": "FAILED",
    "rejected": "FAILED",
    "bounce": "FAILED",
    "bounced": "FAILED",
    "dropped": "FAILED",
    "expired": "FAILED",
    "busy": "FAILED",
    "no-answer": "FAILED",
    "canceled": "FAILED",
}
"""Twilio's words for messages and calls, those of the senders of e-mail, and what others call the same."""
STATUS = ("MessageStatus", "SmsStatus", "CallStatus", "event", "message-status", "delivery_status")
NAME = ("MessageSid", "SmsSid", "CallSid", "message-id", "messageId", "id")
DETAIL = ("ErrorMessage", "ErrorCode", "reason", "err-code", "error")


def receipt(form: Mapping[str, str]) -> dict[str, str] | None:
    """The receipt that a provider's form says; None where it says nothing that counts, such as `queued`.

    Its id is made of the provider's own and the word, so a callback that comes twice is one receipt.
    """
    word = _first(form, STATUS).strip().lower()
    status = WORDS.get(word)
    if status is None:
        return None
    name = f"{_first(form, NAME)[:100]}/{word}".strip("/")
    return {"status": status, "receipt_id": name, "detail": _first(form, DETAIL)[:1_000]}


def is_callback(form: Mapping[str, str]) -> bool:
    """Whether a form is a provider's: the page behind the link sends none of these fields."""
    return any(name in form for name in STATUS)


def _first(form: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((form[name] for name in names if form.get(name)), "")

"""A bundle in words names every alert that it is about; news say who has taken it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.notify.domain.contact_method import Channel
from services.notify.domain.delivery import Message
from services.notify.domain.wording import LONGEST_TITLE, MOST_LISTED, PAGE, Template, worded


def a_message(type_: str = PAGE, *, bundled: int = 0, **alert: Any) -> Message:
    others = [
        {
            "alert": {"title": f"<other {n}>", "severity": "LOW"},
            "receipt_url": f"https://tocsin.example/r{n}?a=1&b=2",
        }
        for n in range(bundled)
    ]
    data: dict[str, Any] = {"alert": {"title": "disk full", "severity": "HIGH", **alert}}
    if others:
        data["bundled"] = others
    return Message(UUID(int=1), "a@b.example", type_, datetime(2026, 1, 1, tzinfo=UTC), data)


def test_every_alert_of_a_bundle_is_named_with_its_link_also_by_templates_of_others() -> None:
    own = Template(Channel.EMAIL, "T: {{ alert.title }}", "B: {{ alert.title }}", "<b>{{ alert.title }}</b>")
    for template in (None, own):
        text = worded(template, Channel.EMAIL, a_message(bundled=3)).text
        assert text.title.endswith("disk full (and 3 more)")
        for n in range(3):
            assert f"<other {n}>\n  https://tocsin.example/r{n}?a=1&b=2" in text.body
            assert f"&lt;other {n}&gt;" in text.html
            assert f"/r{n}?a=1&amp;b=2" in text.html
    assert "more" not in worded(None, Channel.EMAIL, a_message()).text.body


def test_a_large_bundle_tells_how_many_are_left_out() -> None:
    text = worded(None, Channel.CHAT, a_message(bundled=MOST_LISTED + 7, title="x" * 2_000)).text
    assert "and 7 more, which your inbox has" in text.body
    assert text.body.count("Also,") == 1
    assert len(text.title) <= LONGEST_TITLE
    assert text.title.endswith(f"(and {MOST_LISTED + 7} more)")


@pytest.mark.parametrize(
    ("type_", "by", "title", "said"),
    [
        ("alert.acknowledged", "acked_by", "[taken] disk full", "Taken by bob."),
        ("alert.closed", "closed_by", "[closed] disk full", "Closed by bob."),
    ],
)
def test_news_say_who(type_: str, by: str, title: str, said: str) -> None:
    made = worded(None, Channel.EMAIL, a_message(type_, bundled=0, **{by: "bob"}))
    assert (made.text.title, made.problems) == (title, {})
    assert said in made.text.body
    assert "receipt" not in made.text.body

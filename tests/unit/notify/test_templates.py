"""Templates reach for nothing but the data that is given, and cannot run away."""

import contextlib
import time
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.contact_method import Channel
from services.notify.domain.delivery import Message
from services.notify.domain.template import LONGEST_OUTPUT, Environment, Labels, TemplateProblem
from services.notify.domain.wording import CODE, LONGEST_TITLE, PAGE, Template, default, one_line, worded
from tests.unit.notify.test_route_status import NOW

DATA: dict[str, Any] = {
    "alert": {"title": "disk full", "description": "x" * 60_000, "labels": Labels(host="db-1", items="2")},
    "level": 2,
    "unset": None,
}


def made(source: str, *, html: bool = False) -> str:
    environment = Environment(html=html)
    return environment.rendered(environment.prepared(source), DATA)


def message(type_: str = PAGE, **alert: Any) -> Message:
    data = {
        "alert": {"title": "disk full", "severity": "HIGH", "labels": {}, **alert},
        "code": "12345678",
        "minutes": 10,
    }
    return Message(UUID(int=1), "", type_, NOW, data)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ alert.title }} {{ level }}{{ unset }}", "disk full 2"),
        ("{{ alert['title'] }}", "disk full"),
        ("{{ alert.labels.nowhere }}|{{ alert.labels.items }}", "|2"),
        ("{% for k, v in alert.labels|items %}{{ k }}={{ v }}{% if not loop.last %}, {% endif %}{% endfor %}", "host=db-1, items=2"),
        ("{% if level > 1 and alert.title == 'disk full' %}yes{% else %}no{% endif %}", "yes"),
        ("{{ alert.nope|default('nothing') }}", "nothing"),
        ("{{ 'a' if level in [1, 2] else 'b' }}", "a"),
        ("{{ alert.title|upper|replace('DISK', 'd')|truncate(4) }}", "d F…"),
        ("{{ alert.labels|items|length }} {{ alert.labels|join('+') }} {{ 'a b'|urlencode }}", "2 host+items a%20b"),
    ],
)  # fmt: skip
def test_what_templates_can(source: str, text: str) -> None:
    assert made(source) == text


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("a\n{{ alrt.title }}", "line 2: 'alrt' is undefined"),
        ("{{ alert.nope }}", "line 1: there is no 'nope' here"),
        ("{{ alert.nope.deeper }}", "there is no 'nope' here"),
        ("{{ ''.__class__ }}", "there is no '__class__' here"),
        ("{{ alert.__class__.__mro__ }}", "there is no '__class__' here"),
        ("{{ alert.labels|attr('get') }}", "No filter named 'attr'"),
        ("{{ alert.title.upper() }}", "call is not available"),
        ("{{ range(9) }}", "call is not available"),
        ("{{ self }}", "'self' is not available"),
        ("{% set x = 1 %}", "assign is not available"),
        ("{{ 9 ** 9 }}", "pow is not available"),
        ("{{ 'a' * 9 }}", "mul is not available"),
        ("{{ 'a' ~ 'b' }}", "concat is not available"),
        ("{% include 'x' %}", "include is not available"),
        ("{% macro m() %}{% endmacro %}", "macro is not available"),
        ("{% for a in alert.description %}{% endfor %}", "a loop wants a list, not str"),
        ("{% for a in alert %}{% for b in alert %}{% for c in alert %}{% endfor %}{% endfor %}{% endfor %}", "2 deep"),
        ("{{ alert.title|nothing }}", "No filter named 'nothing'"),
        ("{{ alert.title|truncate(wide=3) }}", "unexpected keyword"),
        ("{{", "line 1: "),
        ("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}", "cannot be read"),
        ("x" * 20_000, "want at most 16384"),
        ("{{ alert.description }}" * 10, f"more than {LONGEST_OUTPUT} characters"),
        ("{{ alert.description|replace('x', alert.description) }}", "characters"),
    ],
)  # fmt: skip
def test_what_templates_cannot(source: str, problem: str) -> None:
    with pytest.raises(TemplateProblem, match=problem.replace("(", r"\(").replace("*", r"\*")):
        made(source)


def test_a_template_that_takes_long_is_stopped() -> None:
    environment = Environment(html=False)
    many = {"many": [[0] * 300] * 300}
    source = "{% for a in many %}{% for b in a %}{% if alert.title|upper == 'x' %}y{% endif %}{% endfor %}{% endfor %}"
    started = time.process_time()
    with pytest.raises(TemplateProblem, match="too many steps"):
        environment.rendered(environment.prepared(source), DATA | many)
    assert time.process_time() - started < 2
    assert environment.rendered(environment.prepared("{{ level }}"), DATA) == "2", (
        "each rendering counts its own"
    )


def test_html_escapes_values_and_not_the_template() -> None:
    assert made("<b>{{ unset }}{{ '<i>' }}{{ '<u>'|e }}</b>", html=True) == "<b>&lt;i&gt;&lt;u&gt;</b>"


@given(st.text(max_size=200))
def test_no_template_raises_anything_else(source: str) -> None:
    for text in (source, "{{ " + source + " }}", "{% " + source + " %}"):
        with contextlib.suppress(TemplateProblem):
            made(text)


json_text = st.text(max_size=30)
alerts = st.fixed_dictionaries(
    {},
    optional={
        "title": st.text(max_size=1024),
        "description": json_text | st.just("\"'<>&" * 13_000),
        "severity": json_text,
        "source": json_text,
        "opened_at": st.none() | json_text,
        "labels": st.dictionaries(json_text, json_text | st.just("<" * 1024), max_size=64),
    },
)


@given(
    alerts, st.sampled_from([PAGE, CODE, "something.else"]), st.sampled_from([Channel.EMAIL, Channel.CHAT])
)
def test_our_words_never_fail(alert: dict[str, Any], type_: str, channel: Channel) -> None:
    found = worded(None, channel, message(type_, **alert))
    assert not found.problems
    assert found.text.title.isprintable()
    assert 0 < len(found.text.title) <= LONGEST_TITLE
    assert bool(found.text.html) is (channel is Channel.EMAIL and type_ != CODE)


def test_a_part_that_fails_is_worded_by_ours_and_said() -> None:
    template = Template(Channel.EMAIL, "{{ nope }}", "{{ alert.title }}: mine", "{{")
    found = worded(template, Channel.EMAIL, message())
    assert found.text.title == "[HIGH] disk full"
    assert found.text.body == "disk full: mine"
    assert "<html>" in found.text.html
    assert set(found.problems) == {"title", "html"}


def test_templates_are_for_pages_and_codes_have_our_words() -> None:
    template = Template(Channel.CHAT, "mine", "mine", "")
    assert worded(template, Channel.CHAT, message(CODE)).text.title == "Your code for Tocsin: 12345678"
    assert default(Channel.CHAT).html == ""


def test_titles_are_one_line() -> None:
    assert one_line("a\r\nBcc: b\t\0c") == "a Bcc: b c"
    assert one_line(" \n ") == "Tocsin"
    assert len(one_line("x" * 1000)) == LONGEST_TITLE

"""The words of messages for people: by a template of theirs, or else by one of ours, which never fails."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from html import escape
from typing import Any

from services.notify.domain.contact_method import Channel
from services.notify.domain.delivery import Message
from services.notify.domain.template import Environment, Labels, TemplateProblem, Text

LONGEST_TITLE = 250
"""Characters of a title: longer ones are cut, since subjects and chat headings are."""
PARTS = ("title", "body", "html")
WORDED = (Channel.EMAIL, Channel.CHAT)
"""The channels whose messages are words."""

TITLE = "[{{ alert.severity }}] {{ alert.title }}"
BODY = """\
{{ alert.title }}
{% if alert.description %}

{{ alert.description|truncate(20000) }}
{% endif %}

Severity: {{ alert.severity }}
{% if alert.source %}
Source: {{ alert.source }}
{% endif %}
{% if alert.opened_at %}
Opened: {{ alert.opened_at }}
{% endif %}
{% if alert.labels %}
Labels: {% for name, value in alert.labels|items %}{{ name }}={{ value|truncate(200) }}{% if not loop.last %}, {% endif %}{% endfor %}

{% endif %}
{% if level %}
You are told because of level {{ level }} ({{ reason }}).
{% endif %}
{% if receipt_url %}

Take it: {{ receipt_url }}
{% endif %}
"""
HTML = """\
<!doctype html>
<html><body style="font-family: sans-serif">
<h2 style="margin: 0 0 .5em">{{ alert.title }}</h2>
{% if alert.description %}
<pre style="white-space: pre-wrap; font-family: inherit">{{ alert.description|truncate(20000) }}</pre>
{% endif %}
<table cellpadding="4">
<tr><td>Severity</td><td><b>{{ alert.severity }}</b></td></tr>
{% if alert.source %}
<tr><td>Source</td><td>{{ alert.source }}</td></tr>
{% endif %}
{% if alert.opened_at %}
<tr><td>Opened</td><td>{{ alert.opened_at }}</td></tr>
{% endif %}
{% for name, value in alert.labels|items %}
<tr><td>{{ name }}</td><td>{{ value|truncate(200) }}</td></tr>
{% endfor %}
</table>
{% if level %}
<p>You are told because of level {{ level }} ({{ reason }}).</p>
{% endif %}
{% if receipt_url %}
<p><a href="{{ receipt_url }}" style="padding: .6em 1em; background: #c00; color: #fff; text-decoration: none">Take it</a></p>
{% endif %}
</body></html>
"""
CODE_TITLE = "Your code for Tocsin: {{ code }}"
CODE_BODY = """\
Somebody, you we hope, wants Tocsin to page you here. To confirm it, give Tocsin this code within {{ minutes }} minutes:

    {{ code }}

If it was not you, do nothing.
"""
ACKNOWLEDGED, CLOSED = "alert.acknowledged", "alert.closed"
NEWS_BODY = """\
{{ alert.title }}

{{ done }} by {{ by }}. You were told of it; nothing is left to do.
"""
MOST_LISTED = 100
"""Others of a bundle that a message names; it tells how many there are."""
PAGE, TEST, CODE = "alert.escalated", "contact_method.test", "contact_method.code"
_OURS = {
    PAGE: (TITLE, BODY, HTML),
    CODE: (CODE_TITLE, CODE_BODY, ""),
    ACKNOWLEDGED: (
        "[taken] {{ alert.title }}",
        NEWS_BODY.replace("{{ done }}", "Taken").replace("{{ by }}", "{{ alert.acked_by }}"),
        "",
    ),
    CLOSED: (
        "[closed] {{ alert.title }}",
        NEWS_BODY.replace("{{ done }}", "Closed").replace("{{ by }}", "{{ alert.closed_by }}"),
        "",
    ),
}
"""By type of message. Templates of other people are for pages."""
_NOTHING = {"reason": "", "level": 0, "responder_id": "", "route_log_id": "", "receipt_url": ""}
_NO_ALERT = {
    "alert_id": "",
    "title": "",
    "description": "",
    "severity": "",
    "source": "",
    "state": "",
    "opened_at": None,
}


@dataclass(frozen=True, slots=True)
class Template:
    """How messages of a channel are worded; an empty part is worded as ours. `html` is for e-mail alone."""

    channel: Channel
    title: str
    body: str
    html: str
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Worded:
    """The words of a message, and what was wrong with the template when ours had to stand in, by part."""

    text: Text
    problems: Mapping[str, str]


def default(channel: Channel, type_: str = PAGE) -> Template:
    """Ours for a type of message; one that is not known is worded as a page."""
    title, body, html = _OURS.get(type_, _OURS[PAGE])
    return Template(channel, title, body, html if channel is Channel.EMAIL else "")


def worded(template: Template | None, channel: Channel, message: Message) -> Worded:
    """The words of a message; a part whose template fails is worded by ours, so that no page is lost for one."""
    ours, data = default(channel, message.type), shown(message.data)
    given = template if message.type in (PAGE, TEST) else None
    parts, problems = {}, {}
    for part in PARTS:
        own = getattr(given, part, "")
        try:
            parts[part] = _rendered(own or getattr(ours, part), data, html=part == "html")
        except TemplateProblem as problem:
            problems[part] = str(problem)
            parts[part] = _fallback(getattr(ours, part), data, html=part == "html")
    others = data.get("bundled", ())
    title = one_line(parts["title"])
    if others:
        more = f" (and {len(others)} more)"
        title = one_line(title[: LONGEST_TITLE - len(more)]) + more
    return Worded(
        Text(title, parts["body"] + _named(others), _listed(parts["html"], others)),
        problems,
    )


def _named(others: Sequence[Mapping[str, Any]]) -> str:
    """The other pages of a bundle in words, whatever the template says of the first."""
    if not others:
        return ""
    lines = [f"- {_in_short(one)}\n  {one['receipt_url']}" for one in others[:MOST_LISTED]]
    return "\n".join(["", f"Also, {len(others)} more:", *lines, *_rest(others), ""])


def _listed(html: str, others: Sequence[Mapping[str, Any]]) -> str:
    """The same as HTML, before the end of the page; nothing where there is none."""
    if not (html and others):
        return html
    items = [
        f'<li>{escape(_in_short(one))} <a href="{escape(one["receipt_url"])}">Take it</a></li>'
        for one in others[:MOST_LISTED]
    ]
    rest = "".join(f"<p>{escape(line)}</p>" for line in _rest(others))
    made = f"<p>Also, {len(others)} more:</p><ul>{''.join(items)}</ul>{rest}"
    head, end, tail = html.rpartition("</body>")
    return f"{head}{made}{end}{tail}" if end else html + made


def _in_short(one: Mapping[str, Any]) -> str:
    return one_line(f"[{one['alert']['severity']}] {one['alert']['title']}")


def _rest(others: Sequence[Mapping[str, Any]]) -> list[str]:
    left = len(others) - MOST_LISTED
    return [f"… and {left} more, which your inbox has."] if left > 0 else []


def checked(template: Template, sample: Message) -> Worded:
    """What a template makes of a sample; the problems of its parts are told instead of mended."""
    data = shown(sample.data)
    parts, problems = {}, {}
    for part in PARTS:
        source = getattr(template, part) or getattr(default(template.channel), part)
        try:
            parts[part] = _rendered(source, data, html=part == "html")
        except TemplateProblem as problem:
            problems[part] = str(problem)
            parts[part] = ""
    return Worded(Text(one_line(parts["title"]), parts["body"], parts["html"]), problems)


def shown(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data of a message as templates see it: what a message does not have is empty."""
    alert = data.get("alert", {})
    labels = Labels(alert.get("labels", {}))
    return {**_NOTHING, **data, "alert": {**_NO_ALERT, **alert, "labels": labels}}


def one_line(title: str) -> str:
    """A title without line breaks and control characters, at most 250 characters."""
    clean = "".join(c if c.isprintable() else " " for c in title)
    line = " ".join(clean.split()) or "Tocsin"
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1] + "…"


def _rendered(source: str, data: Mapping[str, Any], *, html: bool) -> str:
    environment, prepared = _prepared(source, html)
    return environment.rendered(prepared, data)


def _fallback(source: str, data: Mapping[str, Any], *, html: bool) -> str:
    """Ours, or when the data is not what ours expects, all that there is in plain words."""
    try:
        return _rendered(source, data, html=html)
    except TemplateProblem:
        return "" if html else "\n".join(_flat(data))


def _flat(data: Mapping[str, Any]) -> Iterable[str]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        elif value:
            yield f"{name}: {value}"


@lru_cache(maxsize=64)
def _prepared(source: str, html: bool) -> tuple[Environment, Any]:
    """Environments are not shared between templates: each counts its own steps."""
    environment = Environment(html=html)
    return environment, environment.prepared(source)

"""Matchers in Alertmanager's form: which alerts a target is for.

The form is the one of escalation's policies, and a test holds the two to the same answers (ADR 22).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import re2

LONGEST = 4_096
"""Characters of a matcher's text."""

FORM = '''want NAME=VALUE, with one of = != =~ !~ between, like severity="CRITICAL" or host=~"web-.*"'''
_HEAD = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_.:/-]*)\s*(=~|!~|!=|=)\s*")
_BARE = re.compile(r"""[^\s{}!=~,"'`\\]+""")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


class MatcherError(ValueError):
    """The text is no matcher; the message says what is wrong and what would be right."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label; a label that is missing has the value ''."""

    name: str
    op: str
    value: str
    _regex: Any = field(default=None, compare=False, repr=False)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the alert with these labels is meant; regular expressions must match the whole of a value."""
        value = labels.get(self.name, "")
        met = value == self.value if self._regex is None else self._regex.fullmatch(value) is not None
        return met is not self.op.startswith("!")


def parse(text: str) -> Matcher:
    r"""Reads a matcher like `team!="db"`.

    The value stands in double quotes, in which \", \\ and \n are escapes and any other backslash is itself; without
    quotes it may hold no blanks and none of {}!=~,"'`\. Raises MatcherError.
    """
    if len(text) > LONGEST:
        raise MatcherError(f"has {len(text)} characters; want at most {LONGEST}")
    head = _HEAD.match(text)
    if head is None:
        raise MatcherError(f"{text[:64]!r} is not a matcher; {FORM}")
    value = _value(text[head.end() :].rstrip())
    return Matcher(head[1], head[2], value, _compiled(value) if head[2].endswith("~") else None)


def all_match(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every matcher matches; true when there are none."""
    return all(matcher.matches(labels) for matcher in matchers)


def _value(text: str) -> str:
    if quoted := _QUOTED.fullmatch(text):
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), quoted[1], flags=re.DOTALL)
    if text.startswith('"'):
        raise MatcherError(f"the value {text[:64]} does not end with its closing quote")
    if not text:
        raise MatcherError('has no value; want one, or "" for the empty one')
    if not _BARE.fullmatch(text):
        raise MatcherError(f"the value {text[:64]} is ambiguous; want it in double quotes")
    return text


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise MatcherError(f"{pattern[:64]!r} is not an RE2 expression: {reason}") from None

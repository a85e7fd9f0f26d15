"""Matchers in Alertmanager's form, and an index that tries only the rules that have a chance to match."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar

import re2

from chassis import validation
from chassis.errors import Problems

LONGEST = 4_096
"""Characters of a matcher's text."""

REMEMBERED = 20_000
"""How many matchers are remembered as they were read: most of them are the same after a change of rules."""
FEW = 8
"""So many rules under one value are tried rather than looked for by their expressions."""

FORM = '''want NAME=VALUE, with one of = != =~ !~ between, like severity="CRITICAL" or host=~"web-.*"'''
_HEAD = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_.:/-]*)\s*(=~|!~|!=|=)\s*")
_BARE = re.compile(r"""[^\s{}!=~,"'`\\]+""")
_LITERALS = re.compile(r"[\w :/@%#,;=&<>!~'\"-]+(\|[\w :/@%#,;=&<>!~'\"-]+)*")

Rule = TypeVar("Rule")


class MatcherError(ValueError):
    """The text is no matcher; the message says what is wrong and what would be right."""


class Op(StrEnum):
    """How a matcher compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    DIFFERS = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label; a label that is missing has the value ''."""

    name: str
    op: Op
    value: str
    _regex: Any = field(default=None, compare=False, repr=False)

    def matches(self, value: str) -> bool:
        """Whether the label may have this value; regular expressions must match the whole of it."""
        match self.op:
            case Op.EQUAL:
                return value == self.value
            case Op.NOT_EQUAL:
                return value != self.value
            case Op.MATCHES:
                return self._regex.fullmatch(value) is not None
            case Op.DIFFERS:
                return self._regex.fullmatch(value) is None

    @property
    def literals(self) -> frozenset[str]:
        """The values that alone can match, where these can be listed; else nothing."""
        if self.op is Op.EQUAL:
            return frozenset([self.value])
        if self.op is Op.MATCHES and _LITERALS.fullmatch(self.value):
            return frozenset(self.value.split("|"))
        return frozenset()


@lru_cache(maxsize=REMEMBERED)
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
    name, op = head[1], Op(head[2])
    value = _value(text[head.end() :].rstrip())
    return Matcher(name, op, value, _compiled(value) if op in (Op.MATCHES, Op.DIFFERS) else None)


def _value(text: str) -> str:
    if text.startswith('"'):
        return _unquoted(text)
    if not text:
        raise MatcherError('has no value; want one, or "" for the empty one')
    if not _BARE.fullmatch(text):
        raise MatcherError(f"the value {text[:64]} is ambiguous; want it in double quotes")
    return text


def _unquoted(text: str) -> str:
    read: list[str] = []
    rest = iter(enumerate(text[1:], 1))
    for place, letter in rest:
        if letter == '"':
            if place < len(text) - 1:
                raise MatcherError(
                    f'{text[place + 1 :][:64]!r} follows the closing quote; write \\" for a quote'
                )
            return "".join(read)
        if letter == "\\":
            _, escaped = next(rest, (0, ""))
            read.append({"n": "\n", '"': '"', "\\": "\\"}.get(escaped, letter + escaped))
        else:
            read.append(letter)
    raise MatcherError(f"the value {text[:64]} has no closing quote")


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    return options


def _compiled(pattern: str) -> Any:
    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise MatcherError(f"{pattern[:64]!r} is not an RE2 expression: {reason}") from None


def check_matchers(
    problems: Problems, matchers: Sequence[str], *, least: int = 0, path: str = "matchers"
) -> None:
    """Notes how many matchers there are, where it is not `least` to 20, and each that is none."""
    validation.count(problems, path, matchers, least=least, most=20)
    for place, text in enumerate(matchers):
        try:
            parse(text)
        except MatcherError as error:
            problems.add(f"{path}[{place}]", str(error))


def all_match(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every matcher matches; true when there are none."""
    return all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)


def _pairs(matcher: Matcher) -> list[tuple[str, str]]:
    """The labels of which an alert must have one to match; nothing where that cannot be said."""
    literals = matcher.literals
    return [] if "" in literals else [(matcher.name, value) for value in literals]


class _Candidates:
    """Rules by a regular expression for one label: one look at the value tells which have a chance to match it.

    RE2's filter looks for the texts that each expression cannot do without, of all expressions at once.
    """

    def __init__(self, filed: Sequence[tuple[str, int]]) -> None:
        self._places = [place for _, place in filed]
        self._filter = re2.Filter()
        options = _options()
        for pattern, _ in filed:
            self._filter.Add(pattern, options)
        self._filter.Compile()

    def of(self, value: str) -> Iterator[int]:
        """The places of the rules that may match."""
        return (self._places[number] for number in self._filter.Match(value, potential=True) or ())


@lru_cache(maxsize=REMEMBERED)
def _telling(pattern: str) -> bool:
    """Whether there are texts that every value has that the expression matches: `.*` has none."""
    return not list(_Candidates([(pattern, 0)]).of(""))


class Index(Generic[Rule]):
    """Rules by the labels that they ask for.

    A rule with a matcher that lists its values is tried only for alerts that have one of them, or, where many rules ask
    for the same values, one with a regular expression only for those with a value that has the expression's texts in
    it; else one that asks for a label only for those that have it. The others are tried always.
    """

    def __init__(self, rules: Sequence[tuple[Rule, Sequence[Matcher]]]) -> None:
        """`rules` come in the order in which `matching` tells of them."""
        self._rules = rules
        self._by_value: dict[tuple[str, str], list[int]] = {}
        self._by_label: dict[str, list[int]] = {}
        self._always: list[int] = []
        every = [matcher for _, matchers in rules for matcher in matchers]
        asked = Counter(pair for matcher in every for pair in _pairs(matcher))
        asked.update((matcher.name, matcher.value) for matcher in every if matcher.op is Op.MATCHES)
        by_pattern: dict[str, list[tuple[str, int]]] = {}
        for place, (_, matchers) in enumerate(rules):
            self._file(place, matchers, asked, by_pattern)
        self._candidates = {name: _Candidates(filed) for name, filed in by_pattern.items()}

    def __len__(self) -> int:
        """How many rules there are."""
        return len(self._rules)

    def _file(
        self,
        place: int,
        matchers: Sequence[Matcher],
        asked: Mapping[tuple[str, str], int],
        by_pattern: dict[str, list[tuple[str, int]]],
    ) -> None:
        """Files a rule under values that few rules ask for, else under an expression, else under what there is."""
        listed = [pairs for matcher in matchers if (pairs := _pairs(matcher))]
        rarest = min(listed, key=lambda pairs: sum(asked[pair] for pair in pairs), default=[])
        few = rarest and sum(asked[pair] for pair in rarest) <= FEW
        needed = [matcher for matcher in matchers if not matcher.matches("")]
        telling = [] if few else [m for m in needed if m.op is Op.MATCHES and _telling(m.value)]
        if telling:
            chosen = min(telling, key=lambda matcher: asked[matcher.name, matcher.value])
            by_pattern.setdefault(chosen.name, []).append((chosen.value, place))
        elif rarest:
            for pair in rarest:
                self._by_value.setdefault(pair, []).append(place)
        elif needed:
            self._by_label.setdefault(needed[0].name, []).append(place)
        else:
            self._always.append(place)

    def matching(self, labels: Mapping[str, str]) -> Iterator[Rule]:
        """The rules whose matchers all match, in their order."""
        places = self._always.copy()
        for label in labels.items():
            places += self._by_value.get(label, ())
        if self._by_label:
            places += (place for name in labels for place in self._by_label.get(name, ()))
        for name, candidates in self._candidates.items():
            if value := labels.get(name):
                places += candidates.of(value)
        for place in sorted(places):
            rule, matchers = self._rules[place]
            if all_match(matchers, labels):
                yield rule

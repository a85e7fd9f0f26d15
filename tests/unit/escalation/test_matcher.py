"""Matchers read as Alertmanager reads them, and an index that finds what trying every rule would find."""

import time
from collections.abc import Mapping
from contextlib import suppress
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Invalid, Problems
from services.escalation.domain import matcher as matcher_module
from services.escalation.domain.matcher import (
    Index,
    Matcher,
    MatcherError,
    Op,
    all_match,
    check_matchers,
    parse,
)


@pytest.mark.parametrize(
    ("text", "name", "op", "value"),
    [
        ('severity="CRITICAL"', "severity", Op.EQUAL, "CRITICAL"),
        ('team!="db"', "team", Op.NOT_EQUAL, "db"),
        ('host=~"web-.*"', "host", Op.MATCHES, "web-.*"),
        ('env!~"dev|test"', "env", Op.DIFFERS, "dev|test"),
        ('  team = "db"  ', "team", Op.EQUAL, "db"),
        ('team=""', "team", Op.EQUAL, ""),
        ("team=db", "team", Op.EQUAL, "db"),
        ("host=~web-[0-9]+", "host", Op.MATCHES, "web-[0-9]+"),
        ('a="=~"', "a", Op.EQUAL, "=~"),
        ('a=" b, c "', "a", Op.EQUAL, " b, c "),
        (r'a="say \"hi\""', "a", Op.EQUAL, 'say "hi"'),
        (r'a="c:\\temp"', "a", Op.EQUAL, r"c:\temp"),
        (r'a="one\ntwo"', "a", Op.EQUAL, "one\ntwo"),
        (r'a=~"\d+\.\d+"', "a", Op.MATCHES, r"\d+\.\d+"),
        ('app.kubernetes.io/name="web"', "app.kubernetes.io/name", Op.EQUAL, "web"),
        ('job:rate-5m="x"', "job:rate-5m", Op.EQUAL, "x"),
    ],
)
def test_reads(text: str, name: str, op: Op, value: str) -> None:
    """The forms that Alertmanager and amtool take."""
    read = parse(text)
    assert (read.name, read.op, read.value) == (name, op, value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a matcher"),
        ("team", "want NAME=VALUE"),
        ('="db"', "is not a matcher"),
        ('größe="x"', "is not a matcher"),
        ('9lives="x"', "is not a matcher"),
        ('{team="db"}', "is not a matcher"),
        ('team>"db"', "is not a matcher"),
        ("team=", "has no value"),
        ("team=a b", "in double quotes"),
        ("team==db", "in double quotes"),
        ("team='db'", "in double quotes"),
        ('team=d"b"', "in double quotes"),
        ('team="db', "no closing quote"),
        ('team="db\\"', "no closing quote"),
        ('team="d"b"', "follows the closing quote"),
        ('team="db",env="x"', "follows the closing quote"),
        ('host=~"web-("', "missing )"),
        ('host!~"*"', "no argument for repetition operator"),
        (r'host=~"(a)\1"', "invalid escape sequence"),
        ('host=~"(?=a)"', "invalid perl operator"),
        (f'a="{"x" * 4096}"', "want at most 4096"),
    ],
)
def test_says_what_is_wrong(text: str, says: str) -> None:
    """Precisely, and RE2's own words for an expression."""
    with pytest.raises(MatcherError, match="(?i)" + says.replace("(", r"\(").replace(")", r"\)")):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value", "matches"),
    [
        ('a="x"', "x", True),
        ('a="x"', "X", False),
        ('a!="x"', "", True),
        ('a!="x"', "x", False),
        ('a=~"web-.*"', "web-1", True),
        ('a=~"web-.*"', "a web-1", False),
        ('a=~"web"', "web-1", False),
        ('a=~"a|ab"', "ab", True),
        ('a=~"bar"', "bar\n", False),
        ('a=~".*"', "one\ntwo", False),
        ('a=~"(?s).*"', "one\ntwo", True),
        ('a=~""', "", True),
        ('a=~".+"', "", False),
        ('a!~"dev|test"', "prod", True),
        ('a!~"dev|test"', "test", False),
        ('a!~"dev|test"', "", True),
        ('a=~"gr.n"', "grün", True),
        ('a=~"(?i)WEB"', "web", True),
    ],
)
def test_compares(text: str, value: str, matches: bool) -> None:
    """Expressions with the whole of the value."""
    assert parse(text).matches(value) is matches


def test_a_pattern_that_ruins_backtracking_engines_is_quick() -> None:
    """RE2 takes time in proportion to the text."""
    matcher = parse('a=~"(a+)+$"')
    started = time.process_time()
    assert not matcher.matches("a" * 1000 + "!")
    assert time.process_time() - started < 0.1


def test_a_pattern_too_large_is_refused() -> None:
    """Rather than taking memory."""
    with pytest.raises(MatcherError, match="too large"):
        parse('a=~"' + r"\pL{999}" * 5 + '"')


def test_a_missing_label_is_empty() -> None:
    """For every way to compare."""
    assert all_match([parse('a=""'), parse('b!="x"'), parse('c=~"x?"'), parse('d!~"x+"')], {})
    assert not all_match([parse('a!=""')], {})


def test_each_wrong_matcher_is_named() -> None:
    """By its place."""
    problems = Problems()
    check_matchers(problems, ['a="b"', "a", 'b=~"("'], least=1)
    assert [found.path for found in problems.found] == ["matchers[1]", "matchers[2]"]
    problems = Problems()
    check_matchers(problems, [], least=1)
    check_matchers(problems, ['a="b"'] * 21)
    assert [found.path for found in problems.found] == ["matchers", "matchers"]
    with pytest.raises(Invalid):
        problems.check()


values = st.sampled_from(
    ["", "w", "web", "web-1", "web-2", "web-12", "db", "db-1", "ü", "üb", "Web-1", "a\n"]
)
patterns = st.sampled_from(
    ["web-.*", "web|db", "(web|db)-1", "web-1|web-2", "|web", "web-[12]*", ".*", ".+", "(?i)web-1", "ü.*", "üb?",
     "w(eb)?", "^web$", "a\\n", "web", "[wd].*", "a|", "web-1|db.*"]
)  # fmt: skip
names = st.sampled_from(["host", "team", "severity"])


@st.composite
def matchers(draw: st.DrawFn) -> Matcher:
    """A matcher on one of few names, so that many of them match."""
    op = draw(st.sampled_from(list(Op)))
    value = draw(patterns if op in (Op.MATCHES, Op.DIFFERS) else values)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return parse(f'{draw(names)}{op}"{escaped}"')


@given(
    st.lists(st.lists(matchers(), max_size=3), max_size=12),
    st.dictionaries(names, values),
)
def test_the_index_finds_what_trying_all_finds(rules: list[list[Matcher]], labels: Mapping[str, str]) -> None:
    """No more, no less, in the same order; whether values or expressions lead to them."""
    tried = [place for place, each in enumerate(rules) if all_match(each, labels)]
    for few in (0, 8):
        with patch.object(matcher_module, "FEW", few):  # where many rules ask for the same
            index = Index(list(enumerate(rules)))
        assert list(index.matching(labels)) == tried


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_value_can_be_written(value: str) -> None:
    """With its quotes, backslashes and line ends escaped."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert parse(f'a="{escaped}"').value == value


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    """It is a matcher or a MatcherError."""
    with suppress(MatcherError):
        assert parse(text).name


def test_of_many_rules_few_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equality, lists of values and beginnings all lead to the few that have a chance."""
    rules = [(n, [parse('env="prod"'), parse(f'host="web-{n}"')]) for n in range(500)]
    rules += [(500 + n, [parse(f'service=~"svc-{n}|job-{n}"')]) for n in range(300)]
    rules += [(800 + n, [parse(f'pod=~"pod{n:03}.*"')]) for n in range(200)]
    index = Index(rules)
    compared: list[str] = []
    original = Matcher.matches

    def counted(self: Matcher, value: str) -> bool:
        compared.append(self.name)
        return original(self, value)

    monkeypatch.setattr(Matcher, "matches", counted)
    labels = {"host": "web-7", "env": "prod", "service": "job-5", "pod": "pod150-x"}
    assert list(index.matching(labels)) == [7, 505, 950]
    assert len(compared) < 10

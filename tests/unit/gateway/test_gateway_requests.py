"""Requests of every route: any body, path and query is read or refused with the wrong fields, never a surprise."""

import json
from typing import Any

import pytest
from google.protobuf import message_factory
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import Invalid
from services.gateway import contract, query
from services.gateway.contract import Rule
from services.gateway.query import QueryReader
from services.gateway.reading import Wrong
from services.gateway.requests import DEEPEST, RequestReader, parse

SPOKEN = contract.load()
READERS = {rule.call: RequestReader(rule, SPOKEN) for rule in SPOKEN.rules}
NAMES = sorted(
    {field.name for rule in SPOKEN.rules for field in rule.method.input_type.fields} | {"steps", "a"}
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["OPEN", "300s", "x", "", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
RULES = st.sampled_from(SPOKEN.rules)


class Incoming:
    """As much of a request as the readers look at."""

    def __init__(self, rule: Rule, text: str) -> None:
        self.variables = dict.fromkeys(rule.template.variables, text)


@settings(max_examples=400)
@given(RULES, VALUES, st.text(max_size=5))
def test_any_body_is_read_or_refused(rule: Rule, value: object, text: str) -> None:
    incoming: Any = Incoming(rule, text.encode("utf-8", "replace").decode())
    message, wrong = READERS[rule.call].begin(incoming, value)
    assert message.SerializeToString() is not None
    json.dumps([field.description for field in wrong.found], ensure_ascii=False).encode()


@settings(max_examples=400)
@given(
    RULES,
    st.lists(
        st.tuples(
            st.sampled_from(NAMES) | st.text(max_size=8), st.sampled_from(["", "1", "x", "OPEN", "true"])
        ),
        max_size=6,
    ),
)
def test_any_query_is_read_or_refused(rule: Rule, parameters: list[tuple[str, str]]) -> None:
    message = message_factory.GetMessageClass(rule.method.input_type)()
    QueryReader(rule.in_query, rule.method.name).fill(message, parameters, Wrong())
    assert message.SerializeToString() is not None


@given(st.binary(max_size=60))
def test_any_query_string_is_read_or_refused(text: bytes) -> None:
    try:
        found = query.pairs(text)
    except Invalid:
        return
    json.dumps(found, ensure_ascii=False).encode()


@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_json_or_refused(body: bytes) -> None:
    try:
        parse(body)
    except Invalid:
        return


def test_how_deep_a_body_may_be() -> None:
    assert parse(b"[" * DEEPEST + b"]" * DEEPEST)
    for wide in (b"[" + b"[]," * 500 + b"[]]", b'{"a":"' + b"[" * 500 + b'"}'):
        assert parse(wide)
    for deep in (b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2), b"[" * 100_000):
        with pytest.raises(Invalid):
            parse(deep)

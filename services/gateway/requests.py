"""A request message out of what HTTP brings: path, query and JSON body."""

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from google.api import httpbody_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from chassis.errors import Invalid
from services.gateway import etags, query
from services.gateway.contract import Contract, Rule
from services.gateway.fields import spellings
from services.gateway.http import Incoming
from services.gateway.query import QueryReader
from services.gateway.reading import Reader, Wrong, setter
from services.gateway.values import WrongValue

DEEPEST = 64
"""Levels of lists and objects in a body."""


def parse(body: bytes) -> Any:
    """The JSON value of a body; raises Invalid when it is none."""
    try:
        value = _decode(body.decode())
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8", reason="NOT_JSON") from None
    except RecursionError:
        raise Invalid("the body is nested too deeply", reason="NESTED_TOO_DEEPLY") from None
    except ValueError as problem:
        raise Invalid(f"the body is not JSON: {problem}"[:300], reason="NOT_JSON") from None
    if body.count(b"[") + body.count(b"{") > DEEPEST and not _shallow(value):
        raise Invalid(f"the body is nested deeper than {DEEPEST} levels", reason="NESTED_TOO_DEEPLY")
    return value


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


_decode = json.JSONDecoder(parse_constant=_no_number).decode


def _shallow(value: object) -> bool:
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return True
    return False


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def require_json(content_type: str | None) -> None:
    """Raises Invalid unless the content type is JSON or absent."""
    if content_type is None:
        return
    media = content_type.partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise Invalid.field(
            "content-type", "is not JSON; want application/json", reason="UNSUPPORTED_MEDIA_TYPE"
        )


class RequestReader:
    """Reads the requests of one HTTP rule."""

    def __init__(self, rule: Rule, contract: Contract) -> None:
        self._rule = rule
        self._new = message_factory.GetMessageClass(rule.method.input_type)
        self._query = QueryReader(rule.in_query, rule.method.name)
        self._variables = {
            name: query.steps_to(rule.method.input_type, name) for name in rule.template.variables
        }
        self._resource = rule.resource
        self._fill = (
            setter(self._resource, {}) if self._resource is not None else Reader(rule.method.input_type).fill
        )
        filled = _described(rule)
        self._spellings = spellings(filled) if filled is not None else {}
        self._required = (
            [field for field in filled.fields if contract.required(field)] if filled is not None else []
        )
        self._unmasked = {field.name for field in self._spellings.values() if contract.output_only(field)} | {
            *(name.partition(".")[2] for name in rule.template.variables),
            etags.FIELD,
        }
        self._masks = rule.verb == "PATCH" and "update_mask" in rule.method.input_type.fields_by_name

    async def read(self, incoming: Incoming) -> Any:
        """The request message; raises Invalid naming every wrong field, TooLarge, or TimedOut."""
        value = await self._given(incoming) if self._rule.body else None
        message, wrong = self.begin(incoming, value)
        self._query.fill(message, query.pairs(incoming.request.scope["query_string"]), wrong)
        wrong.check()
        if self._masks and not message.update_mask.paths:
            self._mask(message, value)
        return message

    def begin(self, incoming: Incoming, value: object) -> tuple[Any, Wrong]:
        """The message as the body's JSON and the path fill it, and what is wrong with it."""
        message, wrong = self._new(), Wrong()
        if self._rule.body:
            self._fill_body(message, value, wrong)
        for name, text in incoming.variables.items():
            self._fill_variable(message, name, text, wrong)
        return message, wrong

    async def _given(self, incoming: Incoming) -> object:
        """The body as its field takes it: bytes with their media type, or JSON."""
        if not self._rule.raw_request:
            return await self.value(incoming)
        media = incoming.request.headers.get("content-type", "application/octet-stream")
        return httpbody_pb2.HttpBody(content_type=media, data=await incoming.body())

    async def value(self, incoming: Incoming) -> object:
        """The body's JSON; no body is an empty object."""
        body = await incoming.body()
        if not body.strip():
            return {}
        require_json(incoming.request.headers.get("content-type"))
        return parse(body)

    def _fill_body(self, message: Message, value: object, wrong: Wrong) -> None:
        """Fills what the body gives; the fields of a resource are named without it."""
        if isinstance(value, httpbody_pb2.HttpBody):
            target: Any = message if self._resource is None else getattr(message, self._resource.name)
            target.CopyFrom(value)
            return
        path = "" if self._resource is None or self._spellings else self._resource.name
        self._fill(message, value, path, wrong)
        if wrong.found and self._rule.verb == "POST" and isinstance(value, dict):
            self._name_missing(value, wrong)

    def _name_missing(self, value: dict[str, object], wrong: Wrong) -> None:
        """Beside other wrong fields those that are missing are named here; alone, the service names them."""
        for field in self._required:
            if value.get(field.name) is None and value.get(field.json_name) is None:
                wrong.add(field.name, "is required")

    def _mask(self, message: Any, value: Any) -> None:
        """A PATCH without a mask changes the fields that its body names."""
        given = {self._spellings[key].name for key in value if key in self._spellings}
        message.update_mask.paths.extend(sorted(given - self._unmasked))

    def _fill_variable(self, message: Message, name: str, text: str, wrong: Wrong) -> None:
        """The path names the resource; a body that names another is wrong."""
        steps = self._variables[name]
        said = _current(message, steps)
        try:
            query.assign(message, steps, [text])
        except WrongValue as problem:
            wrong.add(steps[-1].name, str(problem))
            return
        if said and said != _current(message, steps):
            wrong.add(steps[-1].name, f"is {str(said)[:64]!r}, but the path says {text[:64]!r}")


def _described(rule: Rule) -> Descriptor | None:
    """The message whose fields the body names; None when the body is a list, a scalar, or no JSON."""
    if rule.raw_request:
        return None
    if rule.resource is None:
        return rule.method.input_type
    return None if rule.resource.is_repeated else rule.resource.message_type


def _current(message: Message, steps: list[FieldDescriptor]) -> object:
    value: Any = message
    for step in steps:
        value = getattr(value, step.name)
    return value

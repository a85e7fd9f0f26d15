"""Query parameters and path variables into the fields of a request."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from chassis.errors import Invalid
from services.gateway import reading, values
from services.gateway.fields import enum_of, is_map, is_message, message_of
from services.gateway.reading import Wrong
from services.gateway.values import WrongValue, shown

MOST_PARAMETERS = 1_000
SWALLOWED_PLUS = re.compile(r" (?=\d\d:\d\d$)")
"""The offset of a time whose `+` was not encoded, and so reads as a space."""
F = FieldDescriptor


def pairs(query: bytes) -> list[tuple[str, str]]:
    """The decoded parameters; raises Invalid when they are not percent-encoded UTF-8 or too many."""
    if not query:
        return []
    try:
        return parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except UnicodeDecodeError:
        raise Invalid.field("query", "is not percent-encoded UTF-8") from None
    except ValueError:
        raise Invalid.field("query", f"has more than {MOST_PARAMETERS} parameters") from None


def assign(message: Message, steps: Sequence[FieldDescriptor], texts: Sequence[str]) -> None:
    """Puts the texts into the field that `steps` lead to; raises WrongValue.

    An empty text leaves a field that is no string unset.
    """
    target: Any = message
    for step in steps[:-1]:
        target = getattr(target, step.name)
    field = steps[-1]
    texts = [text for text in texts if text or field.type == F.TYPE_STRING]
    if field.is_repeated:
        getattr(target, field.name).extend(_value(field, text) for text in texts)
        return
    if len(texts) > 1:
        raise WrongValue(f"is given {len(texts)} times; want it once")
    for text in texts:
        if is_message(field):
            _well_known(getattr(target, field.name), field, text)
        else:
            setattr(target, field.name, _value(field, text))


def _value(field: FieldDescriptor, text: str) -> Any:
    if field.type == F.TYPE_BOOL:
        return values.read_flag_word(text)
    if field.type == F.TYPE_ENUM and text.isdecimal() and len(text) < 10:
        return values.read_enum(int(text), enum_of(field))
    return reading.scalar(field)(text)


def _well_known(part: Any, field: FieldDescriptor, text: str) -> None:
    kind = message_of(field).full_name
    if kind == "google.protobuf.Timestamp":
        part.seconds, part.nanos = values.read_instant(SWALLOWED_PLUS.sub("+", text))
    elif kind == "google.protobuf.Duration":
        part.seconds, part.nanos = values.read_length(text)
    elif kind == "google.protobuf.FieldMask":
        part.paths.extend(reading.mask_paths(text))
    else:
        read = values.read_flag_word if kind == "google.protobuf.BoolValue" else reading.WRAPPED[kind]
        part.value = read(text)


def simple(field: FieldDescriptor) -> bool:
    """Whether a query can say the field: a scalar, a list of scalars, a time, a duration, a mask or a wrapper."""
    if not is_message(field):
        return True
    return not field.is_repeated and message_of(field).full_name in reading.WELL_KNOWN


def nested(field: FieldDescriptor) -> bool:
    """Whether the fields below this one are named by `field.name`."""
    return is_message(field) and not field.is_repeated and not simple(field)


class QueryReader:
    """Fills the fields of a request that its query may give; `method` is what an error calls it."""

    def __init__(self, fields: Iterable[FieldDescriptor], method: str) -> None:
        fields = list(fields)
        self._fields = _by_name(fields)
        self._names = [field.name for field in fields]
        self._method = method

    def fill(self, message: Message, parameters: Iterable[tuple[str, str]], wrong: Wrong) -> None:
        """Fills `message` and notes every parameter that is unknown or wrong."""
        given: dict[str, tuple[list[FieldDescriptor], list[str]]] = {}
        for name, text in parameters:
            try:
                steps = self._steps(name)
            except WrongValue as problem:
                wrong.add(shown(name), str(problem))
                continue
            path = ".".join(step.name for step in steps)
            given.setdefault(path, (steps, []))[1].append(text)
        for path, (steps, texts) in given.items():
            try:
                assign(message, steps, texts)
            except WrongValue as problem:
                wrong.add(path, str(problem))

    def _steps(self, name: str) -> list[FieldDescriptor]:
        """The fields that a parameter leads through; raises WrongValue where it leads to none that a query can say."""
        steps: list[FieldDescriptor] = []
        known = self._fields
        for part in name.split("."):
            field = known.get(part)
            if field is None:
                raise WrongValue(self._unknown(name))
            steps.append(field)
            if (refusal := _unsayable(field)) is not None:
                raise WrongValue(refusal)
            known = _by_name(message_of(field).fields) if nested(field) else {}
        if nested(steps[-1]):
            within = [field.name for field in message_of(steps[-1]).fields if simple(field)]
            raise WrongValue(
                f"is an object; want its fields, such as '{name}.{within[0] if within else '…'}'"[:200]
            )
        return steps

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(shown(name), self._names, n=1)
        return f"is not a parameter of {self._method}" + (f"; did you mean {near[0]!r}?" if near else "")


def _unsayable(field: FieldDescriptor) -> str | None:
    """Why a query cannot say the field; None where it can, or its fields."""
    if is_map(field):
        return "is a map, which a query cannot say"
    if is_message(field) and field.is_repeated:
        return "is a list of objects, which a query cannot say"
    return None


def _by_name(fields: Iterable[FieldDescriptor]) -> dict[str, FieldDescriptor]:
    return {name: field for field in fields for name in (field.name, field.json_name)}


def steps_to(descriptor: Descriptor, path: str) -> list[FieldDescriptor]:
    """The fields that a path such as `responder.responder_id` leads through; raises KeyError."""
    steps: list[FieldDescriptor] = []
    for name in path.split("."):
        fields = message_of(steps[-1]).fields_by_name if steps else descriptor.fields_by_name
        steps.append(fields[name])
    return steps

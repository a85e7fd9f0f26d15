"""JSON into messages: both spellings of a name, and every wrong field found at once."""

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

from google.protobuf import json_format, wrappers_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from chassis.errors import Field, Problems
from services.gateway import values
from services.gateway.fields import enum_of, in_choice, is_map, is_message, map_types, message_of, spellings
from services.gateway.values import WrongValue, kind_of, shown

Scalar = Callable[[object], Any]
Setter = Callable[[Message, object, str, "Wrong"], None]
MOST_PROBLEMS = 100
"""How many wrong fields one answer names."""

F = FieldDescriptor
SCALARS: dict[int, Scalar] = {
    F.TYPE_STRING: values.read_text,
    F.TYPE_BYTES: values.read_bytes,
    F.TYPE_BOOL: values.read_flag,
    F.TYPE_DOUBLE: values.read_number,
    F.TYPE_FLOAT: values.read_number,
    **{
        kind: partial(values.read_whole, bounds=values.INT32)
        for kind in (F.TYPE_INT32, F.TYPE_SINT32, F.TYPE_SFIXED32)
    },
    **{
        kind: partial(values.read_whole, bounds=values.INT64)
        for kind in (F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64)
    },
    **{kind: partial(values.read_whole, bounds=values.UINT32) for kind in (F.TYPE_UINT32, F.TYPE_FIXED32)},
    **{kind: partial(values.read_whole, bounds=values.UINT64) for kind in (F.TYPE_UINT64, F.TYPE_FIXED64)},
}


class Wrong(Problems):
    """The wrong fields of one request, at most MOST_PROBLEMS of them."""

    def add(self, path: str, description: str) -> None:
        """Notes one wrong field."""
        if not self.full:
            self.found.append(Field(path, description))

    @property
    def full(self) -> bool:
        """Whether nothing more is worth looking for."""
        return len(self.found) >= MOST_PROBLEMS


def scalar(field: FieldDescriptor) -> Scalar:
    """What reads one value of a field that holds no message; it raises WrongValue."""
    if field.type == F.TYPE_ENUM:
        return partial(values.read_enum, enum=enum_of(field))
    return SCALARS[field.type]


class Reader:
    """Reads JSON objects into messages of one type."""

    def __init__(self, descriptor: Descriptor, known: dict[str, "Reader"] | None = None) -> None:
        known = {} if known is None else known
        known[descriptor.full_name] = self
        self._type = descriptor.name
        self._names = [field.name for field in descriptor.fields]
        setters = {field.name: setter(field, known) for field in descriptor.fields}
        self._setters = {name: (field, setters[field.name]) for name, field in spellings(descriptor).items()}

    def fill(self, message: Message, value: object, path: str, wrong: Wrong) -> None:
        """Fills `message` from a JSON object and notes what is wrong, with paths that begin with `path`."""
        if not isinstance(value, dict):
            wrong.add(path or "body", f"is {kind_of(value)}; want an object")
            return
        seen: dict[str, str] = {}
        for key, item in value.items():
            entry = self._setters.get(key)
            if entry is None:
                if wrong.full:
                    return
                wrong.add(_under(path, shown(key)), self._unknown(key))
                continue
            field, fill = entry
            if item is None:
                continue
            self._once(field, seen, path, wrong)
            fill(message, item, _under(path, field.name), wrong)

    def _unknown(self, key: str) -> str:
        near = difflib.get_close_matches(shown(key), self._names, n=1)
        return f"is not a field of {self._type}" + (f"; did you mean {near[0]!r}?" if near else "")

    @staticmethod
    def _once(field: FieldDescriptor, seen: dict[str, str], path: str, wrong: Wrong) -> None:
        """A field comes in one spelling, and of a oneof one field comes."""
        if field.name in seen:
            wrong.add(_under(path, field.name), "is given twice, in two spellings")
        seen[field.name] = field.name
        if in_choice(field) and (choice := field.containing_oneof) is not None:
            other = seen.setdefault(f"{choice.full_name}/", field.name)
            if other != field.name:
                wrong.add(_under(path, field.name), f"excludes {other}; give one of them")


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def setter(field: FieldDescriptor, known: dict[str, Reader]) -> Setter:
    """What fills one field of a message from its JSON value."""
    if is_map(field):
        return _map(field, known)
    if field.is_repeated:
        return _list(field, known)
    if is_message(field):
        fill = _filler(message_of(field), known)

        def nested(message: Message, value: object, path: str, wrong: Wrong) -> None:
            part = getattr(message, field.name)
            part.SetInParent()
            fill(part, value, path, wrong)

        return nested
    read = scalar(field)

    def plain(message: Message, value: object, path: str, wrong: Wrong) -> None:
        try:
            setattr(message, field.name, read(value))
        except WrongValue as problem:
            wrong.add(path, str(problem))

    return plain


def _list(field: FieldDescriptor, known: dict[str, Reader]) -> Setter:
    read = _element(field, known)

    def whole(message: Message, value: object, path: str, wrong: Wrong) -> None:
        if not isinstance(value, list):
            wrong.add(path, f"is {kind_of(value)}; want a list")
            return
        elements = getattr(message, field.name)
        for index, item in enumerate(value):
            if wrong.full:
                return
            if item is None:
                wrong.add(f"{path}[{index}]", "is null; want a value")
            else:
                read(elements, item, f"{path}[{index}]", wrong)

    return whole


def _element(field: FieldDescriptor, known: dict[str, Reader]) -> Callable[[Any, object, str, Wrong], None]:
    if is_message(field):
        fill = _filler(message_of(field), known)
        return lambda elements, item, path, wrong: fill(elements.add(), item, path, wrong)
    read = scalar(field)

    def append(elements: Any, item: object, path: str, wrong: Wrong) -> None:
        try:
            elements.append(read(item))
        except WrongValue as problem:
            wrong.add(path, str(problem))

    return append


def _map(field: FieldDescriptor, known: dict[str, Reader]) -> Setter:
    key_field, value_field = map_types(field)
    read_key = values.read_flag_word if key_field.type == F.TYPE_BOOL else scalar(key_field)
    fill = _filler(message_of(value_field), known) if is_message(value_field) else None
    read = None if fill else scalar(value_field)

    def entry(pairs: Any, key: str, item: object, path: str, wrong: Wrong) -> None:
        try:
            if fill is not None:
                fill(pairs[read_key(key)], item, path, wrong)
            elif read is not None:
                pairs[read_key(key)] = read(item)
        except WrongValue as problem:
            wrong.add(path, str(problem))

    def whole(message: Message, value: object, path: str, wrong: Wrong) -> None:
        if not isinstance(value, dict):
            wrong.add(path, f"is {kind_of(value)}; want an object")
            return
        pairs = getattr(message, field.name)
        for key, item in value.items():
            if wrong.full:
                return
            entry(pairs, key, item, f"{path}[{shown(key)!r}]", wrong)

    return whole


Filler = Callable[[Any, object, str, Wrong], None]


def _filler(descriptor: Descriptor, known: dict[str, Reader]) -> Filler:
    """What fills one message: a well-known type from its text, others field by field."""
    special = WELL_KNOWN.get(descriptor.full_name)
    if special is not None:
        return special
    if (
        descriptor.full_name.startswith("google.protobuf.")
        and descriptor.full_name != "google.protobuf.Empty"
    ):
        return _by_library
    return (known.get(descriptor.full_name) or Reader(descriptor, known)).fill


def _moment(part: Any, value: object, path: str, wrong: Wrong) -> None:
    try:
        part.seconds, part.nanos = values.read_instant(value)
    except WrongValue as problem:
        wrong.add(path, str(problem))


def _length(part: Any, value: object, path: str, wrong: Wrong) -> None:
    try:
        part.seconds, part.nanos = values.read_length(value)
    except WrongValue as problem:
        wrong.add(path, str(problem))


def _mask(part: Any, value: object, path: str, wrong: Wrong) -> None:
    if not isinstance(value, str):
        wrong.add(path, f"is {kind_of(value)}; want field names separated by commas")
        return
    try:
        part.paths.extend(mask_paths(value))
    except WrongValue as problem:
        wrong.add(path, str(problem))


def mask_paths(text: str) -> list[str]:
    """The paths of a field mask in snake_case, from names in either spelling separated by commas."""
    names = (name.strip() for name in values.read_text(text).split(","))
    return [
        "".join(f"_{c.lower()}" if c.isascii() and c.isupper() else c for c in name) for name in names if name
    ]


def _wrapped(read: Scalar) -> Filler:
    """What fills a wrapper, which reads like the value that it holds."""

    def fill(part: Any, value: object, path: str, wrong: Wrong) -> None:
        try:
            part.value = read(value)
        except WrongValue as problem:
            wrong.add(path, str(problem))

    return fill


def _by_library(part: Message, value: Any, path: str, wrong: Wrong) -> None:
    try:
        json_format.ParseDict(value, part)
    except (json_format.ParseError, ValueError, TypeError, AttributeError) as problem:
        wrong.add(path, shown(str(problem)))


WRAPPED: dict[str, Scalar] = {
    kind.DESCRIPTOR.full_name: SCALARS[kind.DESCRIPTOR.fields_by_name["value"].type]
    for kind in (
        wrappers_pb2.BoolValue, wrappers_pb2.BytesValue, wrappers_pb2.DoubleValue, wrappers_pb2.FloatValue,
        wrappers_pb2.Int32Value, wrappers_pb2.Int64Value, wrappers_pb2.StringValue, wrappers_pb2.UInt32Value,
        wrappers_pb2.UInt64Value,
    )
}  # fmt: skip
WELL_KNOWN: dict[str, Filler] = {
    **{name: _wrapped(read) for name, read in WRAPPED.items()},
    "google.protobuf.Timestamp": _moment,
    "google.protobuf.Duration": _length,
    "google.protobuf.FieldMask": _mask,
}

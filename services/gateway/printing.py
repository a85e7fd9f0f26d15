"""Messages into JSON: snake_case names, defaults printed, what is unset as null."""

import base64
import json
from collections.abc import Callable
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2  # noqa: F401  # its types can then be printed inside an Any

from services.gateway import values
from services.gateway.fields import enum_of, in_choice, is_map, is_message, map_types, message_of
from services.gateway.status import GRPC_NAMES, http_status

Convert = Callable[[Any], object]
F = FieldDescriptor
WIDE = {F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64, F.TYPE_UINT64, F.TYPE_FIXED64}
"""Types that JSON's numbers cannot hold: proto3 JSON writes them as strings."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def encoded(value: object) -> bytes:
    """Compact JSON in UTF-8."""
    return _encode(value).encode()


class Printer:
    """Turns messages of one type into objects that `json` writes; compiled once per type."""

    def __init__(self, descriptor: Descriptor, known: dict[str, "Printer"] | None = None) -> None:
        known = {} if known is None else known
        known[descriptor.full_name] = self
        self._fields = [
            (field.name, _converter(field, known), field.has_presence, in_choice(field))
            for field in descriptor.fields
        ]

    def __call__(self, message: Message) -> dict[str, object]:
        """The JSON object of a message."""
        printed: dict[str, object] = {}
        for name, convert, explicit, choice in self._fields:
            if explicit and not message.HasField(name):
                if not choice:
                    printed[name] = None
                continue
            value = getattr(message, name)
            printed[name] = value if convert is None else convert(value)
        return printed


def printer_of(field: FieldDescriptor) -> Callable[[Message], object]:
    """What prints one field of a message alone."""
    convert = _converter(field, {})

    def printed(message: Message) -> object:
        if field.has_presence and not message.HasField(field.name):
            return None
        value = getattr(message, field.name)
        return value if convert is None else convert(value)

    return printed


def _converter(field: FieldDescriptor, known: dict[str, Printer]) -> Convert | None:
    if is_map(field):
        return _pairs(field, known)
    convert = _single(field, known)
    if not field.is_repeated:
        return convert
    return list if convert is None else lambda elements: [convert(element) for element in elements]


def _pairs(field: FieldDescriptor, known: dict[str, Printer]) -> Convert:
    key, held = map_types(field)
    convert = _single(held, known) or (lambda value: value)
    if key.type == F.TYPE_STRING:
        return lambda pairs: {name: convert(value) for name, value in pairs.items()}
    return lambda pairs: {json.dumps(name): convert(value) for name, value in pairs.items()}


def _single(field: FieldDescriptor, known: dict[str, Printer]) -> Convert | None:
    """What turns one value into JSON; None where it is JSON as it is."""
    if is_message(field):
        return _message(message_of(field), known)
    if field.type == F.TYPE_ENUM:
        return _enum(enum_of(field))
    if field.type in WIDE:
        return str
    if field.type in (F.TYPE_DOUBLE, F.TYPE_FLOAT):
        return values.write_number
    if field.type == F.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode()
    return None


def _enum(enum: EnumDescriptor) -> Convert:
    names: dict[int, str] = {value.number: value.name for value in reversed(enum.values)}
    return lambda number: names.get(number, number)


def _message(descriptor: Descriptor, known: dict[str, Printer]) -> Convert:
    special = WELL_KNOWN.get(descriptor.full_name)
    if special is not None:
        return special
    if (
        descriptor.full_name.startswith("google.protobuf.")
        and descriptor.full_name != "google.protobuf.Empty"
    ):
        return detail
    return known.get(descriptor.full_name) or Printer(descriptor, known)


def detail(message: Message) -> object:
    """A message as the library prints it, without defaults; an Any of an unknown type by its name alone."""
    try:
        return json_format.MessageToDict(message, preserving_proto_field_name=True)
    except (TypeError, json_format.Error):
        return {"@type": getattr(message, "type_url", "")}


def error_object(status: Any) -> dict[str, object]:
    """A google.rpc.Status as the error object that every failed call answers with."""
    return {
        "code": http_status(status.code),
        "status": GRPC_NAMES.get(status.code, "UNKNOWN"),
        "message": status.message,
        "details": [detail(part) for part in status.details],
    }


WELL_KNOWN: dict[str, Convert] = {
    "google.protobuf.Timestamp": lambda part: values.write_instant(part.seconds, part.nanos),
    "google.protobuf.Duration": lambda part: values.write_length(part.seconds, part.nanos),
    "google.protobuf.FieldMask": lambda part: ",".join(part.paths),
    "google.rpc.Status": error_object,
}

"""JSON schemas of messages and enums, as the gateway reads and prints them."""

import re
from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from services.gateway.contract import Contract
from services.gateway.fields import enum_of, in_choice, is_map, is_message, map_types, message_of
from services.gateway.values import INT32, UINT32

Json = dict[str, Any]
F = FieldDescriptor
SIGNED = {F.TYPE_INT32: INT32, F.TYPE_SINT32: INT32, F.TYPE_SFIXED32: INT32}
SMALL = {**SIGNED, F.TYPE_UINT32: UINT32, F.TYPE_FIXED32: UINT32}
WIDE = {F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64, F.TYPE_UINT64, F.TYPE_FIXED64}
DURATION = r"^-?\d{1,12}(\.\d{1,9})?s$"
CHARACTERS = re.compile(r"[Aa]t most ([\d,]+) characters")
ID = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
"""How comments say which ids a client may choose."""
WELL_KNOWN: dict[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": DURATION, "examples": ["300s"]},
    "google.protobuf.FieldMask": {"type": "string", "examples": ["display_name,time_zone"]},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Empty": {"type": "object", "maxProperties": 0},
    "google.rpc.Status": {"$ref": "#/components/schemas/Status"},
}


class Schemas:
    """Collects the component of every message and enum that an operation mentions."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._components: dict[str, Json] = {}
        self._owners: dict[str, str] = {}

    def components(self) -> dict[str, Json]:
        """Everything mentioned so far, by name."""
        return dict(sorted(self._components.items()))

    def required(self, schema: Json) -> bool:
        """Whether a body of this schema must have a field."""
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        return "required" in self._components.get(name, {})

    def answer(self, descriptor: Descriptor) -> Json:
        """The schema of an answer."""
        return self._message(descriptor)

    def request(self, descriptor: Descriptor, without: Iterable[str] = (), *, partial: bool = False) -> Json:
        """The schema of a body, without the fields that the path gives; a partial one requires none."""
        if not partial:
            return self._message(descriptor, frozenset(without))
        name = f"{self._name(descriptor)}Changes"
        fields = [field for field in descriptor.fields if field.name not in set(without)]
        self._components[name] = {
            "type": "object",
            "description": "The fields to change; those that are left out stay as they are.",
            "properties": {
                field.name: self.field(field) for field in fields if not self._contract.output_only(field)
            },
        }
        return _ref(name)

    def in_query(self, field: FieldDescriptor) -> Json:
        """The schema of a query parameter."""
        if field.is_repeated:
            return {"type": "array", "items": self._value(field)}
        return self._limited(self._value(field), field)

    def _message(self, descriptor: Descriptor, without: frozenset[str] = frozenset()) -> Json:
        if (known := WELL_KNOWN.get(descriptor.full_name)) is not None:
            return dict(known)
        name = self._name(descriptor)
        if name not in self._components:
            schema: Json = {"type": "object"}
            self._components[name] = schema
            self._describe(schema, descriptor.full_name)
            fields = [field for field in descriptor.fields if field.name not in without]
            schema["properties"] = {field.name: self.field(field) for field in fields}
            if required := [field.name for field in fields if self._contract.required(field)]:
                schema["required"] = required
        return _ref(name)

    def _name(self, described: Descriptor | EnumDescriptor) -> str:
        """The name below its package; two packages may not share one."""
        name = described.full_name.removeprefix(f"{described.file.package}.")
        owner = self._owners.setdefault(name, described.full_name)
        if owner != described.full_name:
            raise ValueError(f"{owner} and {described.full_name} would share a schema")
        return name

    def _describe(self, schema: Json, full_name: str) -> None:
        if comment := self._contract.comments.get(full_name):
            schema["description"] = comment

    def field(self, field: FieldDescriptor) -> Json:
        """The schema of one field, described."""
        schema = self._shape(field)
        if field.has_presence and not in_choice(field):
            schema = _nullable(schema)
        self._describe(schema, field.full_name)
        if self._contract.output_only(field):
            schema["readOnly"] = True
        return schema

    def _shape(self, field: FieldDescriptor) -> Json:
        if is_map(field):
            return {"type": "object", "additionalProperties": self._value(map_types(field)[1])}
        if field.is_repeated:
            return {"type": "array", "items": self._value(field)}
        return self._limited(self._value(field), field)

    def _limited(self, schema: Json, field: FieldDescriptor) -> Json:
        """The schema with the limits that the field's comment states; empty is what is not given."""
        if schema.get("type") != "string" or "format" in schema:
            return schema
        comment = self._contract.comments.get(field.full_name, "")
        limits: Json = {}
        if found := CHARACTERS.search(comment):
            limits["maxLength"] = int(found[1].replace(",", ""))
        if ID in comment:
            limits["pattern"] = f"^({ID})?$"
        return schema | limits

    def _value(self, field: FieldDescriptor) -> Json:
        if is_message(field):
            return self._message(message_of(field))
        if field.type == F.TYPE_ENUM:
            return self._enum(enum_of(field))
        return _scalar(field)

    def _enum(self, enum: EnumDescriptor) -> Json:
        name = self._name(enum)
        if name not in self._components:
            comments = self._contract.comments
            lines = [comments.get(enum.full_name, ""), ""]
            lines += [
                f"- `{value.name}`: {comments.get(f'{enum.full_name}.{value.name}', '')}"
                for value in enum.values
            ]
            self._components[name] = {
                "type": "string",
                "enum": [value.name for value in enum.values],
                "description": "\n".join(lines).strip(),
            }
        return _ref(name)


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _nullable(schema: Json) -> Json:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def _scalar(field: FieldDescriptor) -> Json:
    if field.type in SMALL:
        low, high = SMALL[field.type]
        return {"type": "integer", "format": "int32", "minimum": low, "maximum": high}
    if field.type in WIDE:
        return {"type": "string", "format": "int64", "pattern": r"^-?\d{1,20}$"}
    if field.type in (F.TYPE_DOUBLE, F.TYPE_FLOAT):
        return {"type": "number", "format": "double"}
    if field.type == F.TYPE_BOOL:
        return {"type": "boolean"}
    if field.type == F.TYPE_BYTES:
        return {"type": "string", "contentEncoding": "base64"}
    return {"type": "string"}

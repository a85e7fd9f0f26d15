"""What the protos say: every HTTP rule of every method, and the comments of everything."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.resources import files

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import (
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)

from services.gateway.routing import Template
from tocsin.options.v1 import options_pb2

VERBS = ("get", "put", "post", "delete", "patch")
PACKAGE = "tocsin."
REQUIRED = re.compile(r"\bRequired[.;]")


@dataclass(frozen=True)
class Rule:
    """One way in which a method is reached over HTTP; `body` is empty, `*` or the name of a field."""

    verb: str
    template: Template
    body: str
    method: MethodDescriptor

    @property
    def scope(self) -> str:
        """The scope that a token needs; empty when none is asked for."""
        found: str = self.method.GetOptions().Extensions[options_pb2.scope]
        return found

    @property
    def call(self) -> str:
        """The method's full path in gRPC."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def context(self) -> str:
        """The service that answers: roster, escalation, notify or sla."""
        package: str = self.method.containing_service.file.package
        return package.split(".")[1]

    @property
    def resource(self) -> FieldDescriptor | None:
        """The field that the body fills, when it is not the whole request."""
        if self.body in ("", "*"):
            return None
        return self.method.input_type.fields_by_name[self.body]

    @property
    def in_query(self) -> list[FieldDescriptor]:
        """The fields of the request that neither the path nor the body gives."""
        if self.body == "*":
            return []
        return [
            field
            for field in self.method.input_type.fields
            if field.name != self.body and field.name not in self.template.variables
        ]


class Contract:
    """The descriptor set that is generated with the code, and the classes of its messages."""

    def __init__(self, descriptors: bytes) -> None:
        self._files = descriptor_pb2.FileDescriptorSet.FromString(descriptors)

    @cached_property
    def services(self) -> list[ServiceDescriptor]:
        """Every service of ours, in the order of the files."""
        found = []
        for file in self._files.file:
            if file.package.startswith(PACKAGE) and file.service:
                module = import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
                found += module.DESCRIPTOR.services_by_name.values()
        return found

    @cached_property
    def rules(self) -> list[Rule]:
        """Every HTTP rule, additional bindings included."""
        return [
            _rule(method, http)
            for service in self.services
            for method in service.methods
            if method.GetOptions().HasExtension(annotations_pb2.http)
            for http in _bindings(method.GetOptions().Extensions[annotations_pb2.http])
        ]

    @cached_property
    def comments(self) -> Mapping[str, str]:
        """The leading comment of each message, field, enum, value, service and method, by full name."""
        found: dict[str, str] = {}
        for file in self._files.file:
            names = dict(_names(file))
            for location in file.source_code_info.location:
                name = names.get(tuple(location.path))
                if name is not None and location.leading_comments:
                    lines = (
                        line.removeprefix(" ").rstrip() for line in location.leading_comments.split("\n")
                    )
                    found[name] = "\n".join(lines).strip()
        return found

    def required(self, field: FieldDescriptor) -> bool:
        """Whether the field's comment says that it must be given."""
        return REQUIRED.search(self.comments.get(field.full_name, "")) is not None

    def output_only(self, field: FieldDescriptor) -> bool:
        """Whether the field's comment says that only the server sets it."""
        return "Output only." in self.comments.get(field.full_name, "")


def load() -> Contract:
    """The contract of the generated code that is installed."""
    return Contract((files("tocsin") / "descriptors.binpb").read_bytes())


def _bindings(http: http_pb2.HttpRule) -> Iterator[http_pb2.HttpRule]:
    yield http
    for more in http.additional_bindings:
        yield from _bindings(more)


def _rule(method: MethodDescriptor, http: http_pb2.HttpRule) -> Rule:
    kind = http.WhichOneof("pattern")
    if kind not in VERBS:
        raise ValueError(f"{method.full_name} has an HTTP rule that is not supported: {kind}")
    return Rule(kind.upper(), Template.parse(getattr(http, kind)), http.body, method)


Path = tuple[int, ...]


def _names(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[Path, str]]:
    """The full name of everything in a file by its path in the source info."""
    for index, message in enumerate(file.message_type):
        yield from _in_message(message, (4, index), f"{file.package}.{message.name}")
    for index, enum in enumerate(file.enum_type):
        yield from _in_enum(enum, (5, index), f"{file.package}.{enum.name}")
    for index, service in enumerate(file.service):
        yield (6, index), f"{file.package}.{service.name}"
        for at, method in enumerate(service.method):
            yield (6, index, 2, at), f"{file.package}.{service.name}.{method.name}"


def _in_message(message: descriptor_pb2.DescriptorProto, at: Path, name: str) -> Iterator[tuple[Path, str]]:
    yield at, name
    for index, field in enumerate(message.field):
        yield (*at, 2, index), f"{name}.{field.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _in_message(nested, (*at, 3, index), f"{name}.{nested.name}")
    for index, enum in enumerate(message.enum_type):
        yield from _in_enum(enum, (*at, 4, index), f"{name}.{enum.name}")


def _in_enum(enum: descriptor_pb2.EnumDescriptorProto, at: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Values are named below their enum here, although protobuf puts them beside it."""
    yield at, name
    for index, value in enumerate(enum.value):
        yield (*at, 2, index), f"{name}.{value.name}"

"""What the protos say: every HTTP rule of every method, and the comments of everything."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.resources import files

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import (
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)

from services.gateway.routing import Template
from tocsin.options.v1 import options_pb2

PACKAGE = "tocsin."
HTTP_BODY = "google.api.HttpBody"
REQUIRED = re.compile(r"\bRequired[.;]")


@dataclass(frozen=True)
class Rule:
    """One way in which a method is reached over HTTP.

    `body` is empty, `*` or the name of the field that it fills; `response_body` is empty or the name of the field that
    is answered alone. The first binding of a method has the number 0.
    """

    verb: str
    template: Template
    body: str
    response_body: str
    method: MethodDescriptor
    number: int = 0

    @property
    def name(self) -> str:
        """The method's name; the further bindings of a method are numbered."""
        return f"{self.method.name}{self.number + 1}" if self.number else self.method.name

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
    def answered(self) -> FieldDescriptor | None:
        """The field of the answer that is printed alone, when it is not the whole answer."""
        return self.method.output_type.fields_by_name[self.response_body] if self.response_body else None

    @property
    def raw_request(self) -> bool:
        """Whether the body is bytes of any kind rather than JSON."""
        filled = self.resource.message_type if self.resource is not None else self.method.input_type
        return bool(self.body) and filled is not None and filled.full_name == HTTP_BODY

    @property
    def raw_answer(self) -> bool:
        """Whether the answer is bytes of the kind that it names rather than JSON."""
        answered = self.answered.message_type if self.answered is not None else self.method.output_type
        return answered is not None and answered.full_name == HTTP_BODY

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
    """A descriptor set with its comments; its files are in the pool of what is imported."""

    def __init__(self, files: descriptor_pb2.FileDescriptorSet) -> None:
        self._files = files

    @cached_property
    def services(self) -> list[ServiceDescriptor]:
        """Every service of ours, in the order of the files."""
        pool = descriptor_pool.Default()
        return [
            pool.FindServiceByName(f"{file.package}.{service.name}")
            for file in self._files.file
            if file.package.startswith(PACKAGE)
            for service in file.service
        ]

    @cached_property
    def rules(self) -> list[Rule]:
        """Every HTTP rule, additional bindings included."""
        return [
            _rule(method, http, number)
            for service in self.services
            for method in service.methods
            if method.GetOptions().HasExtension(annotations_pb2.http)
            for number, http in enumerate(_bindings(method.GetOptions().Extensions[annotations_pb2.http]))
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
    described = descriptor_pb2.FileDescriptorSet.FromString(
        (files("tocsin") / "descriptors.binpb").read_bytes()
    )
    for file in described.file:
        if file.package.startswith(PACKAGE) and file.service:
            import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
    return Contract(described)


def _bindings(http: http_pb2.HttpRule) -> Iterator[http_pb2.HttpRule]:
    yield http
    for more in http.additional_bindings:
        yield from _bindings(more)


def _rule(method: MethodDescriptor, http: http_pb2.HttpRule, number: int) -> Rule:
    """Raises ValueError for a rule that names a field which is not there."""
    kind = http.WhichOneof("pattern")
    if kind is None:
        raise ValueError(f"{method.full_name} has an HTTP rule without a path")
    verb, path = (http.custom.kind, http.custom.path) if kind == "custom" else (kind, getattr(http, kind))
    rule = Rule(verb.upper(), Template.parse(path), http.body, http.response_body, method, number)
    for body, message in ((http.body, method.input_type), (http.response_body, method.output_type)):
        if body not in ("", "*") and body not in message.fields_by_name:
            raise ValueError(f"{method.full_name} has an HTTP rule with a field that is not there: {body}")
    return rule


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

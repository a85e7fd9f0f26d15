"""The OpenAPI 3.1 document, out of the descriptors that the routes are made of."""

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from services.gateway import foreign, query
from services.gateway.contract import Contract, Rule
from services.gateway.fields import is_message, message_of
from services.gateway.schemas import Schemas

Json = dict[str, Any]
DESCRIPTION = """On-call alerting: who is on call, how an alert escalates, how it reaches them, how well it went.

Every operation is a gRPC method, transcoded. Times are RFC 3339 UTC, durations are like `"300s"`, and what is unset
reads as null. Lists page with `page_size` and `page_token`. Field names are accepted in snake_case and camelCase;
unknown ones are an error."""
ERRORS = {
    "400": "The request is wrong, or the state does not allow it; every wrong field is named.",
    "401": "No valid token.",
    "403": "The token lacks the scope.",
    "404": "What the request names does not exist.",
    "405": "The path is another one's, which has other methods: an id is empty, or `.`, which clients take away.",
    "409": "The id or the interval is taken, or somebody else uses it.",
    "413": "The body is too large.",
    "429": "Over a rate or size limit.",
    "500": "The service failed.",
    "501": "This installation is not set up for it.",
    "503": "A part of the service is away; try again.",
    "504": "The deadline passed first.",
}
VERBS = frozenset({"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"})
WITH_VARIABLES, WITH_VERB, WITH_BODY, CHANGING = ("404", "405"), ("404",), ("413",), ("409",)
"""What may be answered besides, by what a route is like; a verb, `alerts:escalation-run`, may name things elsewhere."""
ALWAYS = ("400", "401", "403", "429", "500", "501", "503", "504")
STATUS_SCHEMA: Json = {
    "type": "object",
    "description": "What went wrong.",
    "required": ["code", "status", "message", "details"],
    "properties": {
        "code": {"type": "integer", "description": "The HTTP status."},
        "status": {"type": "string", "description": "The name of the gRPC status."},
        "message": {"type": "string", "description": "For people."},
        "details": {
            "type": "array",
            "description": "`google.rpc.ErrorInfo` with a stable reason; `google.rpc.BadRequest` with every wrong field.",
            "items": {
                "type": "object",
                "required": ["@type"],
                "properties": {"@type": {"type": "string"}},
            },
        },
    },
}
FILE: Json = {
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    "*/*": {"schema": {}},
}
"""Bytes of any kind: the first form is for generators of clients, which know no `*/*`."""
ERROR_SCHEMA: Json = {
    "type": "object",
    "description": "What every failed request answers with.",
    "required": ["error"],
    "properties": {"error": {"$ref": "#/components/schemas/Status"}},
}


def document(contract: Contract) -> Json:
    """The whole document."""
    schemas = Schemas(contract)
    paths: dict[str, Json] = {}
    for rule in contract.rules:
        if rule.verb not in VERBS:
            continue  # OpenAPI has no place for a method of one's own
        operation = _operation(rule, contract, schemas)
        if found := dict(links(rule, contract.rules)):
            operation["responses"]["200"]["links"] = found
        paths.setdefault(rule.template.plain, {})[rule.verb.lower()] = operation
    for path, item in foreign.PATHS.items():
        paths[path] = paths.get(path, {}) | item
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tocsin",
            "version": _version(),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [*_tags(contract), {"name": "Intake", "description": "Where other tools send their alerts."}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {
                **schemas.components(),
                **foreign.SCHEMAS,
                "Error": ERROR_SCHEMA,
                "Status": STATUS_SCHEMA,
            },
            "responses": {status: _failure(text) for status, text in ERRORS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token or an API key."},
                "link": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "token",
                    "description": "The token of a signed receipt link.",
                },
                "genie": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "authorization",
                    "description": "`GenieKey` and the routing key of an integration.",
                },
                "feed": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "token",
                    "description": "A bearer token, in the address of a calendar feed.",
                },
            },
        },
    }


def _version() -> str:
    try:
        return version("tocsin")
    except PackageNotFoundError:
        return "0"


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _tags(contract: Contract) -> list[Json]:
    """A tag for each service; those of one name in several contexts share one."""
    named = {rule.method.containing_service.full_name for rule in contract.rules}
    described: dict[str, str] = {}
    for service in contract.services:
        if service.full_name in named:
            described.setdefault(service.name, contract.comments.get(service.full_name, service.name))
    return [{"name": name, "description": text} for name, text in described.items()]


def _failure(text: str) -> Json:
    return {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


def _operation(rule: Rule, contract: Contract, schemas: Schemas) -> Json:
    method = rule.method
    comment = contract.comments.get(method.full_name, method.name)
    operation: Json = {
        "operationId": rule.name,
        "tags": [method.containing_service.name],
        "summary": re.split(r"(?<=[.;])\s", comment, maxsplit=1)[0].rstrip(".;"),
        "description": comment + (f"\n\nNeeds the scope `{rule.scope}`." if rule.scope else ""),
        "parameters": [*_in_path(rule, contract), *_in_query(rule, contract, schemas)],
        "responses": _responses(rule, schemas),
    }
    if not rule.scope:
        operation["security"] = [{"bearer": []}, {"link": []}]
    if rule.body:
        operation["requestBody"] = _body(rule, schemas)
    return operation


def _in_path(rule: Rule, contract: Contract) -> Iterable[Json]:
    for name in rule.template.variables:
        field = query.steps_to(rule.method.input_type, name)[-1]
        yield {
            "name": _last(name),
            "in": "path",
            "required": True,
            "description": contract.comments.get(field.full_name, ""),
            "schema": {"type": "string", "minLength": 1},
        }


def _in_query(rule: Rule, contract: Contract, schemas: Schemas) -> Iterable[Json]:
    bound = {name.partition(".")[0] for name in rule.template.variables if "." not in name}
    for path, field in _sayable(rule.in_query):
        if path in bound:
            continue
        yield {
            "name": path,
            "in": "query",
            "required": contract.required(field),
            "description": contract.comments.get(field.full_name, ""),
            "schema": schemas.in_query(field),
            **({"style": "form", "explode": True} if field.is_repeated else {}),
        }
    if rule.method.server_streaming:
        yield {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The id of the last event that was seen; the stream goes on after it.",
            "schema": {"type": "string"},
        }


def _sayable(fields: Iterable[FieldDescriptor], prefix: str = "") -> Iterable[tuple[str, FieldDescriptor]]:
    for field in fields:
        if query.simple(field):
            yield prefix + field.name, field
        elif query.nested(field):
            yield from _sayable(message_of(field).fields, f"{prefix}{field.name}.")


def _body(rule: Rule, schemas: Schemas) -> Json:
    resource = rule.resource
    bound = [_last(name) for name in rule.template.variables]
    if rule.raw_request:
        return {"required": True, "content": {"*/*": {"schema": {}}}}
    if resource is None:
        schema = schemas.request(rule.method.input_type, without=rule.template.variables)
    elif is_message(resource) and not resource.is_repeated:
        schema = schemas.request(message_of(resource), without=bound, partial=rule.verb == "PATCH")
    else:
        schema = schemas.field(resource)
    needed = resource is not None or schemas.required(schema)
    return {"required": needed, "content": {"application/json": {"schema": schema}}}


def _responses(rule: Rule, schemas: Schemas) -> Json:
    template = rule.template
    statuses = {
        *ALWAYS,
        *(WITH_VARIABLES if template.variables else ()),
        *(WITH_VERB if template.verb else ()),
        *(WITH_BODY if rule.body else ()),
        *(() if rule.verb == "GET" else CHANGING),
    }
    return {
        "200": _answer(rule, schemas),
        **{status: {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)},
    }


def links(rule: Rule, rules: Sequence[Rule]) -> Iterator[tuple[str, Json]]:
    """Where what a POST made can be asked for: the operations whose path names it, by the id in the answer."""
    if rule.verb != "POST" or rule.template.variables or rule.method.server_streaming or rule.answered:
        return
    ids = {field.name: field.name for field in _ids(rule.method.output_type)}
    for part in rule.method.output_type.fields:
        if is_message(part) and not part.is_repeated:
            ids |= {field.name: f"{part.name}/{field.name}" for field in _ids(message_of(part))}
    for other in rules:
        variables = [_last(name) for name in other.template.variables]
        if other.verb in VERBS and len(variables) == 1 and variables[0] in ids:
            place = f"$response.body#/{ids[variables[0]]}"
            yield other.name, {"operationId": other.name, "parameters": {variables[0]: place}}


def _ids(descriptor: Descriptor) -> list[FieldDescriptor]:
    """The field that names a resource: the first one, when it is an id."""
    return [field for field in descriptor.fields[:1] if field.name.endswith("_id") and not field.is_repeated]


def _answer(rule: Rule, schemas: Schemas) -> Json:
    if rule.raw_answer:
        return {"description": "The file.", "content": FILE}
    answered = rule.answered
    schema = schemas.answer(rule.method.output_type) if answered is None else schemas.field(answered)
    if rule.method.server_streaming:
        text = "A stream of server-sent events; the data of each is this."
        return {"description": text, "content": {"text/event-stream": {"schema": schema}}}
    return {"description": "Done.", "content": {"application/json": {"schema": schema}}}

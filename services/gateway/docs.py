"""`/openapi.json`, and `/docs`: the same document as one page that loads nothing from anywhere."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from html import escape
from typing import Any

from starlette.responses import Response

from services.gateway import etags, openapi
from services.gateway.contract import Contract
from services.gateway.http import Incoming

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
}
STYLE = """
:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:64rem;margin:0 auto;padding:1rem}
code{font:.9em ui-monospace,monospace}h2{margin-top:2.5rem;border-bottom:1px solid #8886}a{color:inherit}
details{border:1px solid #8886;border-radius:.4rem;margin:.4rem 0;padding:.4rem .8rem}summary{cursor:pointer}
summary b{display:inline-block;min-width:4.5rem;font:700 .85rem ui-monospace,monospace}
.get b{color:#1a7f37}.post b{color:#0969da}.patch b{color:#9a6700}.delete b{color:#cf222e}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0}
td:first-child{white-space:nowrap}p{white-space:pre-line;margin:.5rem 0}nav a{margin-right:1rem}
"""
Json = Mapping[str, Any]


class Documents:
    """The document in both forms, made when somebody first asks."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract

    @cached_property
    def _json(self) -> bytes:
        return json.dumps(openapi.document(self._contract), ensure_ascii=False, indent=1).encode()

    @cached_property
    def _html(self) -> bytes:
        return render(openapi.document(self._contract)).encode()

    async def home(self, _: Incoming) -> Response:
        """Whoever opens the gateway's address in a browser finds the document."""
        return Response(status_code=302, headers={"location": "docs"})

    async def openapi(self, incoming: Incoming) -> Response:
        """The document as JSON."""
        return _answer(incoming, self._json, "application/json")

    async def page(self, incoming: Incoming) -> Response:
        """The document for people."""
        return _answer(incoming, self._html, "text/html")


def _answer(incoming: Incoming, body: bytes, media: str) -> Response:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**HEADERS, "etag": tag}
    if etags.known(incoming.request.headers, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media)


def render(document: Json) -> str:
    """The whole page."""
    tags = document["tags"]
    links = "".join(f'<a href="#{escape(tag["name"])}">{escape(tag["name"])}</a>' for tag in tags)
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    return "".join(
        (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>',
            f"<h1>{title}</h1>{_text(document['info']['description'])}",
            '<p>The same for machines: <a href="/openapi.json">/openapi.json</a></p>',
            f'<nav>{links}<a href="#schemas">Schemas</a></nav>',
            *(_section(tag, document) for tag in tags),
            '<h2 id="schemas">Schemas</h2>',
            *(_schema(name, schema) for name, schema in document["components"]["schemas"].items()),
            "</body></html>\n",
        )
    )


def _text(text: str) -> str:
    """Prose with its `code`."""
    parts = escape(text, quote=False).split("`")
    return (
        "<p>" + "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts)) + "</p>"
    )


def _section(tag: Json, document: Json) -> str:
    operations = "".join(
        _operation(verb, path, operation)
        for path, item in document["paths"].items()
        for verb, operation in item.items()
        if tag["name"] in operation["tags"]
    )
    return f'<h2 id="{escape(tag["name"])}">{escape(tag["name"])}</h2>{_text(tag["description"])}{operations}'


def _operation(verb: str, path: str, operation: Json) -> str:
    name = escape(operation["operationId"])
    parts = [_text(operation["description"])]
    if operation["parameters"]:
        parts.append(_table((_parameter(one) for one in operation["parameters"]), "Parameter"))
    if body := operation.get("requestBody"):
        parts += [f"<p>Body: {_content(media, content)}</p>" for media, content in body["content"].items()]
    for status, answer in operation["responses"].items():
        parts += [f"<p>{status}: {_content(*one)}</p>" for one in answer.get("content", {}).items()]
    return (
        f'<details class="{verb}" id="{name}"><summary><b>{verb.upper()}</b> <code>{escape(path)}</code> '
        f"{escape(operation['summary'])}</summary>{''.join(parts)}</details>"
    )


def _content(media: str, content: Json) -> str:
    kind = "" if media == "application/json" else f"<code>{escape(media)}</code> "
    return kind + _type(content["schema"])


def _parameter(parameter: Json) -> tuple[str, str, str]:
    name = f"<code>{escape(parameter['name'])}</code> in {parameter['in']}"
    needed = " required" if parameter.get("required") else ""
    return name + needed, _type(parameter["schema"]), _text(parameter.get("description", ""))


def _schema(name: str, schema: Json) -> str:
    rows = (
        (f"<code>{escape(key)}</code>", _type(value), _text(value.get("description", "")))
        for key, value in schema.get("properties", {}).items()
    )
    table = _table(rows, "Field") if schema.get("properties") else ""
    text = _text(schema.get("description", ""))
    return f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary>{text}{table}</details>'


def _table(rows: Iterable[tuple[str, str, str]], what: str) -> str:
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr><th>{what}</th><th>Type</th><th></th></tr>{lines}</table>"


def _type(schema: Json) -> str:
    """A schema in a few words, with links to what it names."""
    if "$ref" in schema:
        name = escape(schema["$ref"].removeprefix("#/components/schemas/"))
        return f'<a href="#schema-{name.partition("/")[0]}"><code>{name.partition("/")[0]}</code></a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_type(schema['additionalProperties'])}"
    kinds = schema.get("type", "any")
    words = " or ".join(kinds) if isinstance(kinds, list) else kinds
    return escape(f"{words} ({schema['format']})" if "format" in schema else words)

"""Finds what a method and path mean: one tree for every route, in the syntax of google.api.http templates."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from chassis.errors import Invalid, NotFound
from services.gateway.failures import MethodNotAllowed

E = TypeVar("E")
SEGMENT = re.compile(r"\{([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*)(?:=\*)?\}")
LITERAL = re.compile(r"[A-Za-z0-9._~-]+")


@dataclass(frozen=True, slots=True)
class Template:
    """A path with variables: `/api/alert/alerts/{alert_id}:close` has the verb `close` and one variable.

    A segment is a literal or a variable; a variable stands for one whole segment and its name is the path of a field.
    """

    text: str
    segments: tuple[str | None, ...]
    verb: str
    variables: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Reads a template; raises ValueError for what no proto of ours says, such as `**`."""
        path, _, verb = text.partition(":")
        segments: list[str | None] = []
        variables = []
        parts = path.removeprefix("/").split("/")
        for index, part in enumerate(parts):
            if found := SEGMENT.fullmatch(part):
                segments.append(None)
                variables.append(found[1])
            elif LITERAL.fullmatch(part) or (part == "" and index == len(parts) - 1):
                segments.append(part)
            else:
                raise ValueError(f"the path template {text!r} has a segment that is not supported: {part!r}")
        return cls(text, tuple(segments), verb, tuple(variables))


@dataclass(slots=True)
class _Node(Generic[E]):
    literals: dict[str, "_Node[E]"] = field(default_factory=dict)
    variable: "_Node[E] | None" = None
    leaves: dict[str, dict[str, tuple[Template, E]]] = field(default_factory=dict)
    """By verb, then by method."""


@dataclass(frozen=True, slots=True)
class Match(Generic[E]):
    """What a request means: the endpoint, its template and the decoded variables by field path."""

    endpoint: E
    template: Template
    variables: Mapping[str, str]


class Router(Generic[E]):
    """Every route. A literal wins over a variable; a raw `:` in the last segment always begins a verb."""

    def __init__(self) -> None:
        self._root: _Node[E] = _Node()

    def add(self, method: str, template: str, endpoint: E) -> None:
        """Adds a route; raises ValueError when the place is taken."""
        parsed = Template.parse(template)
        node = self._root
        for segment in parsed.segments:
            if segment is None:
                node.variable = node.variable or _Node()
                node = node.variable
            else:
                node = node.literals.setdefault(segment, _Node())
        leaf = node.leaves.setdefault(parsed.verb, {})
        if method in leaf:
            raise ValueError(f"{method} {template} has two meanings")
        leaf[method] = (parsed, endpoint)

    def find(self, method: str, raw_path: str) -> Match[E]:
        """What a request means; HEAD means what GET means.

        Raises NotFound for an unknown path, MethodNotAllowed for another method of a known one, Invalid for a
        variable that is not percent-encoded UTF-8.
        """
        path, _, verb = raw_path.partition(":") if ":" in raw_path else (raw_path, "", "")
        allowed: set[str] = set()
        for leaf, values in self._leaves(self._root, path.removeprefix("/").split("/"), 0, verb):
            if (found := leaf.get("GET" if method == "HEAD" else method)) is not None:
                template, endpoint = found
                return Match(endpoint, template, _decoded(template.variables, values))
            allowed |= leaf.keys()
        if allowed:
            raise MethodNotAllowed(method, allowed | ({"HEAD"} if "GET" in allowed else set()) | {"OPTIONS"})
        raise NotFound("there is nothing at this path", reason="UNKNOWN_PATH")

    def _leaves(
        self, node: _Node[E], parts: list[str], at: int, verb: str
    ) -> Iterator[tuple[dict[str, tuple[Template, E]], list[str]]]:
        if at == len(parts):
            if (leaf := node.leaves.get(verb)) is not None:
                yield leaf, []
            return
        if (literal := node.literals.get(parts[at])) is not None:
            yield from self._leaves(literal, parts, at + 1, verb)
        if node.variable is not None and parts[at]:
            for leaf, values in self._leaves(node.variable, parts, at + 1, verb):
                yield leaf, [parts[at], *values]


def _decoded(names: tuple[str, ...], values: list[str]) -> dict[str, str]:
    decoded = {}
    for name, value in zip(names, values, strict=True):
        if "%" in value:
            try:
                decoded[name] = unquote_to_bytes(value).decode()
            except UnicodeDecodeError:
                raise Invalid.field(name.rpartition(".")[2], "is not percent-encoded UTF-8") from None
        else:
            decoded[name] = value
    return decoded

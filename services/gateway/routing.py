"""Finds what a method and path mean: one tree for every route, in the syntax of google.api.http templates."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from chassis.errors import Invalid, NotFound
from services.gateway.failures import MethodNotAllowed

E = TypeVar("E")
PIECE = re.compile(
    r"\{(?P<name>[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*)(?:=(?P<pattern>[^{}]+))?\}|(?P<segment>[^/{}]*)"
)
LITERAL = re.compile(r"[A-Za-z0-9._~-]+")
ONE, REST = "*", "**"
"""One segment; all that are left."""
ENCODED_SLASH = re.compile(r"(%2[Ff])")


@dataclass(frozen=True, slots=True)
class Variable:
    """A field that a path gives, and the segments that it spans; `stop` is None when it takes all that are left."""

    name: str
    start: int
    stop: int | None

    @property
    def whole(self) -> bool:
        """Whether it is one segment, which may hold anything, rather than a path with slashes of its own."""
        return self.stop == self.start + 1


@dataclass(frozen=True, slots=True)
class Template:
    """A path with variables: `/api/alert/alerts/{alert_id}:close` has the verb `close` and one variable.

    The syntax is that of google.api.http: a segment is a literal, `*` or, as the last one, `**`; a variable spans the
    segments of its pattern, `{name=projects/*/files/**}`, or one.
    """

    text: str
    segments: tuple[str, ...]
    verb: str
    spans: tuple[Variable, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Reads a template; raises ValueError for what the syntax does not have."""
        path, verb = _apart(text)
        segments: list[str] = []
        spans: list[Variable] = []
        for name, pattern in _pieces(path.removeprefix("/"), text):
            parts = pattern.split("/")
            start = len(segments)
            segments += parts
            if name:
                spans.append(Variable(name, start, None if REST in parts else start + len(parts)))
        for at, segment in enumerate(segments):
            last = at == len(segments) - 1
            if segment != ONE and not LITERAL.fullmatch(segment) and not (last and segment in ("", REST)):
                raise ValueError(f"the path template {text!r} has a segment that is none: {segment!r}")
        if len({span.name for span in spans}) < len(spans):
            raise ValueError(f"the path template {text!r} has a variable twice")
        return cls(text, tuple(segments), verb, tuple(spans))

    @property
    def variables(self) -> tuple[str, ...]:
        """The paths of the fields that the path gives."""
        return tuple(span.name for span in self.spans)

    @property
    def plain(self) -> str:
        """The path as OpenAPI writes it: each variable by the last part of its name, without its pattern."""
        return re.sub(r"\{(?:[^}=]*\.)?([^}=.]+)(?:=[^}]*)?\}", r"{\1}", self.text)


def _apart(text: str) -> tuple[str, str]:
    """Path and verb; a pattern of a variable has no colon."""
    path, colon, verb = text.rpartition(":")
    return (path, verb) if colon else (text, "")


def _pieces(path: str, text: str) -> Iterator[tuple[str, str]]:
    """The name, empty for none, and the pattern of each variable and each segment outside of one."""
    at = 0
    while True:
        found = PIECE.match(path, at)
        if found is None or (found.end() < len(path) and path[found.end()] != "/"):
            raise ValueError(f"the path template {text!r} has a segment that is none: {path[at:]!r}")
        yield found["name"] or "", (found["pattern"] or ONE) if found["name"] else found["segment"]
        at = found.end() + 1
        if found.end() == len(path):
            return


@dataclass(slots=True)
class _Node(Generic[E]):
    literals: dict[str, "_Node[E]"] = field(default_factory=dict)
    one: "_Node[E] | None" = None
    rest: "_Node[E] | None" = None
    leaves: dict[str, dict[str, tuple[Template, E]]] = field(default_factory=dict)
    """By verb, then by method."""

    def child(self, segment: str) -> "_Node[E]":
        """The node that a segment of a template leads to, made when it is not there."""
        if segment == ONE:
            self.one = self.one or _Node()
            return self.one
        if segment == REST:
            self.rest = self.rest or _Node()
            return self.rest
        return self.literals.setdefault(segment, _Node())


@dataclass(frozen=True, slots=True)
class Match(Generic[E]):
    """What a request means: the endpoint, its template and the decoded variables by field path."""

    endpoint: E
    template: Template
    variables: Mapping[str, str]


class Router(Generic[E]):
    """Every route.

    A literal wins over `*`, `*` over `**`; a raw `:` always begins a verb.
    """

    def __init__(self) -> None:
        self._root: _Node[E] = _Node()

    def add(self, method: str, template: str, endpoint: E) -> None:
        """Adds a route; raises ValueError when the place is taken."""
        parsed = Template.parse(template)
        node = self._root
        for segment in parsed.segments:
            node = node.child(segment)
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
        parts = path.removeprefix("/").split("/")
        allowed: set[str] = set()
        for leaf in _leaves(self._root, parts, 0, verb):
            if (found := leaf.get("GET" if method == "HEAD" else method)) is not None:
                template, endpoint = found
                return Match(
                    endpoint, template, {span.name: _decoded(span, parts) for span in template.spans}
                )
            allowed |= leaf.keys()
        if allowed:
            raise MethodNotAllowed(method, allowed | ({"HEAD"} if "GET" in allowed else set()) | {"OPTIONS"})
        raise NotFound("there is nothing at this path", reason="UNKNOWN_PATH")


def _leaves(node: _Node[E], parts: list[str], at: int, verb: str) -> Iterator[dict[str, tuple[Template, E]]]:
    if at == len(parts):
        for end in (node, node.rest):
            if end is not None and (leaf := end.leaves.get(verb)) is not None:
                yield leaf
        return
    if (literal := node.literals.get(parts[at])) is not None:
        yield from _leaves(literal, parts, at + 1, verb)
    if node.one is not None and parts[at]:
        yield from _leaves(node.one, parts, at + 1, verb)
    if node.rest is not None and all(parts[at:]):
        yield from _leaves(node.rest, parts, len(parts), verb)


def _decoded(span: Variable, parts: list[str]) -> str:
    """The text of a variable; one that spans several segments keeps `%2F` apart from the slashes between them."""
    if span.whole:
        value = parts[span.start]
        return _unquoted(value, span.name) if "%" in value else value
    value = "/".join(parts[span.start : span.stop])
    pieces = ENCODED_SLASH.split(value)
    return "".join(piece if at % 2 else _unquoted(piece, span.name) for at, piece in enumerate(pieces))


def _unquoted(text: str, name: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise Invalid.field(name.rpartition(".")[2], "is not percent-encoded UTF-8") from None

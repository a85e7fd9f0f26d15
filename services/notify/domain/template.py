"""Templates that people write for messages: they see the data that is given, and can neither reach further nor run away."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, nodes, pass_environment
from jinja2.environment import Template as Compiled
from jinja2.filters import do_default
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

LONGEST_SOURCE = 16_384
LONGEST_OUTPUT = 262_144
MOST_STEPS = 20_000
"""Turns of loops, look-ups and filters of one rendering, a filter counting one more for each 1,024 characters."""
DEEPEST_LOOP = 2
FILE = "<template>"

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Tuple, nodes.List,
    nodes.If, nodes.For, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.CondExpr, nodes.Getattr, nodes.Getitem, nodes.Keyword, nodes.Pair,
)  # fmt: skip
_LOOP = ("first", "last", "index", "index0", "length")
_TESTS = ("defined", "undefined", "none", "string", "mapping", "eq", "ne", "in")


class TemplateProblem(ValueError):
    """What is wrong with a template, with the line where that is known: for the person who wrote it."""


class Labels(dict[str, str]):
    """Labels as templates see them: one that is missing is empty."""

    def __missing__(self, name: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Text:
    """A message in words; without `html` there is the plain `body` alone."""

    title: str
    body: str
    html: str = ""


class Environment(ImmutableSandboxedEnvironment):
    """Jinja without calls, assignments, arithmetic or attributes: names, members, conditions, loops and some filters.

    Reaching for something that is not there is an error, and so is taking too many steps.
    """

    def __init__(self, *, html: bool) -> None:
        super().__init__(
            autoescape=html, undefined=StrictUndefined, finalize=_shown, trim_blocks=True, lstrip_blocks=True
        )
        self.globals.clear()
        self.filters = {name: _counted(found) for name, found in _FILTERS.items()} | {"each": _each}
        self.tests = {name: self.tests[name] for name in _TESTS}
        self._left = MOST_STEPS

    def prepared(self, source: str) -> Compiled:
        """The template of a source, ready to be rendered. Raises TemplateProblem."""
        if len(source) > LONGEST_SOURCE:
            raise TemplateProblem(f"has {len(source)} characters; want at most {LONGEST_SOURCE}")
        try:
            self._left = MOST_STEPS
            tree = self.parse(source)
            _check(tree, depth=0)
            return Compiled.from_code(self, self.compile(tree, filename=FILE), {})
        except TemplateProblem:
            raise
        except TemplateSyntaxError as error:
            raise TemplateProblem(f"line {error.lineno}: {error.message}") from None
        except (Exception, RecursionError, MemoryError) as error:
            raise TemplateProblem(f"cannot be read: {error or type(error).__name__}") from None

    def rendered(self, template: Compiled, data: Mapping[str, Any]) -> str:
        """What a prepared template makes of the data. Raises TemplateProblem."""
        self._left = MOST_STEPS
        parts, length = [], 0
        try:
            for part in template.generate(data):
                length += len(part)
                if length > LONGEST_OUTPUT:
                    raise TemplateProblem(f"makes more than {LONGEST_OUTPUT} characters")
                parts.append(part)
        except (Exception, RecursionError) as error:
            line = _line(error)
            raise TemplateProblem(f"line {line}: {error}" if line else str(error)) from None
        return "".join(parts)

    def spend(self, steps: int) -> None:
        """Counts steps; raises TemplateProblem when there were too many."""
        self._left -= steps
        if self._left < 0:
            raise TemplateProblem("takes too many steps; want fewer loops, look-ups and filters")

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A member of a mapping; never an attribute of an object."""
        return self._member(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A member of a mapping or list."""
        return self._member(obj, argument)

    def _member(self, obj: Any, name: Any) -> Any:
        self.spend(1)
        if isinstance(obj, Undefined):
            return str(obj)  # raises: what is not there has no members
        if isinstance(obj, LoopContext) and name in _LOOP:
            return getattr(obj, name)
        try:
            if isinstance(obj, Mapping) or (isinstance(obj, Sequence) and isinstance(name, int)):
                return obj[name]
        except (LookupError, TypeError):
            pass
        return self.undefined(hint=f"there is no {name!r} here", name=str(name))


def _check(node: nodes.Node, *, depth: int) -> None:
    """Refuses what is not allowed, and makes every loop count its turns."""
    if not isinstance(node, _ALLOWED):
        raise TemplateProblem(
            f"line {node.lineno}: {type(node).__name__.lower()} is not available in templates"
        )
    if isinstance(node, nodes.Name) and node.name == "self":
        raise TemplateProblem(f"line {node.lineno}: 'self' is not available in templates")
    if isinstance(node, nodes.For):
        depth += 1
        if depth > DEEPEST_LOOP or node.recursive:
            raise TemplateProblem(f"line {node.lineno}: loops may be {DEEPEST_LOOP} deep and not recursive")
    for child in node.iter_child_nodes():
        _check(child, depth=depth)
    if isinstance(node, nodes.For):
        node.iter = nodes.Filter(node.iter, "each", [], [], None, None, lineno=node.lineno)


def _line(error: BaseException) -> int:
    """The line of the template in which an error arose; 0 when that is unknown."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _shown(value: Any) -> Any:
    return "" if value is None else value


@pass_environment
def _each(environment: Environment, values: Any) -> Iterator[Any]:
    if isinstance(values, Undefined):
        str(values)  # raises
    if not isinstance(values, Mapping | list | tuple):
        raise TemplateProblem(f"a loop wants a list, not {type(values).__name__}")
    for value in values:
        environment.spend(1)
        yield value


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    @pass_environment
    def counted(environment: Environment, value: Any, *arguments: Any, **named: Any) -> Any:
        environment.spend(1 + (len(value) // 1024 if isinstance(value, str) else 0))
        made = function(value, *arguments, **named)
        if isinstance(made, str) and len(made) > LONGEST_OUTPUT:
            raise TemplateProblem(f"makes more than {LONGEST_OUTPUT} characters")
        return made

    return counted


def _text(value: Any) -> str:
    """The text of a value; raises for what is not there."""
    return str(_shown(value))


def _truncate(value: Any, length: int = 255) -> str:
    text = _text(value)
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def _join(values: Any, separator: str = ", ") -> str:
    if not isinstance(values, Mapping | list | tuple):
        raise TemplateProblem(f"join wants a list, not {type(values).__name__}")
    if len(values) * len(separator) > LONGEST_OUTPUT:
        raise TemplateProblem(f"makes more than {LONGEST_OUTPUT} characters")
    return separator.join(map(_text, values))


def _replace(value: Any, old: str, new: str) -> str:
    text = _text(value)
    if len(text) + text.count(old) * len(new) > LONGEST_OUTPUT:
        raise TemplateProblem(f"makes more than {LONGEST_OUTPUT} characters")
    return text.replace(old, new)


_FILTERS: Mapping[str, Callable[..., Any]] = {
    "upper": lambda value: _text(value).upper(),
    "lower": lambda value: _text(value).lower(),
    "title": lambda value: _text(value).title(),
    "trim": lambda value: _text(value).strip(),
    "truncate": _truncate,
    "replace": _replace,
    "default": do_default,
    "length": len,
    "join": _join,
    "first": lambda values: next(iter(values), ""),
    "items": lambda mapping: sorted(mapping.items()),
    "escape": lambda value: Markup.escape(_text(value)),
    "e": lambda value: Markup.escape(_text(value)),
    "urlencode": lambda value: quote(_text(value), safe=""),
}

"""The file: YAML as people mean it, sections of resources, and every mistake in it named at once."""

from typing import TYPE_CHECKING, Any

from cli.api import Json
from cli.declared.kinds import KINDS, Kind

if TYPE_CHECKING:
    import yaml

Declared = dict[str, list[Json]]
"""The resources by section; a section that the file does not have is not there."""
HEADER = "# A stack of Tocsin, as `tocsin apply -f` takes it.\n"


class Wrong(Exception):
    """The file cannot be used; the text names every mistake, one a line."""


def read(text: str) -> Declared:
    """The resources of a YAML or JSON document; raises Wrong."""
    import yaml

    try:
        document = yaml.load(text, Loader=_loader())  # noqa: S506  # a safe loader with fewer types
    except yaml.YAMLError as error:
        raise Wrong(f"is not YAML: {error}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise Wrong("holds no sections")
    sections = {kind.section: kind for kind in KINDS}
    mistakes = [
        f"{name}: is no section; want {', '.join(sections)}" for name in document if name not in sections
    ]
    declared: Declared = {}
    for kind in KINDS:
        if kind.section in document:
            declared[kind.section] = _section(kind, document[kind.section], mistakes)
    if mistakes:
        raise Wrong("\n".join(mistakes))
    return declared


def _section(kind: Kind, found: Any, mistakes: list[str]) -> list[Json]:
    """The resources of a section; adds what is wrong with them to the mistakes."""
    if not isinstance(found, list):
        if found is not None:
            mistakes.append(f"{kind.section}: is no list")
        return []
    known = {kind.identity, *kind.fields, *filter(None, [kind.unread])}
    seen: set[str] = set()
    for place, one in enumerate(found):
        where = f"{kind.section}[{place}]"
        if not isinstance(one, dict):
            mistakes.append(f"{where}: is no {kind.one}")
            continue
        name = kind.id_of(one)
        if not name:
            mistakes.append(f"{where}: has no {kind.identity}")
        elif name in seen:
            mistakes.append(f"{where}: {kind.identity} {name!r} is there twice")
        seen.add(name)
        mistakes += [f"{where}: {field!r} is no field of a {kind.one}" for field in one if field not in known]
    return found


def write(declared: Declared) -> str:
    """The document, in the order of the sections; reading it gives the same resources."""
    import yaml

    return HEADER + "".join(
        "\n" + yaml.safe_dump({section: resources}, sort_keys=False, allow_unicode=True, width=110)
        for section, resources in declared.items()
        if resources
    )


def _loader() -> "type[yaml.SafeLoader]":
    """Null, booleans and numbers as YAML 1.2 has them: 17:00, OFF and a date are strings."""
    import re

    import yaml

    class Core(yaml.SafeLoader):
        """Resolvers are added below."""

        yaml_implicit_resolvers: dict[str, Any] = {}

    for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
        ("int", r"[-+]?(0|[1-9][0-9]*)", [*"-+0123456789"]),
        ("float", r"[-+]?[0-9]+\.[0-9]+", [*"-+0123456789"]),
    ):
        Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), first)
    return Core

"""The steps from what a stack has to what a file says."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cli.api import Json
from cli.declared.document import Declared
from cli.declared.kinds import DEFAULT, KINDS, Kind


class Change(StrEnum):
    """What is to be done to a resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REFUSE = "refuse"
    """It differs, but cannot be changed."""


SIGNS = {Change.CREATE: "+", Change.UPDATE: "~", Change.DELETE: "-", Change.REFUSE: "!"}


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one resource; `fields` are those that differ."""

    kind: Kind
    change: Change
    name: str
    wanted: Json
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{SIGNS[self.change]} {self.kind.one} {self.name}"
        differing = f": {', '.join(self.fields)}" if self.fields else ""
        if self.change is Change.REFUSE:
            return f"{text}{differing} cannot be changed; delete it first, and it is made anew"
        return text + differing

    def json(self) -> Json:
        """The step for scripts."""
        return {
            "change": self.change.value,
            "section": self.kind.section,
            "id": self.name,
            "fields": list(self.fields),
        }


def plan(current: Mapping[str, list[Json]], wanted: Declared, *, prune: bool = False) -> list[Step]:
    """What to create and update, each after what it names; with `prune` also what to delete, in the other order.

    Nothing is deleted of a section that the file does not have, nor what always exists.
    """
    steps: list[Step] = []
    for kind in KINDS:
        there = {kind.id_of(one): one for one in current[kind.section]}
        for one in wanted.get(kind.section, []):
            steps += _step(kind, there.get(kind.id_of(one)), one)
    if prune:
        for kind in reversed(KINDS):
            steps += _deletions(kind, current[kind.section], wanted)
    return steps


def _step(kind: Kind, current: Json | None, wanted: Json) -> list[Step]:
    name = kind.id_of(wanted)
    if current is None:
        return [Step(kind, Change.CREATE, name, wanted)]
    if not (fields := tuple(kind.differences(current, wanted))):
        return []
    refused = not kind.changeable or set(fields) & {*kind.fixed}
    return [Step(kind, Change.REFUSE if refused else Change.UPDATE, name, wanted, fields)]


def _deletions(kind: Kind, current: list[Json], wanted: Declared) -> list[Step]:
    if kind.section not in wanted:
        return []
    kept = {DEFAULT, *map(kind.id_of, wanted[kind.section])}
    names = (kind.id_of(one) for one in current)
    return [Step(kind, Change.DELETE, name, {}) for name in names if name not in kept]

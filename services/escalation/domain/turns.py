"""Round robin: who of several people is told, so that everybody has a turn."""

from collections.abc import Sequence
from typing import NamedTuple

REMEMBERED = 200
"""How many people of a level are remembered: those told last."""


class Turn(NamedTuple):
    """A level of a policy whose people are told in turn, and the people whom it told, the last of them last."""

    policy_id: str
    level: int
    told: tuple[str, ...] = ()


def next_in_turn(people: Sequence[str], turn: Turn) -> tuple[str, Turn]:
    """Whoever was told longest ago, those first who never were; and the turn after that.

    However the people change, of those who stay nobody is told twice before each of the others was told once.
    """
    place = {person: number for number, person in enumerate(turn.told)}
    chosen = min(people, key=lambda person: place.get(person, -1))
    told = (*(person for person in turn.told if person != chosen), chosen)
    return chosen, turn._replace(told=told[-REMEMBERED:])

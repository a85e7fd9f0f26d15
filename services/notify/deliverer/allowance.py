"""How much one endpoint and one host may be tried at the same time: much while it answers, little while it is silent."""

from collections.abc import Mapping
from dataclasses import dataclass

REMEMBERED = 512
"""Destinations whose behaviour is known; those that are idle are forgotten when there are more."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many attempts a destination gets: at first, at most, at least, and by what its share is cut when silent."""

    first: int
    most: int
    least: int
    cut: int


ENDPOINT = Bounds(first=4, most=64, least=1, cut=64)
"""One that hangs holds one attempt, whatever waits for it."""
HOST = Bounds(first=256, most=256, least=256, cut=1)
"""One that is dead holds half of all attempts, however many endpoints it has. Its share does not shrink with silence: the
endpoints of it that hang would keep a small one to themselves, and those that answer would never be tried again."""


@dataclass(slots=True)
class _Use:
    allowed: int
    busy: int = 0
    full: bool = False


class Allowances:
    """Attempts under way by destination, and how many there may be: the circuit that a dead one opens.

    A destination gets twice as many after each answer, and fewer when it was silent; what is left to it then is what
    finds out that it is back.
    """

    def __init__(self, bounds: Bounds = ENDPOINT) -> None:
        self._bounds = bounds
        self._uses: dict[str, _Use] = {}

    def taken(self, address: str) -> None:
        """An attempt begins."""
        if address not in self._uses and len(self._uses) >= REMEMBERED:
            self._uses = {known: use for known, use in self._uses.items() if use.busy}
        use = self._uses.setdefault(address, _Use(self._bounds.first))
        use.busy += 1
        use.full = use.full or use.busy >= use.allowed

    def given_back(self, address: str, *, silent: bool) -> bool:
        """An attempt has ended; whether to look for more, because the address was full and half of it is free again."""
        use = self._uses[address]
        use.busy -= 1
        bounds = self._bounds
        if silent:
            use.allowed = max(use.allowed // bounds.cut, bounds.least)
        else:
            use.allowed = min(use.allowed * 2, bounds.most)
        look = use.full and use.busy <= use.allowed // 2
        use.full = use.full and not look
        return look

    def busy(self) -> Mapping[str, int]:
        """How many attempts are under way by address; those not named have none."""
        return {address: use.busy for address, use in self._uses.items() if use.busy}

    def left(self) -> Mapping[str, int]:
        """How many more attempts each address may have, below zero when it had more; those not named have the first share."""
        left = {address: use.allowed - use.busy for address, use in self._uses.items()}
        return {address: room for address, room in left.items() if room != self._bounds.first}

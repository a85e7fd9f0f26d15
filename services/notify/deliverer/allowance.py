"""How much one address may be tried at the same time: much while it answers, once while it is silent."""

from collections.abc import Mapping
from dataclasses import dataclass

FIRST, MOST = 4, 64
REMEMBERED = 512
"""Addresses whose behaviour is known; those that are idle are forgotten when there are more."""


@dataclass(slots=True)
class _Use:
    busy: int = 0
    allowed: int = FIRST
    full: bool = False


class Allowances:
    """Attempts under way by address, and how many there may be.

    An address starts with 4 at a time, twice as many after each answer up to 64, and one when it was silent: one that
    hangs holds one attempt, whatever waits for it, and gets its share back as soon as it answers.
    """

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}

    def taken(self, address: str) -> None:
        """An attempt begins."""
        if address not in self._uses and len(self._uses) >= REMEMBERED:
            self._uses = {known: use for known, use in self._uses.items() if use.busy}
        use = self._uses.setdefault(address, _Use())
        use.busy += 1
        use.full = use.full or use.busy >= use.allowed

    def given_back(self, address: str, *, silent: bool) -> bool:
        """An attempt has ended; whether to look for more, because the address was full and half of it is free again."""
        use = self._uses[address]
        use.busy -= 1
        use.allowed = 1 if silent else min(use.allowed * 2, MOST)
        look = use.full and use.busy <= use.allowed // 2
        use.full = use.full and not look
        return look

    def left(self) -> Mapping[str, int]:
        """How many more attempts each address may have, below zero when it had more; 4 where it is not named."""
        left = {address: use.allowed - use.busy for address, use in self._uses.items()}
        return {address: room for address, room in left.items() if room != FIRST}

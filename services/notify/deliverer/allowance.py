"""How much one address may be tried at the same time: much while it answers, once while it is silent."""

from collections.abc import Mapping
from dataclasses import dataclass

FIRST, MOST = 4, 64


@dataclass(slots=True)
class _Use:
    busy: int = 0
    allowed: int = FIRST


class Allowances:
    """Attempts under way by address, and how many there may be.

    An address starts with 4 at a time, twice as many after each answer up to 64, and one when it was silent: one that
    hangs holds one attempt, whatever waits for it, and gets its share back as soon as it answers.
    """

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}

    def taken(self, address: str) -> None:
        """An attempt begins."""
        self._uses.setdefault(address, _Use()).busy += 1

    def given_back(self, address: str, *, silent: bool) -> bool:
        """An attempt has ended; whether the address was at its limit, so that something may wait for it."""
        use = self._uses[address]
        was_full = use.busy >= use.allowed
        use.busy -= 1
        use.allowed = 1 if silent else min(use.allowed * 2, MOST)
        if use.busy == 0 and use.allowed != 1:
            del self._uses[address]
        return was_full

    def left(self) -> Mapping[str, int]:
        """How many more attempts each address may have; 4 where it is not named."""
        return {address: use.allowed - use.busy for address, use in self._uses.items()}

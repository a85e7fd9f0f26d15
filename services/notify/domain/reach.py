"""Whether a page reaches a person beyond the inbox, seen before it is needed."""

from collections.abc import Collection, Iterable
from enum import StrEnum

from services.notify.domain.contact_method import ContactMethod


class Unreachable(StrEnum):
    """Why nothing reaches a person; the first that is true of their methods."""

    NO_METHOD = "NO_METHOD"
    """There is no method but the inbox, which wakes nobody."""
    DISABLED = "DISABLED"
    """All are disabled, by hand or by themselves."""
    UNVERIFIED = "UNVERIFIED"
    """Nobody has confirmed the address of those that are enabled."""
    FAILING = "FAILING"
    """Each of the others has failed for its latest page of the past day."""


def unreachable(methods: Iterable[ContactMethod], failing: Collection[str]) -> Unreachable | None:
    """Why nothing reaches the person with these methods; None when one works. `failing` are ids of methods.

    Quiet hours, a delay or a least severity do not count: somebody chose them, and CRITICAL gets through.
    """
    theirs = list(methods)
    if not theirs:
        return Unreachable.NO_METHOD
    enabled = [method for method in theirs if method.enabled]
    if not enabled:
        return Unreachable.DISABLED
    counting = [method for method in enabled if method.verified]
    if not counting:
        return Unreachable.UNVERIFIED
    return Unreachable.FAILING if all(m.contact_method_id in failing for m in counting) else None

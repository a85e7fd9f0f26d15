"""What contact methods keep sealed: addresses that are secrets, the keys that sign, and codes as digests."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from services.notify.domain import chat
from services.notify.domain.contact_method import ContactMethod
from services.notify.domain.sealing import Sealer


class Keeper(Protocol):
    """A contact method, or as much of it as an attempt needs."""

    @property
    def contact_method_id(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def sealed_address(self) -> bytes | None: ...
    @property
    def sealed_secret(self) -> bytes | None: ...
    @property
    def old_secret(self) -> bytes | None: ...
    @property
    def old_secret_until(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Kept:
    """What an attempt needs of a contact method."""

    contact_method_id: str
    address: str
    sealed_address: bytes | None = None
    sealed_secret: bytes | None = None
    old_secret: bytes | None = None
    old_secret_until: datetime | None = None


class Vault:
    """Opens and seals for contact methods. Whatever opens raises sealing.Unopened when no key fits."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def address(self, kept: Keeper) -> str:
        """Where to send, in the clear."""
        if kept.sealed_address is None:
            return kept.address
        return self._sealer.open(kept.sealed_address, place=_place(kept.contact_method_id, "address"))

    def secrets(self, kept: Keeper, now: datetime) -> tuple[str, ...]:
        """The keys that sign, in the clear: the newest, and while it is in force the one that it replaced."""
        place = _place(kept.contact_method_id, "secret")
        found = []
        if kept.sealed_secret is not None:
            found.append(self._sealer.open(kept.sealed_secret, place=place))
        if kept.old_secret is not None and kept.old_secret_until is not None and now < kept.old_secret_until:
            found.append(self._sealer.open(kept.old_secret, place=place))
        return tuple(found)

    def sealed_address(self, contact_method_id: str, address: str) -> bytes:
        """An address that is a secret, sealed."""
        return self._sealer.seal(address, place=_place(contact_method_id, "address"))

    def sealed_secret(self, contact_method_id: str, secret: str) -> bytes:
        """A key, sealed; it stays so when another replaces it."""
        return self._sealer.seal(secret, place=_place(contact_method_id, "secret"))

    def renewed(self, method: ContactMethod, now: datetime) -> ContactMethod:
        """The method with everything sealed by the first key, and without a key that has ended."""
        name, place = method.contact_method_id, _place(method.contact_method_id, "secret")
        over = method.old_secret_until is not None and method.old_secret_until <= now
        return replace(
            method,
            sealed_address=self._again(method.sealed_address, _place(name, "address")),
            sealed_secret=self._again(method.sealed_secret, place),
            old_secret=None if over else self._again(method.old_secret, place),
        )

    def _again(self, sealed: bytes | None, place: str) -> bytes | None:
        if sealed is None or sealed.startswith(self._sealer.prefix):
            return sealed
        return self._sealer.seal(self._sealer.open(sealed, place=place), place=place)

    @property
    def prefix(self) -> bytes:
        """What everything begins with that the first key has sealed."""
        return self._sealer.prefix

    def shown(self, address: str) -> str:
        """An address of CHAT as anybody may see it."""
        return chat.shown(address, lambda text: self._sealer.digests("address", text)[0])

    def code_digests(self, kept: Keeper, code: str) -> Sequence[bytes]:
        """The digests of a code that confirms a method's present address, by each key."""
        return self._sealer.digests("code", kept.contact_method_id, self.address(kept), code)


def _place(contact_method_id: str, what: str) -> str:
    return f"contact-methods/{contact_method_id}/{what}"

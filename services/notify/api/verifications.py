"""Codes to addresses, and what people say they are: how EMAIL and CHAT come to count."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Exhausted, Invalid, NotFound, Refused, Unavailable
from chassis.ids import uuid7
from identity.audit import audited
from services.notify.domain import verification, wording
from services.notify.domain.contact_method import Channel, ContactMethod
from services.notify.domain.delivery import Message, Rejected, Retry, Sender
from services.notify.domain.vault import Vault
from services.notify.domain.verification import MOST_CODES, MOST_TRIES, PAUSE, VALID_FOR, TooSoon, Wrong
from services.notify.storage import contact_methods, verifications

_TOO_SOON = {
    TooSoon.JUST_SENT: f"a code was just sent; want {PAUSE.total_seconds():.0f} s between two",
    TooSoon.TOO_MANY: f"{MOST_CODES} codes were sent within an hour; want to wait for the rest of it",
}
_REFUSED = {
    Wrong.NONE_SENT: "no code was sent to the present address; send one first",
    Wrong.EXPIRED: "the code has expired; send another",
    Wrong.VOID: f"{MOST_TRIES} wrong codes were said; send another",
}


class Verifications:
    """Sends codes and takes them."""

    def __init__(
        self, *, db: Database, clock: Clock, vault: Vault, senders: Mapping[Channel, Sender]
    ) -> None:
        self._db = db
        self._clock = clock
        self._vault = vault
        self._senders = senders

    async def send(self, contact_method_id: str) -> ContactMethod:
        """Sends a fresh code to an address; the one before is void.

        Raises NotFound; Refused for what counts already or when the address is refused; Exhausted for too many codes;
        Unavailable when the other side cannot be reached.
        """
        code, now = verification.new_code(), self._clock.now()
        async with audited(self._db) as conn:
            method = await _locked(conn, contact_method_id)
            if method.verified:
                raise Refused("the contact method counts already", reason="ALREADY_VERIFIED")
            known = await verifications.get(conn, contact_method_id)
            if (soon := verification.refused(known, now)) is not None:
                raise Exhausted(_TOO_SOON[soon], reason=soon)
            digest = self._vault.code_digests(method, code)[0]
            await verifications.put(conn, verification.renewed(known, contact_method_id, digest, now))
        await self._tell(method, code, now)
        return method

    async def confirm(self, contact_method_id: str, code: str) -> ContactMethod:
        """Takes the code that a person says; from then on the method counts. What counts already stays as it is.

        Raises NotFound, Invalid for a wrong code, Refused when there is none to compare with.
        """
        now = self._clock.now()
        async with audited(self._db) as conn:
            method = await _locked(conn, contact_method_id)
            if method.verified:
                return method
            known = await verifications.get(conn, contact_method_id)
            digests = self._vault.code_digests(method, code.strip())
            after, wrong = verification.tried(known, digests, now)
            if after is not None and after is not known:
                await verifications.put(conn, after)
            if wrong is None:
                method = replace(method, verified_at=now)
                await contact_methods.change(conn, method, ["verified_at"])
                await verifications.remove(conn, contact_method_id)
        if wrong is Wrong.CODE:
            raise Invalid.field("code", "is not the code that was sent last", reason=wrong)
        if wrong is not None:
            raise Refused(_REFUSED[wrong], reason=wrong)
        return method

    async def _tell(self, method: ContactMethod, code: str, now: datetime) -> None:
        sender = self._senders.get(method.channel)
        if sender is None:
            raise Refused(f"{method.channel} is not set up on this server", reason="CHANNEL_UNAVAILABLE")
        minutes = int(VALID_FOR.total_seconds() // 60)
        answer = await sender.send(
            Message(
                message_id=uuid7(),
                address=self._vault.address(method),
                type=wording.CODE,
                at=now,
                data={"code": code, "minutes": minutes, "contact_method_id": method.contact_method_id},
            )
        )
        match answer:
            case Retry(reason):
                raise Unavailable(f"the code was not sent: {reason}", reason="CODE_NOT_SENT")
            case Rejected(reason):
                raise Refused(f"the code was not sent: {reason}", reason="CODE_NOT_SENT")


async def _locked(conn: AsyncConnection, contact_method_id: str) -> ContactMethod:
    method = await contact_methods.get(conn, contact_method_id, lock=True)
    if method is None:
        raise NotFound(f"there is no contact method {contact_method_id!r}")
    return method

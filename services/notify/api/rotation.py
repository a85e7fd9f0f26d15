"""A webhook's key replaced while both keys sign, so that its receiver can be told in between."""

from dataclasses import replace
from datetime import timedelta

from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import NotFound, Refused
from identity.audit import audited
from services.notify.domain.contact_method import Channel, ContactMethod, generated_secret
from services.notify.domain.vault import Vault
from services.notify.storage import contact_methods

DEFAULT_OVERLAP, LONGEST_OVERLAP = timedelta(hours=24), timedelta(days=7)


class Rotation:
    """Replaces keys."""

    def __init__(self, *, db: Database, clock: Clock, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._vault = vault

    async def rotate(
        self, contact_method_id: str, secret: str, overlap: timedelta
    ) -> tuple[ContactMethod, str]:
        """The method and its new key, generated when none is given; the old one signs, too, for the overlap.

        A key that is in force already changes nothing, so that a call with a key can be repeated. Raises NotFound, and
        Refused for what is no webhook.
        """
        now = self._clock.now()
        async with audited(self._db) as conn:
            method = await contact_methods.get(conn, contact_method_id, lock=True)
            if method is None:
                raise NotFound(f"there is no contact method {contact_method_id!r}")
            if method.channel is not Channel.WEBHOOK:
                raise Refused(f"a contact method of {method.channel} has no secret", reason="NO_SECRET")
            current = self._vault.secrets(method, now)[0]
            if secret == current:
                return method, secret
            secret = secret or generated_secret()
            rotated = replace(
                method,
                sealed_secret=self._vault.sealed_secret(contact_method_id, secret),
                old_secret=self._vault.sealed_secret(contact_method_id, current) if overlap else None,
                old_secret_until=now + overlap if overlap else None,
            )
            await contact_methods.change(conn, rotated, ["sealed_secret", "old_secret", "old_secret_until"])
        return rotated, secret

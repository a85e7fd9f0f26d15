"""Sees to it that no secret stays sealed by a key that is to go."""

from datetime import timedelta

import structlog
from prometheus_client import Gauge

from chassis.clock import Clock
from chassis.db import Database
from chassis.loop import DueLoop
from services.notify.domain.sealing import Unopened
from services.notify.domain.vault import Vault
from services.notify.storage import contact_methods

POLL = timedelta(minutes=1)
AT_ONCE = 200
SEALED = ("sealed_address", "sealed_secret", "old_secret")

_log = structlog.get_logger()
_unopened = Gauge(
    "tocsin_unopened_secrets", "Contact methods with something sealed that no key of ours opens."
)


class Resealer:
    """Goes through all contact methods once a minute; each is changed under its lock, by whichever replica comes first."""

    def __init__(self, *, db: Database, clock: Clock, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._vault = vault
        self._loop = DueLoop("reseal", self._pass, poll=POLL)

    async def run(self) -> None:
        """Keeps at it for ever; only cancellation ends it."""
        await self._loop.run()

    async def _pass(self) -> None:
        after, changed = "", 0
        unopened: list[str] = []
        while True:
            async with self._db.begin() as conn:
                found = await contact_methods.to_reseal(
                    conn, prefix=self._vault.prefix, now=self._clock.now(), after=after, limit=AT_ONCE
                )
                for method in found:
                    try:
                        renewed = self._vault.renewed(method, self._clock.now())
                    except Unopened:
                        unopened.append(method.contact_method_id)
                        continue
                    if renewed != method:
                        await contact_methods.change(conn, renewed, SEALED)
                        changed += 1
            if len(found) < AT_ONCE:
                break
            after = found[-1].contact_method_id
        _unopened.set(len(unopened))
        if unopened:
            _log.error("secrets_not_opened", contact_methods=len(unopened), first=unopened[0])
        if changed:
            _log.info("secrets_sealed", contact_methods=changed)

"""What is sent of a claimed page: in the clear for as long as the attempt takes."""

from datetime import datetime

from services.notify import convert
from services.notify.domain.delivery import Message, Parcel
from services.notify.domain.link import Links
from services.notify.domain.vault import Vault


class Messages:
    """Makes messages, with the address and the keys opened and a link for the receipt."""

    def __init__(self, *, links: Links, vault: Vault) -> None:
        self._links = links
        self._vault = vault

    def of(self, parcel: Parcel, now: datetime) -> Message:
        """The message of claimed pages. Raises sealing.Unopened when no key of ours opens what it needs."""
        return convert.message(
            parcel,
            lambda route_log_id: self._links.url(route_log_id, now),
            address=self._vault.address(parcel.head.kept),
            secrets=self._vault.secrets(parcel.head.kept, now),
        )

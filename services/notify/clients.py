"""The services that notify calls: escalation, to take an alert or see who has it, and roster, for who there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import grpc

from chassis.client import channel, connected
from chassis.tls import Tls
from messaging.owners import asking
from messaging.waiting import Fetch
from tocsin.escalation.v1 import (
    alert_pb2,
    alert_service_pb2,
    alert_service_pb2_grpc,
    messaging_service_pb2_grpc,
)
from tocsin.roster.v1 import responder_service_pb2, responder_service_pb2_grpc

DEADLINE = timedelta(seconds=3)
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has an alert, and who has closed it; empty for nobody. Whoever had it last when it is `open_again`."""

    taken_by: str = ""
    closed_by: str = ""
    open_again: bool = False


class Escalation:
    """Escalation's verbs; every call is idempotent."""

    def __init__(self, address: str, *, token: str, tls: Tls | None = None) -> None:
        """`token` needs the scopes `alerts:write`, `alerts:read`, `act-as` and `service`."""
        self._channel: grpc.aio.Channel = channel(address, token=token, deadline=DEADLINE, tls=tls)
        self._alerts = alert_service_pb2_grpc.AlertServiceStub(self._channel)
        messaging = messaging_service_pb2_grpc.MessagingServiceStub(self._channel)
        self.replay = asking(messaging.ReplayEscalationEvents)
        self.fetch: Fetch = messaging.FetchEscalationEvents

    async def connected(self) -> None:
        """Returns as soon as escalation can be called. Raises Unavailable when it is away for three seconds."""
        await connected(self._channel, "escalation", within=DEADLINE)

    async def acknowledge(self, alert_id: UUID, *, actor: str, note: str) -> str:
        """Takes the alert as that person and answers who has it: somebody else who was faster keeps it.

        Raises chassis.errors.
        """
        taken = await self._alerts.AcknowledgeAlert(
            alert_service_pb2.AcknowledgeAlertRequest(alert_id=str(alert_id), actor=actor, note=note)
        )
        return taken.acked_by

    async def holder(self, alert_id: str) -> Holder:
        """Who has the alert now, or had it before it was opened again. Raises chassis.errors."""
        alert = await self._alerts.GetAlert(alert_service_pb2.GetAlertRequest(alert_id=alert_id))
        if alert.state == alert_pb2.Alert.OPEN and (before := await self._had(alert_id)):
            return Holder(before, open_again=True)
        return Holder(alert.acked_by, alert.closed_by)

    async def _had(self, alert_id: str) -> str:
        """Who has taken the alert last, by its timeline; empty for nobody."""
        who, token = "", ""
        while True:
            page = await self._alerts.ListAlertActions(
                alert_service_pb2.ListAlertActionsRequest(alert_id=alert_id, page_size=PAGE, page_token=token)
            )
            taken = [one.actor for one in page.actions if one.type == alert_pb2.AlertAction.ACK]
            who, token = taken[-1] if taken else who, page.next_page_token
            if not token:
                return who

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()


@dataclass(frozen=True, slots=True)
class Person:
    """A responder, as far as notify is concerned."""

    responder_id: str
    display_name: str


class Roster:
    """Roster's responders."""

    def __init__(self, address: str, *, token: str, tls: Tls | None = None) -> None:
        """`token` needs the scope `roster:read`."""
        self._channel: grpc.aio.Channel = channel(address, token=token, deadline=DEADLINE, tls=tls)
        self._responders = responder_service_pb2_grpc.ResponderServiceStub(self._channel)

    async def people(self) -> Sequence[Person]:
        """Everyone, in the order of their ids. Raises chassis.errors."""
        found: list[Person] = []
        token = ""
        while True:
            page = await self._responders.ListResponders(
                responder_service_pb2.ListRespondersRequest(page_size=PAGE, page_token=token)
            )
            found += [Person(one.responder_id, one.display_name) for one in page.responders]
            token = page.next_page_token
            if not token:
                return found

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

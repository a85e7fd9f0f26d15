"""The service that notify calls: escalation, to take an alert for a person."""

from datetime import timedelta
from uuid import UUID

import grpc

from chassis.client import channel
from chassis.tls import Tls
from tocsin.escalation.v1 import alert_service_pb2, alert_service_pb2_grpc

DEADLINE = timedelta(seconds=3)


class Escalation:
    """Escalation's verbs; every call is idempotent."""

    def __init__(self, address: str, *, token: str, tls: Tls | None = None) -> None:
        """`token` needs the scopes `alerts:write` and `act-as`."""
        self._channel: grpc.aio.Channel = channel(address, token=token, deadline=DEADLINE, tls=tls)
        self._alerts = alert_service_pb2_grpc.AlertServiceStub(self._channel)

    async def acknowledge(self, alert_id: UUID, *, actor: str, note: str) -> None:
        """Takes the alert as that person. Raises chassis.errors."""
        await self._alerts.AcknowledgeAlert(
            alert_service_pb2.AcknowledgeAlertRequest(alert_id=str(alert_id), actor=actor, note=note)
        )

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

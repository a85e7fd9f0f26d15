"""The owners of streams, asked to publish their events again."""

from datetime import datetime
from typing import Any

from chassis.wire import timestamp
from messaging.epochs import Replay
from tocsin.messaging.v1 import messaging_pb2

TIMEOUT = 30.0
"""Seconds: a busy day of events is marked within them."""


def asking(call: Any) -> Replay:
    """What asks for the events since an instant by the owner's `Replay…Events`, which needs a token of services."""

    async def replay(since: datetime) -> int:
        request = messaging_pb2.ReplayEventsRequest(start=timestamp(since))
        return int((await call(request, timeout=TIMEOUT)).events)

    return replay

"""What a consumer elsewhere hears of alerts: every event once, in the order of the alert's versions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import nats
from nats.aio.msg import Msg

from tests.fixtures.eventually import eventually
from tocsin.escalation.v1 import events_pb2

STREAMS = ("alert.>", "notification.>")


async def told(url: str, subject: str) -> list[Msg]:
    """Every message of a stream that is there now."""
    client = await nats.connect(url)
    try:
        subscription = await client.jetstream().subscribe(subject, ordered_consumer=True)
        found: list[Msg] = []
        while True:
            try:
                found.append(await subscription.next_msg(0.5))
            except TimeoutError:
                return found
    finally:
        await client.close()


async def expect_every_version(url: str, want: Mapping[str, int], timeout: float = 40) -> None:
    """Waits until the events of these alerts are there from the first to the wanted version, each once and in order."""

    async def complete() -> bool:
        seen = versions(await told(url, "alert.>"), want)
        short = {alert_id for alert_id, version in want.items() if len(seen[alert_id]) < version}
        assert not short, f"{len(short)} of {len(want)} alerts lack events"
        assert {one: seen[one] for one in want} == {
            one: list(range(1, version + 1)) for one, version in want.items()
        }
        return True

    await eventually(complete, timeout=timeout)


def versions(messages: Iterable[Msg], want: Mapping[str, Any]) -> dict[str, list[int]]:
    """The versions of alerts as a consumer sees them that drops repeats by `ce-id`."""
    seen: dict[str, list[int]] = defaultdict(list)
    ids: set[str] = set()
    for message in messages:
        headers = message.headers or {}
        if headers["ce-subject"] in want and headers["ce-id"] not in ids:
            ids.add(headers["ce-id"])
            seen[headers["ce-subject"]].append(version(message))
    return seen


def version(message: Msg) -> int:
    """The alert's version in an event: `alert.escalation_exhausted` is an AlertEscalationExhaustedEvent."""
    name = message.subject.title().replace(".", "").replace("_", "")
    return int(getattr(events_pb2, f"{name}Event").FromString(message.data).version)

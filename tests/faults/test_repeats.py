"""Every event a hundred times, in any order: one effect (FAULTS 25, 26)."""

import random

import nats
import pytest
from nats.aio.client import Client

from services.sla.convert.events import facts
from services.sla.domain.fact import joined
from tests.faults.heard import STREAMS, told
from tests.faults.oracle import Oracle
from tests.faults.victims import Victims
from tests.fixtures.eventually import eventually
from tests.unit.sla.histories import any_history

TIMES = 100
ALERTS = 60
HISTORIES = 10_000
WINDOW = 500
"""Messages between two waits for the broker."""


@pytest.mark.timeout(300)
async def test_rows_25_and_26_every_event_a_hundred_times_in_any_order(
    victims: Victims, oracle: Oracle
) -> None:
    """By a stranger, past the broker's window for repeats; the relays, which know what must come last, go on, too."""
    async with oracle.load():
        await oracle.more(ALERTS)
    await oracle.judge(first_page=60.0)
    events = [event for subject in STREAMS for event in await told(victims.state["nats"], subject)]
    assert len(events) > 3 * ALERTS
    repeated = events * TIMES
    random.shuffle(repeated)
    client = await nats.connect(victims.state["nats"])
    try:
        for first in range(0, len(repeated), WINDOW):
            for event in repeated[first : first + WINDOW]:
                headers = {
                    key: value for key, value in (event.headers or {}).items() if not key.startswith("Nats-")
                }
                await client.publish(event.subject, event.data, headers=headers)
            await client.flush()
        for stream, consumers in (("TOCSIN_ALERT", ("notify", "sla")), ("TOCSIN_NOTIFICATION", ("sla",))):
            for consumer in consumers:
                await eventually(lambda s=stream, c=consumer: idle(client, s, c), timeout=120)  # type: ignore[misc]
    finally:
        await client.close()
    async with oracle.load():
        await oracle.more(20)  # the relays go on among all that
    verdict = await oracle.judge(first_page=60.0)
    print(f"{len(repeated)} repeats of {len(events)} events", verdict)


def test_row_26_ten_thousand_histories_in_any_order() -> None:
    """Each alert's events mixed, some of them repeated, joined in groups of any size: what they say in order."""
    for seed in range(HISTORIES):
        dice = random.Random(seed)
        events = any_history(dice).events
        expected = joined(facts(events))
        mixed = [*events, *dice.choices(events, k=len(events) // 2)]
        dice.shuffle(mixed)
        size = dice.randrange(1, 10)
        groups = [joined(facts(mixed[first : first + size])) for first in range(0, len(mixed), size)]
        dice.shuffle(groups)
        assert joined([fact for group in groups for fact in group]) == expected, f"seed {seed}"


async def idle(client: Client, stream: str, consumer: str) -> bool:
    """Whether a consumer has handled everything."""
    found = await client.jetstream().consumer_info(stream, consumer)
    return bool(found.num_pending == 0 and found.num_ack_pending == 0)

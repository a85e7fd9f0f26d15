"""A service's NATS user publishes its own subjects, keeps its own stream and reads by its own consumer, no more."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from cli.stack.nats import ADMIN, STREAMS, SUBJECTS, Nats, inbox_prefix
from tests.fixtures.eventually import PATIENCE, eventually

SERVICES = sorted(SUBJECTS)


class Caller:
    """A connection as one user, with what the server has refused it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        # A call that is refused gets no answer: it is still waiting when the refusal is seen.
        self.js: JetStreamContext = client.jetstream(timeout=2 * PATIENCE)
        self.refused: list[str] = []

    async def expect_refusal(self, call: Coroutine[Any, Any, Any], of: str) -> None:
        """The call gets no answer, and the server says that it refused the subject `of`."""
        unanswered = asyncio.create_task(call)
        await eventually(lambda: any(f'"{of.lower()}' in said for said in self.refused))
        assert not unanswered.done()
        unanswered.cancel()
        self.refused.clear()


@asynccontextmanager
async def connected(broker: Nats, user: str) -> AsyncIterator[Caller]:
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error).lower())

    client = await nats.connect(
        broker.url(user), inbox_prefix=inbox_prefix(user), error_cb=note, allow_reconnect=False
    )
    caller = Caller(client)
    caller.refused = refused
    try:
        yield caller
    finally:
        await client.close()


async def make_streams(broker: Nats) -> None:
    for user, stream in STREAMS.items():
        async with connected(broker, user) as owner:
            await owner.js.add_stream(name=stream, subjects=[SUBJECTS[user]])


def subject(user: str) -> str:
    return SUBJECTS[user].replace(">", "tested")


@pytest.mark.parametrize("user", SERVICES)
async def test_an_owner_makes_inspects_and_fills_its_stream(broker: Nats, user: str) -> None:
    async with connected(broker, user) as owner:
        await owner.js.add_stream(name=STREAMS[user], subjects=[SUBJECTS[user]])
        await owner.js.publish(subject(user), b"fact")
        info = await owner.js.stream_info(STREAMS[user])
        stored = await owner.js.get_msg(STREAMS[user], seq=1)
    assert info.state.messages == 1
    assert stored.data == b"fact"


@pytest.mark.parametrize("user", SERVICES)
async def test_nobody_publishes_what_another_service_owns(broker: Nats, user: str) -> None:
    await make_streams(broker)
    async with connected(broker, user) as caller:
        for other in SERVICES:
            if other != user:
                await caller.expect_refusal(caller.js.publish(subject(other), b""), of=subject(other))
    async with connected(broker, ADMIN) as admin:
        assert [(await admin.js.stream_info(stream)).state.messages for stream in STREAMS.values()] == [0] * 4


@pytest.mark.parametrize("user", SERVICES)
async def test_a_service_pulls_from_others_by_the_consumer_of_its_name(broker: Nats, user: str) -> None:
    await make_streams(broker)
    for other in SERVICES:
        if other == user:
            continue
        async with connected(broker, other) as owner:
            await owner.js.publish(subject(other), b"fact")
        async with connected(broker, user) as reader:
            pulled = await reader.js.pull_subscribe(
                subject(other), durable=user, stream=STREAMS[other], config=ConsumerConfig(ack_wait=30)
            )
            (message,) = await pulled.fetch(1, timeout=PATIENCE)
            await message.ack_sync(timeout=PATIENCE)
            info = await pulled.consumer_info()
        assert message.data == b"fact"
        assert info.num_ack_pending == 0


async def test_a_service_makes_no_consumer_of_another_name(broker: Nats) -> None:
    await make_streams(broker)
    async with connected(broker, "sla") as caller:
        await caller.expect_refusal(
            caller.js.add_consumer("TOCSIN_ALERT", durable_name="notify"), of="$JS.API.CONSUMER"
        )


@pytest.mark.parametrize("verb", ["delete", "purge"])
async def test_nobody_but_the_administrator_removes_facts(broker: Nats, verb: str) -> None:
    await make_streams(broker)
    for user in SERVICES:
        async with connected(broker, user) as caller:
            for stream in STREAMS.values():
                await caller.expect_refusal(
                    remove(caller, verb, stream), of=f"$JS.API.STREAM.{verb}.{stream}"
                )
    async with connected(broker, ADMIN) as admin:
        await remove(admin, verb, "TOCSIN_ALERT")


def remove(caller: Caller, verb: str, stream: str) -> Coroutine[Any, Any, bool]:
    return caller.js.delete_stream(stream) if verb == "delete" else caller.js.purge_stream(stream)


async def test_nobody_listens_to_the_answers_of_others(broker: Nats) -> None:
    async with connected(broker, "sla") as caller:
        await caller.client.subscribe("_INBOX_escalation.>")
        await caller.client.flush()
        await eventually(lambda: any("_inbox_escalation" in said for said in caller.refused))


async def test_a_password_is_wanted(broker: Nats) -> None:
    async def quiet(error: Exception) -> None: ...

    stranger = broker.url().replace("only-for-tests", "guessed")
    with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
        await asyncio.wait_for(nats.connect(stranger, error_cb=quiet, allow_reconnect=False), PATIENCE)

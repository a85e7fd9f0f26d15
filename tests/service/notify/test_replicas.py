"""Two deliverers on one queue, a deliverer that dies, and an alert that is taken while its pages wait."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import nats
import pytest

from chassis.db import Database
from chassis.errors import Unavailable
from chassis.ids import uuid7
from services.notify.api.receipts import FIRST_ASK
from services.notify.deliverer.leases import LEASE
from services.notify.domain.delivery import Outcome
from services.notify.domain.route import Status
from services.notify.storage import acknowledgements, attempts, routes
from tests.fixtures.eventually import BORN, PATIENCE, eventually
from tests.fixtures.ports import PORTS
from tests.service.notify import receivers
from tests.service.notify.receivers import Receiver, status
from tests.service.notify.world import RECEIPT_KEY, TOKEN_KEY, Replica, World, a_page
from tocsin.escalation.v1 import alert_pb2, events_pb2
from tocsin.notify.v1 import page_service_pb2, route_pb2, route_service_pb2

ROOT = Path(__file__).parents[3]


async def test_two_deliverers_never_send_the_same_page(world: World, receiver: Receiver) -> None:
    second = await world.start()
    await world.webhook("alice", receiver)
    pages = [a_page(["alice"]) for _ in range(200)]
    await asyncio.gather(
        *(
            (world.notify if n % 2 else second).pages.Page(
                page_service_pb2.PageRequest(pages=pages[n : n + 20])
            )
            for n in range(0, 200, 20)
        )
    )
    await receiver.got(200)
    await eventually(lambda: world.sql("select 1 from route_logs where status = 'PENDING'") == [])
    assert len(receiver.hooks) == len({hook.id for hook in receiver.hooks}) == 200


async def test_what_is_being_tried_is_left_alone_however_long_it_takes(
    world: World, receiver: Receiver
) -> None:
    """The lease is stretched while the attempt goes on, whoever looks for work meanwhile."""
    await world.start()
    await world.webhook("alice", receiver)
    receiver.script = [receivers.hang]
    page = await world.page("alice")
    await receiver.got(1)
    ((first,),) = world.sql("select due_at from route_logs where status = 'PENDING'")
    for _ in range(3):
        world.clock.advance(LEASE / 4)
        stretched = f"select 1 from route_logs where status = 'PENDING' and due_at > '{first}'"
        await eventually(partial(world.sql, stretched))
        ((first,),) = world.sql("select due_at from route_logs where status = 'PENDING'")
        for replica in world.replicas:
            await world.page("bob", replica=replica)
    assert (await world.routes(page))[0].attempts == 1
    assert len(receiver.hooks) == 1


async def test_an_attempt_whose_lease_is_lost_is_cut_and_tried_by_another(
    world: World, receiver: Receiver
) -> None:
    await world.webhook("alice", receiver)
    receiver.script = [receivers.hang]
    page = await world.page("alice")
    await receiver.got(1)
    world.clock.advance(LEASE + timedelta(seconds=1))
    await world.page("bob")
    assert (await world.becomes(page, "SENT")).attempts == 2
    assert {hook.id for hook in receiver.hooks} == {(await world.routes(page))[0].route_log_id}
    await eventually(lambda: receiver.cut == 1)


async def test_one_that_was_stopped_meanwhile_writes_nothing(world: World, receiver: Receiver) -> None:
    """The count of attempts is the fence: a failure of the attempt before is no news of this one."""
    await world.webhook("alice", receiver)
    receiver.always = receivers.hang
    page = await world.page("alice")
    await receiver.got(1)
    db = Database(world.database.url("notify"), name="stale")
    await db.open()
    (row,) = await world.routes(page)
    route_log_id = UUID(row.route_log_id)
    async with db.connect() as conn:
        (route,) = await routes.get(conn, [route_log_id])
    stale = replace(route, attempts=0, status=Status.FAILED, due_at=None, last_error="stale")
    async with db.raw() as conn:
        await attempts.record(conn, [Outcome(stale, disable="stale")], [])
        assert await attempts.extend(conn, {route_log_id: 0}, world.clock.now()) == set()
        assert await attempts.extend(conn, {route_log_id: 1}, route.due_at or world.clock.now()) == {
            route_log_id
        }
    await db.close()
    assert (await world.becomes(page, "PENDING")).last_error == ""
    assert world.sql("select enabled from contact_methods") == [(True,)]


@asynccontextmanager
async def dying(
    world: World, point: str, listen: str = "127.0.0.1:0"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A replica in a process of its own that kills itself at a crash point, or at the end."""
    config = world.config()
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}",
        "TOCSIN_LISTEN": listen,
        "TOCSIN_DATABASE_URL": config.database_url,
        "TOCSIN_NATS_URL": config.nats_url,
        "TOCSIN_TOKEN_KEY": TOKEN_KEY,
        "TOCSIN_RECEIPT_KEY": RECEIPT_KEY,
        "TOCSIN_SECRETS_KEY": config.secrets_key,
        "TOCSIN_ESCALATION_ADDRESS": config.escalation_address,
        "TOCSIN_WEBHOOK_ALLOW": config.webhook_allow,
        "TOCSIN_CRASH": point,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.notify", env=environment, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize(("point", "sends"), [("deliver.after_claim", 1), ("deliver.after_send", 2)])
async def test_a_deliverer_that_dies_delays_a_page_and_loses_none(
    world: World, receiver: Receiver, point: str, sends: int
) -> None:
    await world.webhook("alice", receiver, delay=timedelta(milliseconds=1))
    page = a_page(["alice"])
    async with dying(world, point) as process:
        await world.stop()
        _accept_by_hand(world, page)
        assert await asyncio.wait_for(process.wait(), BORN) == -signal.SIGKILL
    await world.start()
    world.clock.advance(LEASE + timedelta(seconds=1))
    route = await world.becomes(page, "SENT")
    assert route.attempts == 2
    await receiver.got(sends)
    assert {hook.id for hook in receiver.hooks} == {route.route_log_id}
    assert len(receiver.hooks) == sends


async def test_who_gives_an_acknowledgement_back_takes_it_from_nobody(
    world: World, receiver: Receiver
) -> None:
    """Neither from who has claimed it since, when that took longer than the lease, nor from its answer."""
    await world.webhook("alice", receiver)
    route = await world.becomes(await world.page("alice"), "SENT")
    await world.escalation.stop()  # so that nobody else claims it
    await world.receipt(route.route_log_id, "ACKNOWLEDGED")
    db = Database(world.database.url("notify"), name="slow")
    now = world.clock.now()
    late, later = now + timedelta(seconds=5), now + timedelta(seconds=10)
    row = "select due_at, attempts, answer from acknowledgements"
    async with db.begin() as conn:
        slow = await acknowledgements.claim(conn, now=now, until=late, limit=1)
        other = await acknowledgements.claim(conn, now=late, until=later, limit=1)
        await acknowledgements.give_back(conn, slow, now=now)
    assert world.sql(row) == [(later, 2, "")]
    async with db.begin() as conn:
        await acknowledgements.settle(
            conn, UUID(route.route_log_id), due_at=None, answer="ACKNOWLEDGED", now=now
        )
        await acknowledgements.give_back(conn, other, now=now)
    assert world.sql(row) == [(None, 2, "ACKNOWLEDGED")]
    await db.close()


async def test_an_acknowledgement_whose_answer_was_lost_is_told_again(
    world: World, receiver: Receiver
) -> None:
    """Escalation has answered and notify dies before it is written; whoever comes after asks once more."""
    await world.webhook("alice", receiver)
    route = await world.becomes(await world.page("alice"), "SENT")
    port = PORTS.take()
    async with dying(world, "acknowledge.after_answer", listen=f"127.0.0.1:{port}") as process:
        doomed = Replica(f"127.0.0.1:{port}", token=world.token("admin"))
        request = route_service_pb2.RecordReceiptRequest(
            route_log_id=route.route_log_id, status=route_pb2.RouteLog.ACKNOWLEDGED
        )
        with pytest.raises(Unavailable):
            await doomed.routes.RecordReceipt(request, wait_for_ready=True, timeout=BORN)
        assert await asyncio.wait_for(process.wait(), BORN) == -signal.SIGKILL
        await doomed.channel.close()
    assert world.escalation.acknowledged == [(route.alert_id, "alice")]
    world.clock.advance(FIRST_ASK)
    await eventually(lambda: world.escalation.acknowledged == [(route.alert_id, "alice")] * 2)
    await eventually(lambda: world.sql("select answer from acknowledgements") == [("ACKNOWLEDGED",)])


async def test_a_page_whose_answer_was_lost_is_told_once(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    port = PORTS.take()
    async with dying(world, "page.after_commit", listen=f"127.0.0.1:{port}") as process:
        doomed = Replica(f"127.0.0.1:{port}", token=world.token("admin"))
        page = a_page(["alice"])
        request = page_service_pb2.PageRequest(pages=[page])
        with pytest.raises(Unavailable):
            await doomed.pages.Page(request, wait_for_ready=True, timeout=BORN)
        assert await asyncio.wait_for(process.wait(), BORN) == -signal.SIGKILL
        await doomed.channel.close()
    await world.notify.pages.Page(request)
    await world.becomes(page, "SENT")
    assert len(receiver.hooks) == 1
    assert len(await world.routes(page, 0)) == 2


def _accept_by_hand(world: World, page: page_service_pb2.Page) -> None:
    """Writes a page that is due now, as a replica would have that nobody can call any more."""
    world.sql(
        "insert into pages values (%s, %s, 1, %s, 'INITIAL', 1, now())",
        page.execution.execution_id,
        page.alert.alert_id,
        page.alert.SerializeToString(),
    )
    world.sql(
        """insert into route_logs select %s, %s, %s, responder_id, channel, contact_method_id, address, 'PENDING', 0,
        '', now(), null, null, now(), now() + interval '1 day', null from contact_methods""",
        str(uuid7()),
        page.execution.execution_id,
        page.alert.alert_id,
    )


async def publish(world: World, kind: str, alert_id: str, version: int, **values: Any) -> None:
    """Says as escalation that an alert was taken or closed."""
    alert = alert_pb2.Alert(alert_id=alert_id, version=version, **values)
    message = events_pb2.AlertClosedEvent if kind == "alert.closed" else events_pb2.AlertAcknowledgedEvent
    client = await nats.connect(world.broker.url())
    stream = client.jetstream()
    await stream.add_stream(name="TOCSIN_ALERT", subjects=["alert.>"])
    headers = {"ce-id": str(uuid7()), "ce-type": kind, "ce-subject": alert_id}
    await stream.publish(kind, message(alert=alert, version=version).SerializeToString(), headers=headers)
    await client.close()


@pytest.mark.parametrize("kind", ["alert.acknowledged", "alert.closed"])
async def test_what_waits_is_cancelled_when_the_alert_is_taken_or_closed(
    world: World, receiver: Receiver, kind: str
) -> None:
    await world.webhook("alice", receiver, delay=timedelta(minutes=1))
    taken, other = await world.page("alice", version=2), await world.page("alice")
    await publish(world, kind, taken.alert.alert_id, version=3)
    assert (await world.becomes(taken, "CANCELLED")).last_error == "the alert was taken or closed"
    world.clock.advance(timedelta(minutes=2))
    await world.becomes(other, "SENT")
    assert len(receiver.hooks) == 1


async def test_a_page_that_comes_after_the_acknowledgement_is_not_sent(
    world: World, receiver: Receiver
) -> None:
    await world.webhook("alice", receiver)
    alert_id = str(uuid7())
    await publish(world, "alert.acknowledged", alert_id, version=5)
    await eventually(lambda: world.sql("select 1 from alerts where settled_version = 5"))
    late = await world.page("alice", alert_id=alert_id, version=4)
    await world.becomes(late, "CANCELLED")
    again = await world.page("alice", alert_id=alert_id, version=7)
    await world.becomes(again, "SENT")
    assert len(receiver.hooks) == 1


async def test_a_later_step_survives_an_acknowledgement_that_comes_late(
    world: World, receiver: Receiver
) -> None:
    await world.webhook("alice", receiver, delay=timedelta(minutes=1))
    handover = await world.page("alice", version=9)
    await publish(world, "alert.acknowledged", handover.alert.alert_id, version=5)
    await eventually(lambda: world.sql("select 1 from alerts where settled_version = 5"))
    await world.becomes(handover, "PENDING")


async def test_a_cancelled_page_is_not_tried_again_and_one_that_got_through_counts_as_sent(
    world: World, receiver: Receiver
) -> None:
    await world.webhook("alice", receiver)
    receiver.always = status(500, "retry-after: 200")
    failing = await world.page("alice")
    await eventually(lambda: world.sql("select 1 from route_logs where last_error like 'HTTP 500%%'"))
    await publish(world, "alert.closed", failing.alert.alert_id, version=3)
    await world.becomes(failing, "CANCELLED")
    sends = len(receiver.hooks)
    world.clock.advance(timedelta(minutes=5))
    receiver.always = status(200)
    await world.becomes(await world.page("alice"), "SENT")
    assert len(receiver.hooks) == sends + 1


async def test_notify_stops_while_an_endpoint_hangs(world: World, receiver: Receiver) -> None:
    await world.stop()
    await world.start(webhooks=world.patient_webhooks())
    await world.webhook("alice", receiver)
    receiver.always = receivers.hang
    await world.page("alice")
    await receiver.got(1)
    async with asyncio.timeout(PATIENCE):
        await world.stop()

"""What is claimed first when more is due than can be tried."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from chassis.db import Database
from services.notify.deliverer.leases import LEASE
from services.notify.deliverer.loop import SCAN
from services.notify.storage import attempts
from services.notify.storage.attempts import Room
from tests.service.notify.receivers import Receiver
from tests.service.notify.world import World, a_page

BACKLOG = 3 * SCAN


@pytest.fixture
async def db(world: World) -> AsyncIterator[Database]:
    opened = Database(world.database.url("notify"), name="claims")
    await opened.open()
    yield opened
    await opened.close()


async def waiting(world: World, receiver: Receiver) -> None:
    """Pages for alice that are due for a minute, more than a claim scans, and two for bob, due a second ago."""
    for name in ("alice", "bob"):
        await world.webhook(name, receiver, path=f"/{name}", delay=timedelta(hours=1))
    await world.stop()
    page = a_page(["alice"])
    for name, count, seconds in (("alice", BACKLOG, 60), ("bob", 2, 1)):
        world.sql(
            """with n as (select uuidv7() as id from generate_series(1, %s)), p as (
                insert into pages (execution_id, alert_id, alert_version, alert, reason, level, accepted_at, severity)
                select id, %s, 1, %s, 'INITIAL', 1, now(), 'HIGH' from n returning execution_id, alert_id)
            insert into route_logs (route_log_id, execution_id, alert_id, responder_id, channel, contact_method_id, address,
                status, attempts, last_error, created_at, due_at, expires_at, decision, delay, kind)
            select execution_id, execution_id, alert_id, responder_id, channel, contact_method_id, address, 'PENDING', 0, '',
                now(), now() - %s * interval '1 s', now() + interval '1 day', 'PLANNED', '0', 'PAGE'
            from p, contact_methods where responder_id = %s""",
            count,
            page.alert.alert_id,
            page.alert.SerializeToString(),
            seconds,
            name,
        )


async def claimed(world: World, db: Database, total: int, busy: dict[str, int], room: int = 64) -> list[str]:
    """Whose pages one claim takes."""
    wanted = Room(total, room, {}, busy, 256, {})
    async with db.raw() as conn:
        found = await attempts.claim(conn, now=world.clock.now(), lease=LEASE, room=wanted, scan=SCAN)
    return sorted(page.route.responder_id for page in found)


async def test_a_page_behind_a_storm_is_seen_and_has_its_turn(
    world: World, receiver: Receiver, db: Database
) -> None:
    await waiting(world, receiver)
    assert await claimed(world, db, 4, {}) == ["alice", "alice", "bob", "bob"]


async def test_who_has_least_under_way_goes_first(world: World, receiver: Receiver, db: Database) -> None:
    await waiting(world, receiver)
    alice = f"{receiver.url}/alice"
    assert await claimed(world, db, 1, {alice: 1}) == ["bob"]
    assert await claimed(world, db, 3, {alice: 9}) == ["alice", "alice", "bob"]
    assert await claimed(world, db, 500, {}, room=8) == ["alice"] * 8, "an address has its share, and no more"

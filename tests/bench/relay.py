"""How many events a second the relay claims, publishes and marks; run it by `python -m tests.bench.relay`."""

import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import uvloop
from sqlalchemy.engine import make_url

from chassis import migrate, outbox
from chassis.bus import Bus
from chassis.db import Database
from chassis.relay import Relay
from tests.fixtures.nats import start_nats
from tests.fixtures.postgres import start_postgres

EVENTS, ROUNDS = 50_000, 5
FILL = """
insert into outbox (id, type, subject, data, at)
select uuidv7(), 'bell.rung', uuidv7()::text, decode(repeat('ab', 200), 'hex'), now() from generate_series(1, %s)"""


async def one_round(db: Database, relay: Relay, address: str) -> float:
    """Events per second from the first claim until the last mark."""
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as conn:
        await conn.execute(FILL, [EVENTS])
        await conn.execute("vacuum analyze outbox")
        started = time.perf_counter()
        running = asyncio.create_task(relay.run())
        while await (
            await conn.execute("select 1 from outbox where published_at is null limit 1")
        ).fetchone():
            await asyncio.sleep(0.05)
        took = time.perf_counter() - started
        running.cancel()
    return EVENTS / took


async def rounds(address: str, broker: str) -> list[float]:
    """The rates of all rounds."""
    db, bus = Database(address, name="bench"), Bus(broker, name="tocsin")
    await db.open()
    await outbox.maintain(db, now=datetime.now(UTC))
    await bus.connect()
    await bus.ensure_stream("TOCSIN_BELL", ["bell.>"])
    relay = Relay(db, bus, stream="TOCSIN_BELL", source="/tocsin/bell")
    rates = [await one_round(db, relay, address) for _ in range(ROUNDS)]
    await bus.close()
    await db.close()
    return rates


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory:
        postgres, nats = start_postgres(Path(directory), fsync=True), start_nats(Path(directory))
        try:
            migrate.prepare(postgres.url(), {"bell": migrate.Role("tocsin_bell", "bench")})
            address = make_url(postgres.url()).set(username="tocsin_bell", password="bench")
            text = address.render_as_string(hide_password=False)
            with psycopg.connect(text) as conn:
                for statement in outbox.create_statements():
                    conn.execute(statement.encode())
            rates = uvloop.run(rounds(text, nats.url()))
        finally:
            postgres.stop()
            nats.stop()
    print(
        f"relay: {statistics.median(rates):,.0f} events/s (rounds: {', '.join(f'{r:,.0f}' for r in rates)})"
    )


if __name__ == "__main__":
    main()

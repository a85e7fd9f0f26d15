"""A relay or a consumer as a process of its own, so that tests can kill and stop it: `actor.py KIND DATABASE NATS`."""

import asyncio
import sys
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Bus, Received
from chassis.db import Database
from chassis.inbox import Consumer
from chassis.relay import Relay

STREAM, SUBJECTS = "TOCSIN_BELL", ["bell.>"]


def relay_of(db: Database, bus: Bus) -> Relay:
    """A relay of the bells."""
    return Relay(db, bus, stream=STREAM, source="/tocsin/bell")


async def count(conn: AsyncConnection, events: Sequence[Received]) -> None:
    """The effect of an event: a row in `effects`, which has no key on purpose."""
    await conn.execute(text("insert into effects (event_id) values (:id)"), [{"id": e.id} for e in events])


def consumer_of(db: Database, bus: Bus) -> Consumer:
    """A consumer that counts what it hears."""
    return Consumer(db=db, bus=bus, stream=STREAM, durable="ear", subjects=SUBJECTS, handle=count)


async def main(kind: str, database: str, broker: str) -> None:
    db, bus = Database(database, name="actor"), Bus(broker, name="tocsin")
    await db.open()
    await bus.connect()
    await (relay_of(db, bus) if kind == "relay" else consumer_of(db, bus)).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""A service's own Postgres schema: Core transactions, and a raw psycopg door for the few hot statements."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import psycopg_pool
from psycopg import AsyncConnection as RawConnection
from sqlalchemy import exc
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from chassis.errors import Exhausted, Invalid, Unavailable

AWAY = (psycopg.OperationalError, psycopg.InterfaceError, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed)
ALIVE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "tcp_user_timeout": 5_000,
}
"""What makes a connection fail that leads nowhere: 5 s after something was sent, 10 s into silence."""
NO_ROOM = (psycopg.errors.DiskFull, psycopg.errors.TooManyConnections)


class Database:
    """Connections of one role to its schema.

    `begin` and `connect` give SQLAlchemy Core; `raw` gives an autocommit psycopg connection whose statements are
    prepared at first use. All three raise Unavailable while Postgres is away, and recover by themselves.
    """

    def __init__(
        self, url: str, *, name: str, size: int = 10, wait: timedelta = timedelta(seconds=5)
    ) -> None:
        self.url = make_url(url).set(drivername="postgresql+psycopg")
        self.name = name
        self.engine = create_async_engine(
            self.url,
            pool_size=size,
            max_overflow=0,
            pool_timeout=wait.total_seconds(),
            pool_pre_ping=True,
            pool_use_lifo=True,  # few connections, whose statements are prepared, rather than each in turn
            connect_args={"application_name": f"tocsin-{name}", "prepare_threshold": 1, **ALIVE},
        )
        self._checking: asyncio.Task[None] | None = None
        self._raw = psycopg_pool.AsyncConnectionPool(
            self.dsn,
            open=False,
            min_size=1,
            max_size=size,
            timeout=wait.total_seconds(),
            kwargs={
                "autocommit": True,
                "application_name": f"tocsin-{name}-hot",
                "prepare_threshold": 1,
                **ALIVE,
            },
        )

    @property
    def dsn(self) -> str:
        """The address in libpq's form, with the password."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def open(self) -> None:
        """Opens the raw pool; the engine connects at first use."""
        await self._raw.open(wait=False)

    async def close(self) -> None:
        """Closes every connection."""
        await self._raw.close()
        await self.engine.dispose()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end of the block, rolled back by an exception."""
        with _typed():
            async with self.engine.begin() as conn:
                yield conn

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading, each statement by itself, as of the moment at which it begins.

        Without transactions: the ROLLBACK that ends one makes the driver drop every prepared statement.
        """
        with _typed():
            async with self.engine.connect() as conn:
                try:  # an engine that has this option loses the connection when who asked leaves meanwhile
                    await conn.execution_options(isolation_level="AUTOCOMMIT")
                except BaseException:
                    await conn.invalidate()  # ready by half, and good for nobody
                    raise
                yield conn

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[RawConnection]:
        """An autocommit psycopg connection for one hot statement; `conn.transaction()` for more than one."""
        try:
            with _typed():
                async with self._raw.connection() as conn:
                    yield conn
        except Unavailable:
            self._recheck()
            raise

    def _recheck(self) -> None:
        """After a failure, tries every idle connection at once, so that a restart costs one error and not ten."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._raw.check())


@contextmanager
def _typed() -> Iterator[None]:
    """Turns a driver's \"away\" into ours, so that no driver error crosses the wire."""
    try:
        yield
    except exc.TimeoutError:
        raise Unavailable("no database connection is free", reason="DATABASE_BUSY") from None
    except (exc.DBAPIError, psycopg.Error) as error:
        raise _translate(getattr(error, "orig", error)) or error from error


def _translate(error: BaseException | None) -> Exception | None:
    if isinstance(error, psycopg.errors.QueryCanceled):
        return Unavailable("the database took too long", reason="DATABASE_TIMEOUT")
    if isinstance(error, NO_ROOM):
        return Unavailable("the database is full", reason="DATABASE_FULL")
    if isinstance(error, psycopg.errors.ProgramLimitExceeded):
        return Exhausted("the request is too large for the database")
    if isinstance(error, (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)):
        return Unavailable("the rows are busy", reason="DATABASE_BUSY")
    if isinstance(error, psycopg.DataError):
        return Invalid("a value cannot be kept; text must not hold NUL characters", reason="VALUE_REFUSED")
    if isinstance(error, AWAY):
        return Unavailable("the database is away", reason="DATABASE_AWAY")
    return None

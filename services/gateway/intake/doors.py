"""The paths that other tools send to, each with the answers that its senders understand."""

from collections.abc import Sequence

from starlette.responses import Response

from chassis.errors import DomainError, Invalid, Unavailable
from services.gateway import failures
from services.gateway.http import Endpoint, Incoming
from services.gateway.intake import alertmanager, events, pagerduty
from services.gateway.intake.ingest import Ingest
from services.gateway.printing import encoded
from services.gateway.requests import parse
from services.gateway.routing import Router

ALERTMANAGER = "/api/alert/integrations/{routing_key}/alertmanager"
EVENTS = "/api/alert/integrations/{routing_key}/events"
PAGERDUTY = "/v2/enqueue"
AGAIN = (409, 429)
"""Statuses below 500 after which the same body may be taken."""
TOLD = 10
"""How many refusals an answer repeats."""


def open_doors(router: Router[Endpoint], ingest: Ingest) -> None:
    """Adds the intake's routes."""
    doors = Doors(ingest)
    for slash in ("", "/"):
        router.add("POST", ALERTMANAGER + slash, doors.alertmanager)
        router.add("POST", EVENTS + slash, doors.events)
        router.add("POST", PAGERDUTY + slash, doors.pagerduty)


class Doors:
    """The intake's endpoints."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def alertmanager(self, incoming: Incoming) -> Response:
        """200 for what was taken; what may be taken later is 503, never 429: Alertmanager drops on any 4xx."""
        try:
            signals = alertmanager.signals(parse(await incoming.body()))
            taken = await self._ingest.send(incoming, incoming.variables["routing_key"], signals)
        except DomainError as error:
            return later(error)
        return answer(200, {"accepted": len(taken.alert_ids), "refused": list(taken.refusals[:TOLD])})

    async def events(self, incoming: Incoming) -> Response:
        """202 with the dedup key, which later events name."""
        try:
            signals = events.signals(parse(await incoming.body()))
            taken = await self._ingest.send(incoming, incoming.variables["routing_key"], signals)
            if taken.refusals:
                raise Invalid(taken.refusals[0])
        except DomainError as error:
            return later(error)
        told = {"status": "accepted", "dedup_key": signals[0].dedup_key, "alert_id": taken.alert_ids[0]}
        return answer(202, told)

    async def pagerduty(self, incoming: Incoming) -> Response:
        """202, 400 with all errors, 413, 429 over the rate, or 503, in PagerDuty's words."""
        try:
            routing_key, event = pagerduty.event(parse(await incoming.body(pagerduty.MOST_BODY)))
            taken = await self._ingest.send(incoming, routing_key, [event])
        except pagerduty.InvalidEvent as problem:
            return invalid_event(problem.errors)
        except DomainError as error:
            return pagerduty_failure(error)
        if taken.refusals:
            return invalid_event(taken.refusals)
        return answer(202, {"status": "success", "message": "Event processed", "dedup_key": event.dedup_key})


def invalid_event(errors: Sequence[str]) -> Response:
    """PagerDuty's 400."""
    return answer(
        400,
        {"status": "invalid event", "message": "Event object is invalid", "errors": list(errors[:TOLD])},
    )


def pagerduty_failure(error: DomainError) -> Response:
    """What PagerDuty answers when a key is unknown, a body too large, the rate exceeded, or it is away."""
    response = failures.response(error)
    if response.status_code == 413:
        return answer(413, {"status": "invalid event", "message": "Event object is too large", "errors": []})
    if response.status_code == 429:
        words = {
            "status": "throttle exceeded",
            "message": "Requests are arriving too quickly. Please retry later.",
        }
        return answer(429, words)
    if response.status_code in (400, 401, 403, 404):
        return invalid_event([error.message])
    return answer(503, {"status": "unavailable", "message": "Please retry later."})


def answer(status: int, body: object) -> Response:
    """A JSON answer."""
    return Response(encoded(body), status, media_type="application/json")


def later(error: DomainError) -> Response:
    """The answer to a failure, with 503 for everything that may go better another time."""
    response = failures.response(error)
    if response.status_code >= 500 or response.status_code in AGAIN:
        return failures.response(Unavailable(error.message))
    return response

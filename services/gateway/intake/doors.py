"""The paths that other tools send to, each with the answers that its senders understand."""

from collections.abc import Sequence

from starlette.responses import Response

from chassis.errors import DomainError, Invalid, Unavailable
from services.gateway import failures
from services.gateway.http import Endpoint, Incoming
from services.gateway.intake import alertmanager, cloudevents, events, keys, pagerduty
from services.gateway.intake.genie import Genie
from services.gateway.intake.ingest import Ingest, Taken
from services.gateway.intake.signal import Signal
from services.gateway.printing import encoded
from services.gateway.requests import parse
from services.gateway.routing import Router

ALERTMANAGER = "/api/alert/integrations/{routing_key}/alertmanager"
EVENTS = "/api/alert/integrations/{routing_key}/events"
CLOUDEVENTS = "/api/alert/integrations/{routing_key}/cloudevents"
PAGERDUTY, CHANGES = "/v2/enqueue", "/v2/change/enqueue"
OPSGENIE = "/v2/alerts"
AGAIN = (409, 429)
"""Statuses below 500 after which the same body may be taken."""
TOLD = 10
"""How many refusals an answer repeats."""


def open_doors(router: Router[Endpoint], ingest: Ingest) -> None:
    """Adds the intake's routes."""
    doors, genie = Doors(ingest), Genie(ingest)
    for slash in ("", "/"):
        router.add("POST", ALERTMANAGER + slash, doors.alertmanager)
        router.add("POST", EVENTS + slash, doors.events)
        router.add("POST", CLOUDEVENTS + slash, doors.cloudevents)
        router.add("OPTIONS", CLOUDEVENTS + slash, doors.handshake)
        router.add("POST", PAGERDUTY + slash, doors.pagerduty)
        router.add("POST", CHANGES + slash, doors.change)
        router.add("POST", OPSGENIE + slash, genie.create)
        router.add("POST", f"{OPSGENIE}/{{identifier}}/close{slash}", genie.close)
        router.add("POST", f"{OPSGENIE}/{{identifier}}/acknowledge{slash}", genie.acknowledge)
        router.add("POST", f"{OPSGENIE}/{{identifier}}/notes{slash}", genie.note)
        for verb in ("PUT", "POST"):  # Opsgenie's is PUT; what its clients send differs
            router.add(verb, f"{OPSGENIE}/{{identifier}}/message{slash}", genie.message)
            router.add(verb, f"{OPSGENIE}/{{identifier}}/description{slash}", genie.description)


class Doors:
    """The intake's endpoints."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def alertmanager(self, incoming: Incoming) -> Response:
        """200 for what was taken; what may be taken later is 503, never 429: Alertmanager drops on any 4xx."""
        try:
            body, key = await incoming.body(), keys.routing_key(incoming)
            keys.check_signature(incoming, key, body)
            taken = await self._ingest.send(incoming, key, alertmanager.signals(parse(body)))
        except DomainError as error:
            return later(error)
        return answer(200, told(taken))

    async def events(self, incoming: Incoming) -> Response:
        """202 with the dedup key, which later events name."""
        try:
            signals = events.signals(parse(await incoming.body()))
            taken = await self._ingest.send(incoming, keys.routing_key(incoming), signals)
            if taken.refusals:
                raise Invalid(taken.refusals[0])
        except DomainError as error:
            return later(error)
        accepted = {"status": "accepted", "dedup_key": signals[0].dedup_key, "alert_id": taken.alert_ids[0]}
        return answer(202, accepted)

    async def cloudevents(self, incoming: Incoming) -> Response:
        """202 for one event or a batch, in whichever mode it comes."""
        try:
            signals = await _cloudevents(incoming)
            taken = await self._ingest.send(incoming, keys.routing_key(incoming), signals)
            if taken.refusals and len(signals) == 1:
                raise Invalid(taken.refusals[0])
        except DomainError as error:
            return later(error)
        return answer(202, told(taken))

    async def handshake(self, incoming: Incoming) -> Response:
        """Agrees to be sent events by whoever asks (CloudEvents' web hooks, abuse protection)."""
        headers = {"allow": "OPTIONS, POST", "webhook-allowed-rate": "*"}
        if (origin := incoming.request.headers.get("webhook-request-origin")) is not None:
            headers["webhook-allowed-origin"] = origin
        return Response(status_code=204, headers=headers)

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

    async def change(self, incoming: Incoming) -> Response:
        """202 for a change event, which pages nobody and is not kept: senders of both kinds need no switch."""
        try:
            pagerduty.change(parse(await incoming.body(pagerduty.MOST_BODY)))
        except pagerduty.InvalidEvent as problem:
            return invalid_event(problem.errors)
        except DomainError as error:
            return pagerduty_failure(error)
        return answer(
            202, {"status": "success", "message": "Change event accepted; changes are not kept here"}
        )


async def _cloudevents(incoming: Incoming) -> Sequence[Signal]:
    body, headers = await incoming.body(), incoming.request.headers
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == cloudevents.BATCH:
        return cloudevents.batch(parse(body))
    if media != cloudevents.STRUCTURED and (event := cloudevents.binary(headers, body)) is not None:
        return [cloudevents.one(event)]
    return [cloudevents.one(parse(body))]


def told(taken: Taken) -> dict[str, object]:
    """What a sender of many is told."""
    return {"accepted": len(taken.alert_ids), "refused": list(taken.refusals[:TOLD])}


def invalid_event(errors: Sequence[str]) -> Response:
    """PagerDuty's 400."""
    return answer(
        400,
        {"status": "invalid event", "message": "Event object is invalid", "errors": list(errors[:TOLD])},
    )


def pagerduty_failure(error: DomainError) -> Response:
    """What PagerDuty answers when a key is unknown, a body too large, the rate exceeded, or it is away."""
    response = failures.response(error)
    again = {"retry-after": response.headers.get("retry-after", failures.RETRY_AFTER)}
    if response.status_code == 413:
        return answer(413, {"status": "invalid event", "message": "Event object is too large", "errors": []})
    if response.status_code == 429:
        words = {
            "status": "throttle exceeded",
            "message": "Requests are arriving too quickly. Please retry later.",
        }
        return answer(429, words, again)
    if response.status_code in (400, 401, 403, 404):
        return invalid_event([error.message])
    return answer(503, {"status": "unavailable", "message": "Please retry later."}, again)


def answer(status: int, body: object, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(encoded(body), status, headers=headers, media_type="application/json")


def later(error: DomainError) -> Response:
    """The answer to a failure, with 503 for everything that may go better another time."""
    response = failures.response(error)
    if response.status_code >= 500 or response.status_code in AGAIN:
        return failures.response(Unavailable(error.message))
    return response

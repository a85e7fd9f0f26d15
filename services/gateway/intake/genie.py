"""The endpoints of Opsgenie's alert API, with Opsgenie's answers: 202 with a request id, 422 with every wrong field."""

import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

from starlette.responses import Response

from chassis.errors import DomainError, Invalid, Unauthenticated
from services.gateway import failures
from services.gateway.http import Incoming
from services.gateway.intake import keys, opsgenie
from services.gateway.intake.ingest import Ingest
from services.gateway.intake.signal import Action, Signal
from services.gateway.printing import encoded
from services.gateway.requests import parse

UNPROCESSABLE = "Request body is not processable. Please check the errors."
WORDS = {
    401: "Could not authenticate",
    413: "Request body is too large",
    429: "You are making too many requests!",
    503: "Please retry later.",
}
Read = Callable[[Incoming], Awaitable[Sequence[Signal]]]


class Genie:
    """Create, acknowledge, close and note, by `Authorization: GenieKey <routing key>`.

    What is asked of an alert that is not open is accepted and changes nothing.
    """

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def create(self, incoming: Incoming) -> Response:
        """Opens an alert, or adds to the one of the same alias."""
        return await self._take(incoming, _created)

    async def close(self, incoming: Incoming) -> Response:
        """Closes the alert of an alias."""
        return await self._take(incoming, _acted(Action.RESOLVE))

    async def acknowledge(self, incoming: Incoming) -> Response:
        """Acknowledges the alert of an alias."""
        return await self._take(incoming, _acted(Action.ACKNOWLEDGE))

    async def note(self, incoming: Incoming) -> Response:
        """Adds a note to the timeline of the alert of an alias."""
        return await self._take(incoming, _noted)

    async def message(self, incoming: Incoming) -> Response:
        """Notes that the alert of an alias has another message."""
        return await self._take(incoming, _reworded("message"))

    async def description(self, incoming: Incoming) -> Response:
        """Notes that the alert of an alias has another description."""
        return await self._take(incoming, _reworded("description"))

    async def _take(self, incoming: Incoming, read: Read) -> Response:
        began, request_id = time.perf_counter(), str(uuid4())
        try:
            key = keys.credential(incoming.authorization)
            if not key:
                raise Unauthenticated("no key; want 'Authorization: GenieKey' and a routing key")
            taken = await self._ingest.send(incoming, key, await read(incoming))
            if taken.refusals:
                raise Invalid(taken.refusals[0])
        except DomainError as error:
            return _failure(error, request_id, began)
        return _answer(202, {"result": "Request will be processed"}, request_id, began)


async def _created(incoming: Incoming) -> Sequence[Signal]:
    return [opsgenie.created(parse(await incoming.body()))]


def _acted(action: Action) -> Read:
    async def read(incoming: Incoming) -> Sequence[Signal]:
        body = await incoming.body()
        return [opsgenie.acted(action, incoming.variables["identifier"], parse(body) if body.strip() else {})]

    return read


async def _noted(incoming: Incoming) -> Sequence[Signal]:
    return [opsgenie.noted(incoming.variables["identifier"], parse(await incoming.body()))]


def _reworded(what: str) -> Read:
    async def read(incoming: Incoming) -> Sequence[Signal]:
        return opsgenie.reworded(what, incoming.variables["identifier"], parse(await incoming.body()))

    return read


def _failure(error: DomainError, request_id: str, began: float) -> Response:
    """Opsgenie's words for a failure; whatever may go better another time is 429 or 503."""
    response = failures.response(error)
    status = response.status_code
    if status in (400, 403, 404):
        wrong = {field.path: field.description for field in error.fields} or {"body": error.message}
        return _answer(422, {"message": UNPROCESSABLE, "errors": wrong}, request_id, began)
    status = status if status in WORDS else 503
    answer = _answer(status, {"message": WORDS[status]}, request_id, began)
    if status in (429, 503):
        answer.headers["retry-after"] = response.headers.get("retry-after", failures.RETRY_AFTER)
    return answer


def _answer(status: int, said: dict[str, object], request_id: str, began: float) -> Response:
    took = round(time.perf_counter() - began, 3)
    body = encoded({**said, "took": took, "requestId": request_id})
    return Response(body, status, media_type="application/json")

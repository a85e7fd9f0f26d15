"""Calendar feeds: a schedule's or a responder's path with `.ics` at its end, the bearer token in the query."""

from collections.abc import Mapping

import grpc
from starlette.responses import Response

from chassis.auth import Verifier
from chassis.errors import Invalid, Unauthenticated
from services.gateway import failures
from services.gateway.http import DEADLINE, Endpoint, Incoming
from services.gateway.query import pairs
from services.gateway.reading import Wrong
from tocsin.roster.v1 import calendar_service_pb2, calendar_service_pb2_grpc

FEEDS: Mapping[str, str] = {"GetSchedule": "schedule_id", "GetResponder": "responder_id"}
"""The methods whose paths lead to a feed too, and the variable of the path; no id has a dot."""
SUFFIX, TOKEN, SCOPE = ".ics", "token", "roster:read"
LONGEST = 30.0
"""Seconds that a feed may take."""
HEADERS = {
    "cache-control": "private, max-age=300",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Calendars:
    """The feeds of the roster; calendar programs send no headers, so the token is in the query."""

    def __init__(self, channel: grpc.aio.Channel, verifier: Verifier) -> None:
        self._stub = calendar_service_pb2_grpc.CalendarServiceStub(channel)
        self._verifier = verifier

    def beside(self, endpoint: Endpoint, variable: str) -> Endpoint:
        """What answers a path: the feed when the variable ends with `.ics`, else what answered before."""

        async def answer(incoming: Incoming) -> Response:
            name = incoming.variables[variable]
            if not name.endswith(SUFFIX):
                return await endpoint(incoming)
            return await self._feed(incoming, variable, name.removesuffix(SUFFIX))

        return answer

    async def _feed(self, incoming: Incoming, variable: str, name: str) -> Response:
        authorization = f"Bearer {_token(incoming)}"
        await self._verifier.admit(authorization, SCOPE)
        metadata = [*incoming.metadata(credential=False), ("authorization", authorization)]
        timeout = incoming.timeout() or max(DEADLINE, LONGEST)
        request = calendar_service_pb2.ExportCalendarRequest(**{variable: name})
        try:
            answer = await self._stub.ExportCalendar(request, timeout=timeout, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise failures.from_call(error) from None
        disposition = {"content-disposition": f'inline; filename="{name}{SUFFIX}"'}
        return Response(answer.calendar, headers=HEADERS | disposition, media_type="text/calendar")


def _token(incoming: Incoming) -> str:
    """The token of the query; raises Unauthenticated without one, Invalid for anything else in the query."""
    given = pairs(incoming.request.scope["query_string"])
    wrong = Wrong()
    for name, _ in given:
        if name != TOKEN:
            wrong.add(name[:64], "is not a parameter of a calendar feed")
    wrong.check()
    if len(given) > 1:
        raise Invalid.field(TOKEN, "is given more than once")
    if not given or not given[0][1]:
        raise Unauthenticated("the feed's address has no token; add '?token=' and a bearer token")
    return given[0][1]

"""What callers are told of their limits."""

from starlette.responses import Response

from identity.gate import Gate
from services.gateway.http import Endpoint, Incoming


def telling(endpoint: Endpoint, gate: Gate) -> Endpoint:
    """Adds to an endpoint's answers how many calls a second the caller may make, and how many are left now."""

    async def answer(incoming: Incoming) -> Response:
        response = await endpoint(incoming)
        if (left := gate.left(incoming.authorization)) is not None:
            response.headers["ratelimit-limit"] = f"{left.rate:.0f}"
            response.headers["ratelimit-remaining"] = f"{int(left.left)}"
        return response

    return answer

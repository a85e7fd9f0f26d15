"""Which web pages of other origins may call (CORS): none, unless the configuration names them."""

import re
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response

ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|http://\[[0-9a-f:]+\](:\d{1,5})?")
ANY = "*"
ASKED = (
    "authorization, content-type, if-match, if-none-match, last-event-id, traceparent, x-request-id, "
    "x-request-timeout, grpc-timeout"
)
"""The headers of our own that a page may send."""
TOLD = "etag, content-disposition, retry-after, x-request-id"
"""The headers that a page may read."""
KEPT = "600"
"""Seconds for which a browser keeps the answer to a preflight."""


class Cors:
    """The origins that may call; a token travels in a header that a page must set, so there are no credentials."""

    def __init__(self, origins: Iterable[str]) -> None:
        """Raises ValueError for what is neither an origin nor `*`."""
        self._origins = frozenset(origins)
        for origin in self._origins:
            if origin != ANY and not ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin; want one such as 'https://console.example'")

    def allow(self, request: Request, response: Response) -> None:
        """Says in an answer which page may read it, and in the answer to a preflight what the page may send."""
        if not self._origins:
            return
        response.headers.add_vary_header("origin")
        origin = request.headers.get("origin")
        if origin is None or not self._origins & {origin, ANY}:
            return
        response.headers["access-control-allow-origin"] = origin
        response.headers["access-control-expose-headers"] = TOLD
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            response.headers["access-control-allow-methods"] = response.headers.get("allow", "")
            response.headers["access-control-allow-headers"] = ASKED
            response.headers["access-control-max-age"] = KEPT

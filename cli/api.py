"""The HTTP API of a stack, called from the command line: an answer, a refusal or nobody there."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from cli.where import Where

Json = dict[str, Any]
BASE = "/api/alert"
PATIENCE = timedelta(seconds=15)
"""How long a call may take."""
MOST = 1000
"""How many a page of a list may hold."""
AWAY = {502, 503, 504}


class Refused(Exception):
    """The stack answered with an error."""

    def __init__(self, error: Json) -> None:
        super().__init__(str(error.get("message", error)))
        self.error = error

    @property
    def status(self) -> str:
        """The gRPC status by name, such as NOT_FOUND."""
        return str(self.error.get("status", ""))


class Unreachable(Exception):
    """Nobody answered who could: the gateway, or, when it `answered` so itself, the service behind it is away."""

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered


@dataclass(frozen=True, slots=True)
class Api:
    """Calls of the API below /api/alert; safe to use from several threads."""

    where: Where
    patience: timedelta = PATIENCE

    def get(self, path: str, **query: object) -> Json:
        """Reads; a query parameter that is None or empty is left out, a list is repeated, True is `true`.

        Raises Refused and Unreachable, as do all methods.
        """
        given = {name: value for name, value in query.items() if value not in (None, "", [], False)}
        pairs = {name: "true" if value is True else value for name, value in given.items()}
        return self._call("GET", f"{path}?{urlencode(pairs, doseq=True)}" if pairs else path)

    def post(self, path: str, body: Json) -> Json:
        """Creates something, or does a verb."""
        return self._call("POST", path, body)

    def patch(self, path: str, body: Json, fields: list[str]) -> Json:
        """Changes the fields that are named: to the body's values, or to the default where the body has none."""
        return self._call("PATCH", f"{path}?{urlencode({'update_mask': ','.join(fields)})}", body)

    def delete(self, path: str) -> None:
        """Deletes."""
        self._call("DELETE", path)

    def each(self, path: str, plural: str, *, most: int | None = None, **query: object) -> Iterator[Json]:
        """The resources of a list, page by page, at most `most` of them."""
        token, left = "", most
        while left is None or left > 0:
            size = MOST if left is None else min(left, MOST)
            page = self.get(path, page_size=size, page_token=token, **query)
            found = page[plural][:size]
            yield from found
            token = page["next_page_token"]
            left = None if left is None else left - len(found)
            if not token:
                return

    def _call(self, method: str, path: str, body: Json | None = None) -> Json:
        """One call on a connection of its own."""
        gateway = urlsplit(self.where.gateway)
        secure = gateway.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        headers = {"authorization": f"Bearer {self.where.token}", "content-type": "application/json"}
        sent = None if body is None else json.dumps(body).encode()
        connection = connect(gateway.netloc, timeout=self.patience.total_seconds())
        try:
            connection.request(method, f"{gateway.path}{BASE}{path}", sent, headers)
            response = connection.getresponse()
            status, text = response.status, response.read()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unreachable(
                f"{self.where.gateway} does not answer: {error or type(error).__name__}"
            ) from None
        finally:
            connection.close()
        return self._answer(status, text)

    def _answer(self, status: int, text: bytes) -> Json:
        try:
            answer = json.loads(text)
            error = answer["error"] if status >= 300 else None
        except (ValueError, LookupError, TypeError):
            raise Unreachable(
                f"{self.where.gateway} is not a gateway of Tocsin: it answers HTTP {status} without our JSON"
            ) from None
        if error is None:
            found: Json = answer
            return found
        if status in AWAY:
            raise Unreachable(
                f"{self.where.gateway} answers {status}: {error.get('message', '')}", answered=True
            )
        raise Refused(error)


def escaped(name: str) -> str:
    """An id as a segment of a path."""
    return quote(name, safe="")

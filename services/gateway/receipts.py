"""Signed receipt links: no token of ours, one call; a person who opens the link is asked for a click first."""

from html import escape
from string import Template
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response

from chassis.errors import DomainError, Invalid, Unauthenticated
from services.gateway import callbacks, failures
from services.gateway.http import DEADLINE, Incoming
from services.gateway.query import pairs
from services.gateway.reading import Wrong
from services.gateway.transcoding import UnaryEndpoint

METHOD = "RecordReceipt"
LINK, STATUS, RECEIPT = "token", "ACKNOWLEDGED", "clicked"
"""The link's parameter; what a click says; its receipt's id, so that a second click changes nothing."""
MOST_FORM = 16 * 1024
FORM = "application/x-www-form-urlencoded"
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex",
}
PAGE = Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>$title</title>
<style>:root{color-scheme:light dark}
body{font:1.1rem/1.5 system-ui,sans-serif;max-width:28rem;margin:4rem auto;padding:0 1rem}
button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;background:#b3261e;color:#fff;cursor:pointer}
button:focus-visible{outline:3px solid #0969da;outline-offset:2px}</style></head>
<body><main><h1>$title</h1><p role="status">$text</p>$form</main></body></html>
"""
)
BUTTON = '<form method="post"><button type="submit">Acknowledge the alert</button></form>'
AGAIN = '<form method="post"><button type="submit">Try again</button></form>'
REFUSED = {
    "RECEIPT_LINK_EXPIRED": (
        "This link has expired",
        "It was good for some days. The alert can still be taken in Tocsin itself.",
    ),
    "RECEIPT_LINK_INVALID": (
        "This link is not valid",
        "It was cut short or changed on its way. Open it as it was sent.",
    ),
}
"""What a person reads whose link was refused, by the reason."""
SPENT = (
    "This link has taken it once and cannot again: take it by the link of a newer page, or in Tocsin itself."
)


class Receipts:
    """The receipts of one route log, by link or by bearer token."""

    def __init__(self, record: UnaryEndpoint) -> None:
        self._record = record

    async def post(self, incoming: Incoming) -> Response:
        """Records a receipt: JSON by link, a click on the page, a provider's status callback, or with a bearer token."""
        token = _link_token(incoming)
        if token is None:
            return await self._record(incoming)
        if incoming.request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM:
            return await self._clicked(incoming, token)
        return await self._say(incoming, token, await self._record.reader.value(incoming))

    async def get(self, incoming: Incoming) -> Response:
        """The page that asks for a click; opening it changes nothing."""
        if _link_token(incoming) is None:
            raise Unauthenticated("the link has no token; open it as it was sent")
        return page("Acknowledge this alert?", "Nobody else will be told once you take it.", form=BUTTON)

    async def _clicked(self, incoming: Incoming, token: str) -> Response:
        given = parse_qs((await incoming.body(MOST_FORM)).decode("utf-8", "replace"))
        form = {name: values[0] for name, values in given.items()}
        if callbacks.is_callback(form):
            said = callbacks.receipt(form)
            return Response(status_code=204) if said is None else await self._say(incoming, token, said)
        status = form.get("status", STATUS)
        try:
            message, asked = self._asked(incoming, token, {"status": status, "receipt_id": RECEIPT})
            route, _ = await self._record.ask(message, **asked)
        except DomainError as error:
            return refused(error)
        return page(*recorded(route))

    async def _say(self, incoming: Incoming, token: str, value: object) -> Response:
        message, asked = self._asked(incoming, token, value)
        return await self._record.answer(message, **asked)

    def _asked(self, incoming: Incoming, token: str, value: object) -> tuple[Any, dict[str, Any]]:
        """The request, with the token of the link in the place of a credential, and what the one call takes."""
        message, wrong = self._record.reader.begin(incoming, value)
        wrong.check()
        message.link_token = token
        return message, {
            "timeout": incoming.timeout() or DEADLINE,
            "metadata": incoming.metadata(credential=False),
        }


def recorded(route: Any) -> tuple[str, str]:
    """What a person reads whose click was recorded: who has, had or has closed the alert, as far as it is known."""
    if route.closed_by:
        who = "You have" if route.closed_by == route.responder_id else f"{route.closed_by} has"
        return "The alert is closed", f"{who} closed it; there is nothing left to do for you."
    if route.open_again:
        who = "You had" if route.taken_by == route.responder_id else f"{route.taken_by} had"
        return "The alert is open again", f"{who} it before. {SPENT}"
    if route.taken_by and route.taken_by == route.responder_id:
        return "The alert is yours", "Nobody else will be told."
    if route.taken_by:
        return f"{route.taken_by} has it already", "Somebody was faster; there is nothing left to do for you."
    return "Thank you", "Your answer is recorded."


def refused(error: DomainError) -> Response:
    """The page of a click that was not recorded; what may work another time has a button for it."""
    status = failures.response(error).status_code
    title, text = REFUSED.get(error.reason, ("That did not work", error.message))
    return page(title, text, status=status, form=AGAIN if status in (409, 429, 503, 504) else "")


def _link_token(incoming: Incoming) -> str | None:
    """The link's token; None without one. Raises Invalid for parameters that a link does not have."""
    given = pairs(incoming.request.scope["query_string"])
    tokens = [text for name, text in given if name == LINK]
    if not tokens:
        return None
    wrong = Wrong()
    for name, _ in given:
        if name != LINK:
            wrong.add(name[:64], "is not a parameter of a receipt link")
    wrong.check()
    if len(tokens) > 1:
        raise Invalid.field(LINK, "is given more than once")
    return tokens[0]


def page(title: str, text: str, *, form: str = "", status: int = 200) -> Response:
    """A small page that loads nothing from anywhere."""
    body: Any = PAGE.substitute(title=escape(title), text=escape(text), form=form)
    return Response(body, status, headers=HEADERS, media_type="text/html")

"""HTTP to gRPC and back, for every rule that the protos carry."""

import asyncio
from typing import Any

import grpc
from starlette.responses import Response

from chassis.auth import Verifier
from chassis.errors import Invalid
from services.gateway import etags, failures, files
from services.gateway.backends import Backends
from services.gateway.contract import Contract, Rule
from services.gateway.failures import CallFailed
from services.gateway.files import FileEndpoint
from services.gateway.http import DEADLINE, Endpoint, Incoming
from services.gateway.printing import Printer, encoded, printer_of
from services.gateway.requests import RequestReader
from services.gateway.streams import StreamEndpoint


class UnaryEndpoint:
    """One rule of a method that answers once: admit, read, call, print."""

    def __init__(self, rule: Rule, *, contract: Contract, backends: Backends, verifier: Verifier) -> None:
        self.reader = RequestReader(rule, contract)
        self._scope = rule.scope
        self._verifier = verifier
        self._rule = rule
        self._tagged = etags.tagged(rule.method.output_type)
        self._call = backends.unary(rule)
        self._print = Printer(rule.method.output_type) if rule.answered is None else printer_of(rule.answered)

    async def __call__(self, incoming: Incoming) -> Response:
        """The answer over HTTP; raises what went wrong."""
        await self._verifier.admit(incoming.authorization, self._scope)
        timeout = incoming.timeout() or DEADLINE
        message = await self.reader.read(incoming)
        self._expect(message, incoming)
        try:
            answer = await self.answer(message, timeout=timeout, metadata=incoming.metadata())
        except CallFailed as error:
            if error.reason == etags.MISMATCH and "if-match" in incoming.request.headers:
                raise failures.Stale(error.status) from None
            raise
        return answer if self._rule.verb != "GET" else self._unless_known(answer, incoming)

    async def answer(self, message: object, *, timeout: float, metadata: list[tuple[str, str]]) -> Response:
        """Calls within `timeout` seconds and prints the answer."""
        answer, call = await self.ask(message, timeout=timeout, metadata=metadata)
        if self._rule.raw_answer:
            file = getattr(answer, self._rule.response_body) if self._rule.response_body else answer
            return Response(file.data, headers=files.headers(self._rule, file, await call.initial_metadata()))
        body = encoded(self._print(answer))
        headers = {"etag": etags.tag(answer, body)} if self._tagged or self._rule.verb == "GET" else None
        return Response(body, headers=headers, media_type="application/json")

    async def ask(
        self, message: object, *, timeout: float, metadata: list[tuple[str, str]]
    ) -> tuple[Any, "grpc.aio.UnaryUnaryCall[Any, Any]"]:
        """The answer within `timeout` seconds, and the call that gave it; raises CallFailed."""
        call = self._call(message, timeout=timeout, metadata=metadata)
        try:
            return await call, call
        except grpc.aio.AioRpcError as error:
            raise failures.from_call(error) from None

    def _expect(self, message: Any, incoming: Incoming) -> None:
        """Puts the tag that `If-Match` names into a change; what knows no tags does not pretend to."""
        if self._rule.verb == "GET" or "if-match" not in incoming.request.headers:
            return
        resource = self._rule.resource
        if resource is None or resource.message_type is None or not etags.tagged(resource.message_type):
            raise Invalid.field("if-match", f"has no meaning for {self._rule.method.name}")
        if (tag := etags.expected(incoming.request.headers)) is not None:
            getattr(message, resource.name).etag = tag

    @staticmethod
    def _unless_known(answer: Response, incoming: Incoming) -> Response:
        tag = answer.headers.get("etag")
        if tag is None:
            return answer
        if etags.known(incoming.request.headers, tag):
            return Response(status_code=304, headers={"etag": tag, "cache-control": etags.KEPT})
        answer.headers["cache-control"] = etags.KEPT
        return answer


def endpoint(
    rule: Rule, *, contract: Contract, backends: Backends, verifier: Verifier, draining: asyncio.Event
) -> Endpoint:
    """What answers the requests of one rule; `draining` ends its streams."""
    if rule.method.server_streaming and rule.raw_answer:
        return FileEndpoint(rule, contract=contract, backends=backends, verifier=verifier)
    if rule.method.server_streaming:
        return StreamEndpoint(
            rule, contract=contract, backends=backends, verifier=verifier, draining=draining
        )
    return UnaryEndpoint(rule, contract=contract, backends=backends, verifier=verifier)

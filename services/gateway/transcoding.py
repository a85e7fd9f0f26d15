"""HTTP to gRPC and back, for every rule that the protos carry."""

import asyncio

import grpc
from starlette.responses import Response

from chassis.auth import Verifier
from services.gateway import failures, files
from services.gateway.backends import Backends
from services.gateway.contract import Contract, Rule
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
        self._call = backends.unary(rule)
        self._print = Printer(rule.method.output_type) if rule.answered is None else printer_of(rule.answered)

    async def __call__(self, incoming: Incoming) -> Response:
        """The answer over HTTP; raises what went wrong."""
        await self._verifier.admit(incoming.authorization, self._scope)
        timeout = incoming.timeout() or DEADLINE
        message = await self.reader.read(incoming)
        return await self.answer(message, timeout=timeout, metadata=incoming.metadata())

    async def answer(self, message: object, *, timeout: float, metadata: list[tuple[str, str]]) -> Response:
        """Calls within `timeout` seconds and prints the answer."""
        call = self._call(message, timeout=timeout, metadata=metadata)
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            raise failures.from_call(error) from None
        if self._rule.raw_answer:
            file = getattr(answer, self._rule.response_body) if self._rule.response_body else answer
            return Response(file.data, headers=files.headers(self._rule, file, await call.initial_metadata()))
        return Response(encoded(self._print(answer)), media_type="application/json")


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

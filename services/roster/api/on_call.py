"""The gRPC methods of OnCallService."""

from chassis import validation
from chassis.clock import Clock
from chassis.errors import Invalid, NotFound, Problems
from chassis.server import Context
from services.roster.convert import on_call as convert
from services.roster.domain.roster import Unknown
from services.roster.memory import Memory
from tocsin.roster.v1 import on_call_service_pb2, on_call_service_pb2_grpc

MOST_TARGETS = 10_000


class OnCallApi(on_call_service_pb2_grpc.OnCallServiceServicer):
    """Turns targets into people, from memory."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock

    async def ResolveTarget(
        self, request: on_call_service_pb2.ResolveTargetRequest, _: Context
    ) -> on_call_service_pb2.ResolveTargetResponse:
        """Whom one target means."""
        at = convert.at(request, self._clock.now())
        target = convert.target(request.target)
        try:
            people = self._memory.roster.resolve(target, at)
        except Unknown as unknown:
            raise NotFound(str(unknown), reason=unknown.reason) from None
        response = on_call_service_pb2.ResolveTargetResponse()
        convert.fill(response.responders, people)
        return response

    async def ResolveTargets(
        self, request: on_call_service_pb2.ResolveTargetsRequest, _: Context
    ) -> on_call_service_pb2.ResolveTargetsResponse:
        """Whom many targets mean; each that cannot be resolved says why."""
        problems = Problems()
        validation.count(problems, "targets", request.targets, most=MOST_TARGETS)
        problems.check()
        at, roster = convert.at(request, self._clock.now()), self._memory.roster
        results = []
        for text in request.targets:
            result = on_call_service_pb2.ResolvedTarget(target=text)
            try:
                convert.fill(result.responders, roster.resolve(convert.target(text), at))
            except (Unknown, Invalid) as error:
                result.error_reason = error.reason
            results.append(result)
        return on_call_service_pb2.ResolveTargetsResponse(results=results)

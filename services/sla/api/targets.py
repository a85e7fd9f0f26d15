"""Targets and their breaches."""

from google.protobuf.empty_pb2 import Empty

from chassis.errors import Unimplemented
from chassis.server import Context
from tocsin.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc


class TargetApi(sla_service_pb2_grpc.SlaServiceServicer):
    """Promises."""

    async def CreateSlaTarget(
        self, _request: sla_service_pb2.CreateSlaTargetRequest, _: Context
    ) -> sla_pb2.SlaTarget:
        raise Unimplemented(
            "CreateSlaTarget will promise times to acknowledge and to resolve; targets are not built yet"
        )

    async def ListSlaTargets(
        self, _request: sla_service_pb2.ListSlaTargetsRequest, _: Context
    ) -> sla_service_pb2.ListSlaTargetsResponse:
        raise Unimplemented("ListSlaTargets will list the promised times; targets are not built yet")

    async def DeleteSlaTarget(self, _request: sla_service_pb2.DeleteSlaTargetRequest, _: Context) -> Empty:
        raise Unimplemented("DeleteSlaTarget will take a promise back; targets are not built yet")

    async def ListSlaBreaches(
        self, _request: sla_service_pb2.ListSlaBreachesRequest, _: Context
    ) -> sla_service_pb2.ListSlaBreachesResponse:
        raise Unimplemented(
            "ListSlaBreaches will list the promises that were not kept; targets are not built yet"
        )

"""Runs: rebuilds and checks of the rollups."""

from collections.abc import Callable

from chassis import ids, validation
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import NotFound, Problems
from chassis.server import Context
from chassis.wire import timestamp
from services.sla.domain.run import Kind, Run, State
from services.sla.storage import runs
from tocsin.sla.v1 import upkeep_service_pb2, upkeep_service_pb2_grpc

KINDS = {upkeep_service_pb2.SlaRun.Kind.Value(kind): kind for kind in Kind}


class UpkeepApi(upkeep_service_pb2_grpc.UpkeepServiceServicer):
    """What operators ask for."""

    def __init__(self, db: Database, clock: Clock, *, requested: Callable[[], None]) -> None:
        """`requested` wakes the loop that goes on with runs."""
        self._db = db
        self._clock = clock
        self._requested = requested

    async def CreateSlaRun(
        self, request: upkeep_service_pb2.CreateSlaRunRequest, _: Context
    ) -> upkeep_service_pb2.SlaRun:
        problems, kind = Problems(), KINDS.get(request.run.kind)
        if kind is None:
            problems.add("kind", f"{request.run.kind} is not a kind; want one of {', '.join(Kind)}")
        validation.text(problems, "request_id", request.request_id, most=128)
        problems.check()
        assert kind is not None
        run = Run(ids.uuid7(), kind, State.RUNNING, self._clock.now())
        async with self._db.begin() as conn:
            made = await runs.add(conn, run, request.request_id)
        self._requested()
        return _message(made)

    async def GetSlaRun(
        self, request: upkeep_service_pb2.GetSlaRunRequest, _: Context
    ) -> upkeep_service_pb2.SlaRun:
        run_id = ids.parse_uuid(request.run_id, "run_id")
        async with self._db.connect() as conn:
            run = await runs.find(conn, run_id)
        if run is None:
            raise NotFound(f"the run {run_id} does not exist", reason="UNKNOWN_RUN")
        return _message(run)


def _message(run: Run) -> upkeep_service_pb2.SlaRun:
    return upkeep_service_pb2.SlaRun(
        run_id=str(run.run_id),
        kind=upkeep_service_pb2.SlaRun.Kind.Value(run.kind),
        state=upkeep_service_pb2.SlaRun.State.Value(run.state),
        done=run.done + run.ahead,
        total=run.total,
        differences=run.differences,
        requested_at=timestamp(run.requested_at),
        finished_at=timestamp(run.finished_at),
    )

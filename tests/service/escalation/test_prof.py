import asyncio, time, cProfile, pstats
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_service_pb2 import TriggerAlertRequest
from services.escalation.convert import alerts as convert
import structlog
async def test_x(stage: World) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    req = TriggerAlertRequest(title="disk full on db-1", description="the data volume is at 97 %", severity=1, source="bench", labels={"team": "db", "host": "db-1", "env": "prod"})
    stage.roster.on_call["oncall://active"]=["alice"]
    lazy = await stage.replica(engine=False)
    await stage.stop(stage.here)
    import gc
    from services.escalation import triggers as T
    objs=[o for o in gc.get_objects() if isinstance(o, T.Triggers)]
    t=[o for o in objs if not o._db._raw.closed][0]
    async def unary(n):
        for _ in range(n):
            await t.submit(convert.report(req))
    await asyncio.gather(*(unary(5) for _ in range(64)))
    c=time.process_time(); w=time.perf_counter()
    await asyncio.gather(*(unary(40) for _ in range(64)))
    print("\nunary cpu us/alert", (time.process_time()-c)/2560*1e6, "wall", (time.perf_counter()-w)/2560*1e6)
    async def batch():
        for _ in range(10):
            await t.submit_many([(convert.report(req), "", "") for _ in range(100)])
    c=time.process_time(); w=time.perf_counter()
    await asyncio.gather(*(batch() for _ in range(4)))
    print("batch cpu us/alert", (time.process_time()-c)/4000*1e6, "wall", (time.perf_counter()-w)/4000*1e6)
    p=cProfile.Profile(); p.enable()
    await asyncio.gather(*(batch() for _ in range(4)))
    p.disable()
    pstats.Stats(p).sort_stats("tottime").print_stats(22)
    c=time.process_time(); w=time.perf_counter()
    
    async def call():
        for _ in range(32): await lazy.alerts.TriggerAlert(req)
    await asyncio.gather(*(call() for _ in range(64)))
    print("grpc both sides cpu us/alert", (time.process_time()-c)/2048*1e6)
    from services.escalation import steps as S
    st=[o for o in gc.get_objects() if isinstance(o, S.Steps) and not o._db._raw.closed][0]
    n=len(await st.take() or ())
    c=time.process_time(); w=time.perf_counter(); n=0
    for _ in range(8): n+=len(await st.take() or ())
    print("steps", n, "cpu us/step", (time.process_time()-c)/n*1e6, "wall", (time.perf_counter()-w)/n*1e6)
    p=cProfile.Profile(); p.enable()
    for _ in range(5): n+=len(await st.take() or ())
    p.disable()
    pstats.Stats(p).sort_stats("tottime").print_stats(22)
    c=time.process_time(); w=time.perf_counter(); n=0
    for _ in range(100):
        from services.escalation.steps import BATCH
        S.BATCH=1
        n+=len(await st.take() or ())
    print("single steps", n, "cpu us/step", (time.process_time()-c)/n*1e6, "wall", (time.perf_counter()-w)/n*1e6)

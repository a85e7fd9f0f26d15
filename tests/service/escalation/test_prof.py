import asyncio, time, cProfile, pstats
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_service_pb2 import TriggerAlertRequest
from services.escalation.convert import alerts as convert
async def test_x(stage: World) -> None:
    req = TriggerAlertRequest(title="disk full on db-1", description="the data volume is at 97 %", severity=1, source="bench", labels={"team": "db", "host": "db-1", "env": "prod"})
    lazy = await stage.replica(engine=False)
    await stage.stop(stage.here)
    import gc
    from services.escalation import triggers as T
    objs=[o for o in gc.get_objects() if isinstance(o, T.Triggers)]
    t=objs[-1]
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
    c=time.process_time()
    n=0
    while (x:= await lazy.run()):
        n+=len(x)
        break
    print("steps", n, "cpu us/step", (time.process_time()-c)/max(n,1)*1e6)

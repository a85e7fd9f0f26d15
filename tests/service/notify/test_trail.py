"""The trail answers why somebody was paged, or was not; as a file too; and it is forgotten one day."""

import csv
import io
import json
from datetime import timedelta

import grpc
import pytest

from chassis.errors import DomainError, from_rpc
from tests.fixtures.eventually import eventually
from tests.service.notify.receivers import Receiver, status
from tests.service.notify.world import Replica, World, a_page
from tocsin.escalation.v1 import alert_pb2
from tocsin.notify.v1 import page_service_pb2, route_service_pb2


async def exported(replica: Replica, **values: object) -> tuple[str, bytes]:
    """The content type and the bytes of an export."""
    request = route_service_pb2.ExportRoutesRequest(**values)  # type: ignore[arg-type]
    try:
        pieces = [piece async for piece in replica.export(request)]
    except grpc.aio.AioRpcError as error:
        raise from_rpc(error) from None
    return pieces[0].content_type, b"".join(piece.data for piece in pieces)


async def test_every_decision_has_its_line(world: World, receiver: Receiver) -> None:
    receiver.always = status(500, body=b"=cmd|' /C calc'!A0")
    await world.webhook("alice", receiver)
    await world.webhook("alice", receiver, path="/off", enabled=False)
    await world.webhook("alice", receiver, path="/bad", min_severity=alert_pb2.Severity.CRITICAL)
    page = await world.page("alice", severity="LOW")
    await world.page("bob")
    await receiver.got()
    await eventually(lambda: world.sql("select 1 from route_logs where last_error <> ''"))
    media, data = await exported(world.notify, alert_id=page.alert.alert_id)
    assert media == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(io.StringIO(data.decode())))
    assert {(line["channel"], line["status"], line["decision"]) for line in lines} == {
        ("IN_APP", "SENT", "PLANNED"),
        ("WEBHOOK", "PENDING", "PLANNED"),
        ("WEBHOOK", "SKIPPED", "DISABLED"),
        ("WEBHOOK", "SKIPPED", "BELOW_SEVERITY"),
    }
    assert "HTTP 500: =cmd" in data.decode()
    media, data = await exported(world.notify, format="jsonl", responder_id="bob")
    assert media == "application/x-ndjson"
    (line,) = data.decode().splitlines()
    assert json.loads(line)["responder_id"] == "bob"


async def test_a_long_trail_comes_whole_and_in_order(world: World) -> None:
    pages = [a_page(["alice"]) for _ in range(450)]
    await world.notify.pages.Page(page_service_pb2.PageRequest(pages=pages))
    _, data = await exported(world.notify)
    lines = list(csv.DictReader(io.StringIO(data.decode())))
    order = [(line["created_at"], line["route_log_id"]) for line in lines]
    assert order == sorted(order, reverse=True)
    assert {line["execution_id"] for line in lines} == {page.execution.execution_id for page in pages}
    assert len(lines) == 450


async def test_an_export_that_cannot_be(world: World) -> None:
    with pytest.raises(DomainError) as caught:
        await exported(world.notify, format="xlsx")
    assert [field.path for field in caught.value.fields] == ["format"]
    assert (await exported(world.notify))[1].decode().startswith("created_at,alert_id,")


async def test_what_is_old_is_forgotten_and_what_still_waits_is_kept(
    world: World, receiver: Receiver
) -> None:
    await world.webhook("alice", receiver)
    old = await world.page("alice")
    route = await world.becomes(old, "SENT")
    await world.receipt(route.route_log_id, "ACKNOWLEDGED")
    receiver.always = status(410)
    gone = await world.page("alice")
    await eventually(lambda: world.events("notification.exhausted"))
    await world.webhook("bob", receiver, delay=timedelta(hours=24))
    waiting = await world.page("bob")
    world.sql("update pages set accepted_at = accepted_at - interval '91 days'")
    world.sql("update alerts set touched_at = touched_at - interval '91 days'")
    new = await world.page("carol")
    await world.start()
    await eventually(lambda: world.sql("select count(*) from pages") == [(2,)])
    assert await world.routes(old, 0) == await world.routes(gone, 0) == []
    assert len(await world.routes(waiting, 0)) == 2
    assert len(await world.routes(new, 0)) == 1
    await eventually(lambda: world.sql("select count(*) from alerts") == [(2,)])
    for table in ("receipts", "acknowledgements", "exhaustions"):
        assert world.sql(f"select 1 from {table}") == []

"""Receipts move a page forward, once each, by people who may; an acknowledgement reaches escalation."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import grpc
import pytest
from prometheus_client import REGISTRY

from chassis.errors import (
    Denied,
    DomainError,
    Exhausted,
    Invalid,
    NotFound,
    Refused,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from chassis.ids import uuid7
from services.notify.domain.link import Links
from tests.fixtures.eventually import eventually
from tests.service.notify.receivers import Receiver, receiving
from tests.service.notify.world import RECEIPT_KEY, WEBHOOK, Replica, World
from tocsin.notify.v1 import route_pb2, route_service_pb2

DELIVERED, READ, ACKNOWLEDGED, FAILED = "DELIVERED", "READ", "ACKNOWLEDGED", "FAILED"


@pytest.fixture
async def paged(world: World, receiver: Receiver) -> route_pb2.RouteLog:
    """A page that was sent to alice."""
    await world.webhook("alice", receiver)
    return await world.becomes(await world.page("alice"), "SENT")


def name(route: route_pb2.RouteLog) -> str:
    return route_pb2.RouteLog.Status.Name(route.status)


def token_of(receiver: Receiver) -> str:
    link: str = receiver.hooks[0].data["receipt_url"]
    return link.partition("?token=")[2]


def kinds(world: World) -> list[str]:
    return [kind for kind, _ in world.events() if kind != "notification.sent"]


@pytest.mark.parametrize("faster", ["", "bob"])
async def test_the_answer_tells_who_has_the_alert(
    world: World, receiver: Receiver, paged: route_pb2.RouteLog, faster: str
) -> None:
    """Also a second click; it asks who has it, and takes nothing."""
    world.escalation.taken_by = faster
    anyone, link = await world.anonymous(), token_of(receiver)

    async def clicked() -> tuple[str, str]:
        route = await world.receipt(
            paged.route_log_id, ACKNOWLEDGED, replica=anyone, link_token=link, receipt_id="r"
        )
        return route.taken_by, route.closed_by

    assert await clicked() == (faster or "alice", "")
    assert await clicked() == (faster or "alice", "")
    world.escalation.closed_by = "carol"
    assert await clicked() == (faster or "alice", "carol")
    world.escalation.trouble = Unavailable("away")
    assert await clicked() == ("", ""), "it is recorded all the same"
    assert world.escalation.calls == 1


async def test_the_answer_tells_who_has_closed_the_alert(
    world: World, receiver: Receiver, paged: route_pb2.RouteLog
) -> None:
    world.escalation.closed_by = "bob"
    anyone = await world.anonymous()
    route = await world.receipt(
        paged.route_log_id, ACKNOWLEDGED, replica=anyone, link_token=token_of(receiver)
    )
    assert (name(route), route.taken_by, route.closed_by) == (ACKNOWLEDGED, "", "bob")
    assert world.sql("select answer from acknowledgements") == [("REFUSED: ALERT_CLOSED",)]


@pytest.mark.parametrize("earlier", ["", "bob"])
async def test_the_answer_tells_that_the_alert_is_open_again(
    world: World, receiver: Receiver, paged: route_pb2.RouteLog, earlier: str
) -> None:
    """And who had it last; the link that acknowledged once does not again."""
    anyone, link = await world.anonymous(), token_of(receiver)

    async def clicked() -> tuple[str, str, bool]:
        route = await world.receipt(paged.route_log_id, ACKNOWLEDGED, replica=anyone, link_token=link)
        return route.taken_by, route.closed_by, route.open_again

    assert await clicked() == ("alice", "", False)
    world.escalation.reopened, world.escalation.taken_by = True, earlier
    assert await clicked() == ("alice", "", True)
    world.escalation.reopened, world.escalation.taken_by = False, "carol"
    assert await clicked() == ("carol", "", False)
    assert world.escalation.calls == 1


async def test_the_link_acknowledges_as_the_person_who_was_paged(
    world: World, receiver: Receiver, paged: route_pb2.RouteLog
) -> None:
    anyone = await world.anonymous()
    route = await world.receipt(
        paged.route_log_id, ACKNOWLEDGED, replica=anyone, link_token=token_of(receiver), detail="on it"
    )
    assert name(route) == ACKNOWLEDGED
    assert [r.detail for r in route.receipts] == ["on it"]
    assert world.escalation.acknowledged == [(paged.alert_id, "alice")]
    assert kinds(world) == ["notification.acknowledged"]
    assert world.sql("select answer, due_at from acknowledgements") == [("ACKNOWLEDGED", None)]


async def test_receipts_out_of_order_only_move_forward(world: World, paged: route_pb2.RouteLog) -> None:
    seen = [
        name(await world.receipt(paged.route_log_id, said))
        for said in (READ, DELIVERED, ACKNOWLEDGED, FAILED, READ)
    ]
    assert seen == [READ, READ, ACKNOWLEDGED, ACKNOWLEDGED, ACKNOWLEDGED]
    assert kinds(world) == ["notification.read", "notification.acknowledged"]
    (route,) = (
        await world.notify.routes.ListRoutes(
            route_service_pb2.ListRoutesRequest(status=[route_pb2.RouteLog.ACKNOWLEDGED])
        )
    ).routes
    assert [route_pb2.RouteLog.Status.Name(r.status) for r in route.receipts] == [
        READ,
        DELIVERED,
        ACKNOWLEDGED,
        FAILED,
        READ,
    ]


async def test_the_same_receipt_again_changes_nothing(world: World, paged: route_pb2.RouteLog) -> None:
    answers = await asyncio.gather(
        *(world.receipt(paged.route_log_id, ACKNOWLEDGED, receipt_id="r-1") for _ in range(20))
    )
    assert {name(answer) for answer in answers} == {ACKNOWLEDGED}
    assert {len(answer.receipts) for answer in answers} == {1}
    assert name(await world.receipt(paged.route_log_id, DELIVERED, receipt_id="r-1")) == ACKNOWLEDGED
    assert world.escalation.calls == 1
    assert kinds(world) == ["notification.acknowledged"]


async def test_a_page_acknowledges_once(world: World, paged: route_pb2.RouteLog) -> None:
    for receipt_id in ("r-1", "r-2"):
        await world.receipt(paged.route_log_id, ACKNOWLEDGED, receipt_id=receipt_id)
    assert world.escalation.calls == 1


async def test_a_link_acknowledges_once(world: World, receiver: Receiver, paged: route_pb2.RouteLog) -> None:
    anyone, link = await world.anonymous(), token_of(receiver)
    answers = [
        await world.receipt(paged.route_log_id, ACKNOWLEDGED, replica=anyone, link_token=link)
        for _ in range(3)
    ]
    assert [len(answer.receipts) for answer in answers] == [1, 1, 1]
    assert world.escalation.calls == 1
    assert world.sql("select count(*) from receipts") == [(1,)]


async def test_a_receipt_may_overtake_the_answer_to_the_webhook(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    released = asyncio.Event()

    async def answer_late(writer: asyncio.StreamWriter, _: object) -> None:
        await released.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    receiver.always = answer_late
    page = await world.page("alice")
    (hook,) = await receiver.got()
    assert name(await world.receipt(hook.id, DELIVERED)) == DELIVERED
    released.set()
    await world.becomes(await world.page("bob"), "SENT", channel=1)
    route = await world.becomes(page, DELIVERED)
    assert route.HasField("sent_at")
    assert [kind for kind, e in world.events() if e.route_log.route_log_id == hook.id] == [
        "notification.sent",
        "notification.delivered",
    ]


async def test_a_reported_failure_exhausts_the_person(world: World, paged: route_pb2.RouteLog) -> None:
    route = await world.receipt(paged.route_log_id, FAILED, detail="number not in service")
    assert (name(route), route.last_error) == (FAILED, "number not in service")
    await eventually(lambda: kinds(world) == ["notification.failed", "notification.exhausted"])


async def test_one_of_two_failing_receipts_at_the_same_moment_sees_the_other(world: World) -> None:
    async with receiving() as one, receiving() as two:
        await world.webhook("alice", one)
        await world.webhook("alice", two)
        page = await world.page("alice")
        await eventually(lambda: len(world.events("notification.sent")) == 3)
        first, second = await world.routes(page)
        other = await world.start()
        await asyncio.gather(
            world.receipt(first.route_log_id, FAILED),
            world.receipt(second.route_log_id, FAILED, replica=other),
        )
    told = ["notification.exhausted", "notification.failed", "notification.failed"]
    await eventually(lambda: sorted(kinds(world)) == told)


async def test_escalation_is_asked_until_it_answers(world: World, paged: route_pb2.RouteLog) -> None:
    world.escalation.trouble = Unavailable("away")
    assert name(await world.receipt(paged.route_log_id, ACKNOWLEDGED)) == ACKNOWLEDGED
    assert world.escalation.acknowledged == []
    world.escalation.trouble = None
    world.clock.advance(timedelta(seconds=20))
    await eventually(lambda: world.escalation.acknowledged == [(paged.alert_id, "alice")])
    await eventually(lambda: world.sql("select 1 from acknowledgements where due_at is null"))


@pytest.mark.parametrize(
    ("trouble", "answer"),
    [(Refused("closed"), "REFUSED: FAILED_PRECONDITION"), (NotFound("no such alert"), "UNKNOWN")],
)
async def test_a_refusal_is_an_answer(
    world: World, paged: route_pb2.RouteLog, trouble: DomainError, answer: str
) -> None:
    world.escalation.trouble = trouble
    assert name(await world.receipt(paged.route_log_id, ACKNOWLEDGED)) == ACKNOWLEDGED
    assert world.sql("select answer, due_at from acknowledgements") == [(answer, None)]


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a lease, or because it failed before, waits for longer than a test does."""
    minute = timedelta(minutes=1)
    monkeypatch.setattr("services.notify.api.receipts.FIRST_ASK", minute)
    for name in ("LEASE", "FIRST_RETRY", "LONGEST_RETRY"):
        monkeypatch.setattr(f"services.notify.acknowledger.{name}", minute)


async def sent(world: World, receiver: Receiver, count: int) -> list[route_pb2.RouteLog]:
    """Pages of as many alerts that were sent to alice."""
    await world.webhook("alice", receiver)
    pages = [await world.page("alice") for _ in range(count)]
    return [await world.becomes(page, "SENT") for page in pages]


async def acknowledged(world: World, routes: list[route_pb2.RouteLog]) -> None:
    """Alice acknowledges by these pages; that is recorded, whoever is away."""
    answers = await asyncio.gather(*(world.receipt(one.route_log_id, ACKNOWLEDGED) for one in routes))
    assert [name(answer) for answer in answers] == [ACKNOWLEDGED] * len(routes)


async def told(world: World, routes: list[route_pb2.RouteLog]) -> None:
    """Escalation hears of each once, and soon: see `long_waits`."""
    alerts = sorted((one.alert_id, "alice") for one in routes)
    await eventually(lambda: sorted(world.escalation.acknowledged) == alerts)


def waiting(world: World) -> list[tuple[int, bool]]:
    """How often each one that waits was claimed, and whether it may be claimed now."""
    return world.sql(
        "select distinct attempts, due_at <= clock_timestamp() from acknowledgements where due_at is not null"
    )


def missed() -> float:
    """How often the loop found escalation away, in this process."""
    named = {"loop": "acknowledge", "reason": "UNAVAILABLE"}
    return REGISTRY.get_sample_value("tocsin_loop_failures_total", named) or 0


def asked_in_vain() -> float:
    """How often escalation was asked while it was away, in this process."""
    return REGISTRY.get_sample_value("tocsin_acknowledgements_total", {"answer": "UNAVAILABLE"}) or 0


@pytest.mark.usefixtures("long_waits")
async def test_nothing_is_claimed_while_escalation_cannot_be_reached(
    world: World, receiver: Receiver
) -> None:
    """So all go as soon as it is back, however long it was away; also what came meanwhile, and with two replicas."""
    await world.start()
    routes = await sent(world, receiver, 6)
    await world.escalation.stop()
    before, vain = missed(), asked_in_vain()
    await acknowledged(world, routes[:5])
    await eventually(lambda: missed() >= before + 2)
    await acknowledged(world, routes[5:])
    await eventually(lambda: waiting(world) == [(0, True)])
    assert asked_in_vain() == vain + len(routes), "at once, and never since"
    await world.escalation.start()
    await told(world, routes)
    await eventually(lambda: waiting(world) == [])


@pytest.mark.usefixtures("long_waits")
@pytest.mark.parametrize("trouble", [Unavailable("away"), TimedOut("slow")], ids=["away", "slow"])
async def test_nothing_waits_for_an_escalation_that_was_unwell(
    world: World, receiver: Receiver, trouble: DomainError
) -> None:
    """That it could not hear of them is not held against them: the pause between two trials does not grow with them."""
    routes = await sent(world, receiver, 5)
    world.escalation.trouble = trouble
    await acknowledged(world, routes)
    for trial in range(2, 8):
        world.clock.advance(timedelta(seconds=31))
        await eventually(lambda times=trial: world.escalation.calls >= times * len(routes))  # type: ignore[misc]
    world.escalation.trouble = None
    await told(world, routes)


@pytest.mark.usefixtures("long_waits")
async def test_what_is_one_s_own_trouble_delays_no_other(world: World, receiver: Receiver) -> None:
    """Whether it is refused for good or waits."""
    closed, broken, *others = await sent(world, receiver, 4)
    world.escalation.trouble = Unavailable("away")
    await acknowledged(world, [closed, broken, *others])
    world.escalation.trouble_with = {
        closed.alert_id: Refused("it is CLOSED", reason="ALERT_CLOSED"),
        broken.alert_id: DomainError("broken"),
    }
    world.escalation.trouble = None
    await told(world, others)
    answers = "select answer, due_at > clock_timestamp() from acknowledgements where alert_id = %s"
    await eventually(lambda: world.sql(answers, closed.alert_id) == [("REFUSED: ALERT_CLOSED", None)])
    await eventually(lambda: world.sql(answers, broken.alert_id) == [("INTERNAL", True)])


@pytest.mark.usefixtures("long_waits")
async def test_a_caller_that_leaves_leaves_nothing_waiting(world: World, paged: route_pb2.RouteLog) -> None:
    """Escalation is there and says nothing; once it does, the acknowledgement waits for no lease."""
    world.escalation.answers.clear()
    for patience in (0.2, 2.0, 10.0):  # a busy machine may not get as far as to ask
        with pytest.raises(TimedOut):
            await world.receipt(paged.route_log_id, ACKNOWLEDGED, timeout=patience)
        if world.escalation.calls:
            break
    await eventually(lambda: world.escalation.calls >= 2)
    world.escalation.answers.set()
    await eventually(lambda: waiting(world) == [])
    assert (paged.alert_id, "alice") in world.escalation.acknowledged


async def test_an_acknowledgement_survives_the_death_of_notify(
    world: World, paged: route_pb2.RouteLog
) -> None:
    world.escalation.trouble = Unavailable("away")
    await world.receipt(paged.route_log_id, ACKNOWLEDGED)
    await world.stop()
    world.escalation.trouble = None
    world.clock.advance(timedelta(minutes=1))
    await world.start()
    await eventually(lambda: world.escalation.acknowledged == [(paged.alert_id, "alice")])


async def test_who_may_report(world: World, receiver: Receiver, paged: route_pb2.RouteLog) -> None:
    anyone = await world.anonymous()
    with pytest.raises(Unauthenticated):
        await world.receipt(paged.route_log_id, READ, replica=anyone)
    reader = Replica(world.notify.address, token=world.token("notify:read"))
    with pytest.raises(Denied) as lacking:
        await world.receipt(paged.route_log_id, READ, replica=reader)
    assert lacking.value.reason == "SCOPE_REQUIRED"
    link = token_of(receiver)
    assert (
        name(await world.receipt(paged.route_log_id, DELIVERED, replica=reader, link_token=link)) == DELIVERED
    )
    await reader.channel.close()
    writer = Replica(world.notify.address, token=world.token("receipts:write"))
    assert name(await world.receipt(paged.route_log_id, READ, replica=writer)) == READ
    await writer.channel.close()


async def test_links_that_are_not_good_enough(world: World, paged: route_pb2.RouteLog) -> None:
    anyone = await world.anonymous()
    now = datetime.now(UTC)
    forged = Links(key=b"a guess", public_url="")
    ours = Links(key=RECEIPT_KEY.encode(), public_url="")
    route_log_id = _uuid(paged)
    for token, reason in [
        (forged.token(route_log_id, now), "RECEIPT_LINK_INVALID"),
        (ours.token(uuid7(), now), "RECEIPT_LINK_INVALID"),
        ("rubbish", "RECEIPT_LINK_INVALID"),
        (ours.token(route_log_id, now - timedelta(days=8)), "RECEIPT_LINK_EXPIRED"),
    ]:
        with pytest.raises(Denied) as caught:
            await world.receipt(paged.route_log_id, ACKNOWLEDGED, replica=anyone, link_token=token)
        assert caught.value.reason == reason
    (unchanged,) = (
        await world.notify.routes.ListRoutes(route_service_pb2.ListRoutesRequest(channel=WEBHOOK))
    ).routes
    assert name(unchanged) == "SENT"
    assert list(unchanged.receipts) == []
    assert world.escalation.calls == 0


async def test_what_is_wrong_with_a_receipt(world: World, paged: route_pb2.RouteLog) -> None:
    with pytest.raises(Invalid) as caught:
        await world.receipt(
            paged.route_log_id,
            "PENDING",
            receipt_id="x" * 129,
            detail="y" * 4097,
            at=datetime(1960, 1, 1, tzinfo=UTC),
        )
    assert {field.path for field in caught.value.fields} == {"status", "receipt_id", "detail", "at"}
    with pytest.raises(Invalid):
        await world.receipt("not-a-uuid", READ)
    with pytest.raises(NotFound):
        await world.receipt(str(uuid7()), READ)


async def test_a_route_log_keeps_a_hundred_receipts(world: World, paged: route_pb2.RouteLog) -> None:
    await asyncio.gather(*(world.receipt(paged.route_log_id, DELIVERED) for _ in range(100)))
    with pytest.raises(Exhausted):
        await world.receipt(paged.route_log_id, READ)


async def test_receipts_of_many_pages_at_the_same_time(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    await asyncio.gather(*(world.page("alice") for _ in range(40)))
    await receiver.got(40)
    second = await world.start()
    ids = [hook.id for hook in receiver.hooks]
    await asyncio.gather(
        *(
            world.receipt(route, said, replica=replica)
            for route in ids
            for said in (DELIVERED, READ)
            for replica in (world.notify, second)
        )
    )
    assert world.sql("select count(*) from route_logs where channel = 'WEBHOOK' and status = 'READ'") == [
        (40,)
    ]
    assert world.sql("select count(*) from receipts") == [(160,)]


async def test_a_plain_client_sees_the_reason(world: World, paged: route_pb2.RouteLog) -> None:
    async with grpc.aio.insecure_channel(world.notify.address) as plain:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await plain.unary_unary(
                "/tocsin.notify.v1.RouteService/RecordReceipt",
                request_serializer=route_service_pb2.RecordReceiptRequest.SerializeToString,
                response_deserializer=route_pb2.RouteLog.FromString,
            )(route_service_pb2.RecordReceiptRequest(route_log_id=paged.route_log_id))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def _uuid(route: route_pb2.RouteLog) -> UUID:
    return UUID(route.route_log_id)

"""A webhook's key is replaced without a webhook that its receiver cannot check, and no key is readable at rest."""

from datetime import timedelta
from typing import Any

import pytest

from chassis.errors import Refused
from services.notify.domain.contact_method import generated_secret
from tests.fixtures.eventually import eventually
from tests.service.notify.receivers import Receiver
from tests.service.notify.test_contact_methods import create, get, update, wrong
from tests.service.notify.world import World
from tocsin.notify.v1 import contact_method_pb2, contact_method_service_pb2


async def rotate(world: World, contact_method_id: str, **values: Any) -> contact_method_pb2.ContactMethod:
    return await world.notify.methods.RotateContactMethodSecret(
        contact_method_service_pb2.RotateContactMethodSecretRequest(
            contact_method_id=contact_method_id, **values
        )
    )


async def test_both_keys_sign_until_the_old_one_ends(world: World, receiver: Receiver) -> None:
    made = await world.webhook("alice", receiver)
    rotated = await rotate(world, made.contact_method_id, overlap=timedelta(hours=1))
    assert rotated.secret not in ("", made.secret)
    assert rotated.old_secret_until.ToDatetime() > made.created_at.ToDatetime() + timedelta(minutes=59)
    assert (await get(world, made.contact_method_id)).secret == ""
    await world.page("alice")
    (hook,) = await receiver.got()
    assert hook.headers["webhook-signature"].count("v1,") == 2
    assert hook.signed_with(made.secret)
    assert hook.signed_with(rotated.secret)
    world.clock.advance(timedelta(minutes=61))
    await world.page("alice")
    hook = (await receiver.got(2))[1]
    assert not hook.signed_with(made.secret)
    assert hook.signed_with(rotated.secret)


async def test_a_call_with_a_key_may_be_repeated_and_an_overlap_of_nothing_ends_the_old_key(
    world: World,
) -> None:
    made = await create(world)
    other = generated_secret()
    first = await rotate(world, made.contact_method_id, secret=other)
    again = await rotate(world, made.contact_method_id, secret=other)
    assert (again.secret, again.old_secret_until) == (other, first.old_secret_until)
    at_once = await rotate(world, made.contact_method_id, overlap=timedelta())
    assert not at_once.HasField("old_secret_until")


async def test_a_key_that_is_set_ends_the_others_at_once(world: World, receiver: Receiver) -> None:
    made = await world.webhook("alice", receiver)
    await rotate(world, made.contact_method_id)
    mine = generated_secret()
    await update(world, made.contact_method_id, "secret", secret=mine)
    await world.page("alice")
    (hook,) = await receiver.got()
    assert hook.headers["webhook-signature"].count("v1,") == 1
    assert hook.signed_with(mine)


async def test_what_cannot_be_rotated(world: World) -> None:
    made = await create(world)
    found = await wrong(rotate(world, made.contact_method_id, secret="x", overlap=timedelta(days=8)))
    assert set(found) == {"secret", "overlap"}
    chat = await create(
        world,
        channel=contact_method_pb2.Channel.CHAT,
        address="tgram://123456789:abcdefg_hijklmnop/12315544/",
    )
    with pytest.raises(Refused):
        await rotate(world, chat.contact_method_id)


async def test_no_key_is_readable_at_rest(world: World, receiver: Receiver) -> None:
    made = await world.webhook("alice", receiver)
    rotated = await rotate(world, made.contact_method_id)
    kept = str(world.sql("select row_to_json(contact_methods) from contact_methods"))
    for secret in (made.secret, rotated.secret):
        assert secret.removeprefix("whsec_") not in kept


async def test_keys_sealed_by_another_key_wait_for_it(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    await world.stop()
    await world.start(secrets_key="another key, which has not sealed anything yet".replace(",", ""))
    page = await world.page("alice")

    async def waiting() -> Any:
        (route,) = await world.routes(page)
        return route if "TOCSIN_SECRETS_KEY" in route.last_error else None

    route = await eventually(waiting)
    assert receiver.hooks == []
    await world.stop()
    await world.start()
    await world.route_becomes(route.route_log_id, "SENT")

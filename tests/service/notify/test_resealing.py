"""What is sealed by a key that is to go is sealed anew, without a page in between that cannot be signed."""

from typing import Any

from tests.fixtures.eventually import eventually
from tests.service.notify.receivers import Receiver
from tests.service.notify.test_contact_methods import create
from tests.service.notify.world import SECRETS_KEY, World
from tocsin.notify.v1 import contact_method_pb2

CHAT = contact_method_pb2.Channel.CHAT
ANOTHER = "another secrets key that has sealed nothing yet"


async def restarted(world: World, **values: Any) -> None:
    await world.stop()
    await world.start(**values)


async def test_a_key_is_replaced_by_putting_a_new_one_first(world: World, receiver: Receiver) -> None:
    made = await world.webhook("alice", receiver)
    await create(world, channel=CHAT, address="tgram://123456789:abcdefg_hijklmnop/12315544/")
    before = world.sql("select sealed_address, sealed_secret from contact_methods order by channel")
    await restarted(world, secrets_key=f"{ANOTHER},{SECRETS_KEY}")

    def resealed() -> bool | None:
        now = world.sql("select sealed_address, sealed_secret from contact_methods order by channel")
        return True if now[0][0] != before[0][0] and now[1][1] != before[1][1] else None

    await eventually(resealed)
    await restarted(world, secrets_key=ANOTHER)
    await world.page("alice")
    assert (await receiver.got())[0].signed_with(made.secret)


async def test_an_old_key_is_forgotten_when_it_has_ended(world: World) -> None:
    await create(world)
    world.sql(
        "update contact_methods set old_secret = sealed_secret, old_secret_until = now() - interval '1 s'"
    )
    await restarted(world)
    await eventually(lambda: world.sql("select 1 from contact_methods where old_secret is null") or None)

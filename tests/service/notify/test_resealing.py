"""What is readable, or sealed by a key that is to go, is sealed anew, without a page in between that cannot be signed."""

from datetime import timedelta
from typing import Any

from services.notify.domain.contact_method import generated_secret
from tests.fixtures.eventually import eventually
from tests.service.notify.receivers import Receiver
from tests.service.notify.test_contact_methods import create
from tests.service.notify.world import SECRETS_KEY, World
from tocsin.notify.v1 import contact_method_pb2

CHAT = contact_method_pb2.Channel.CHAT
ANOTHER = "another secrets key that has sealed nothing yet"


def written_by_an_earlier_version(world: World, secret: str) -> None:
    """As if a replica without sealing had written the row."""
    world.sql("update contact_methods set secret = %s, sealed_secret = null, sealed_at = null", secret)


async def restarted(world: World, **values: Any) -> None:
    await world.stop()
    await world.start(**values)


async def test_a_readable_key_signs_is_sealed_and_is_cleared_an_hour_later(
    world: World, receiver: Receiver
) -> None:
    await world.webhook("alice", receiver)
    secret = generated_secret()
    await world.stop()
    written_by_an_earlier_version(world, secret)
    await world.start()
    await world.page("alice")
    assert (await receiver.got())[0].signed_with(secret)

    def sealed() -> bool | None:
        ((readable, kept),) = world.sql("select secret, sealed_secret is not null from contact_methods")
        assert readable == secret, "a replica of the version before reads it"
        return kept or None

    await eventually(sealed, 5.0)
    world.clock.advance(timedelta(minutes=61))
    await restarted(world)
    await eventually(lambda: world.sql("select 1 from contact_methods where secret = ''") or None, 5.0)
    await world.page("alice")
    assert (await receiver.got(2))[1].signed_with(secret)


async def test_what_an_earlier_version_writes_meanwhile_counts(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    secret = generated_secret()
    world.sql("update contact_methods set secret = %s", secret)  # its PATCH, while the sealed one is older
    await world.page("alice")
    assert (await receiver.got())[0].signed_with(secret)
    world.clock.advance(timedelta(minutes=61))
    await restarted(world)
    await eventually(
        lambda: (
            world.sql("select 1 from contact_methods where sealed_at > now() + interval '1 hour'") or None
        ),
        5.0,
    )
    assert world.sql("select secret from contact_methods") == [(secret,)]


async def test_a_key_is_replaced_by_putting_a_new_one_first(world: World, receiver: Receiver) -> None:
    made = await world.webhook("alice", receiver)
    await create(world, channel=CHAT, address="tgram://123456789:abcdefg_hijklmnop/12315544/")
    before = world.sql("select sealed_address, sealed_secret from contact_methods order by channel")
    await restarted(world, secrets_key=f"{ANOTHER},{SECRETS_KEY}")

    def resealed() -> bool | None:
        now = world.sql("select sealed_address, sealed_secret from contact_methods order by channel")
        return True if now[0][0] != before[0][0] and now[1][1] != before[1][1] else None

    await eventually(resealed, 5.0)
    await restarted(world, secrets_key=ANOTHER)
    await world.page("alice")
    assert (await receiver.got())[0].signed_with(made.secret)


async def test_an_old_key_is_forgotten_when_it_has_ended(world: World) -> None:
    await create(world)
    world.sql(
        "update contact_methods set old_secret = sealed_secret, old_secret_until = now() - interval '1 s'"
    )
    await restarted(world)
    await eventually(lambda: world.sql("select 1 from contact_methods where old_secret is null") or None, 5.0)

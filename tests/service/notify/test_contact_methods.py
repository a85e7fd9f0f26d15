"""How people want to be reached: created, read, changed and deleted, with every wrong field named."""

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.errors import AlreadyExists, Denied, Invalid, NotFound
from services.notify.domain.contact_method import generated_secret, secret_key
from tests.service.notify.receivers import Receiver, status
from tests.service.notify.world import WEBHOOK, Replica, World
from tocsin.escalation.v1 import alert_pb2
from tocsin.notify.v1 import contact_method_pb2, contact_method_service_pb2

URL = "https://hooks.example/alice"


def a_method(**values: Any) -> contact_method_pb2.ContactMethod:
    return contact_method_pb2.ContactMethod(
        **{"responder_id": "alice", "channel": WEBHOOK, "address": URL, **values}
    )


async def create(world: World, request_id: str = "", **values: Any) -> contact_method_pb2.ContactMethod:
    return await world.notify.methods.CreateContactMethod(
        contact_method_service_pb2.CreateContactMethodRequest(
            contact_method=a_method(**values), request_id=request_id
        )
    )


async def get(world: World, contact_method_id: str) -> contact_method_pb2.ContactMethod:
    return await world.notify.methods.GetContactMethod(
        contact_method_service_pb2.GetContactMethodRequest(contact_method_id=contact_method_id)
    )


async def update(
    world: World, contact_method_id: str, *mask: str, **values: Any
) -> contact_method_pb2.ContactMethod:
    return await world.notify.methods.UpdateContactMethod(
        contact_method_service_pb2.UpdateContactMethodRequest(
            contact_method=contact_method_pb2.ContactMethod(contact_method_id=contact_method_id, **values),
            update_mask=FieldMask(paths=mask),
        )
    )


async def wrong(call: Any) -> dict[str, str]:
    """The fields that a call is told are wrong."""
    with pytest.raises(Invalid) as caught:
        await call
    return {field.path: field.description for field in caught.value.fields}


async def test_defaults_and_a_secret_that_is_shown_once(world: World) -> None:
    made = await create(world)
    assert secret_key(made.secret) is not None
    assert made.enabled
    assert made.min_severity == alert_pb2.Severity.INFO
    assert made.HasField("delay")
    assert made.delay.ToTimedelta() == timedelta()
    read = await get(world, made.contact_method_id)
    assert read.secret == ""
    made.secret = ""
    assert read == made


async def test_what_the_client_chooses_is_kept(world: World) -> None:
    secret = generated_secret()
    made = await create(
        world,
        contact_method_id="hers",
        secret=secret,
        enabled=False,
        min_severity=alert_pb2.Severity.HIGH,
        delay=timedelta(minutes=5),
    )
    assert (made.contact_method_id, made.secret, made.enabled) == ("hers", secret, False)
    assert made.delay.ToTimedelta() == timedelta(minutes=5)


async def test_a_repeated_request_answers_the_same_method_without_its_secret(world: World) -> None:
    made = await create(world, "request-1")
    again = await create(world, "request-1")
    assert again.contact_method_id == made.contact_method_id
    assert again.secret == ""
    with pytest.raises(AlreadyExists):
        await create(world, contact_method_id=made.contact_method_id)


async def test_every_wrong_field_is_named_at_once(world: World) -> None:
    found = await wrong(
        create(
            world,
            "x" * 129,
            contact_method_id="Not An Id",
            responder_id="",
            channel=0,
            address="ftp://x",
            secret="whsec_short",
            delay=timedelta(hours=25),
        )
    )
    assert set(found) == {
        "request_id", "contact_method_id", "responder_id", "channel", "address", "secret", "delay",
    }  # fmt: skip


async def test_channels_that_cannot_be_chosen(world: World) -> None:
    found = await wrong(create(world, channel=contact_method_pb2.Channel.Value.IN_APP))
    assert found["channel"].startswith("IN_APP needs no")
    assert set(found) == {"channel"}


async def test_an_unknown_enum_value_is_named(world: World) -> None:
    assert "channel" in await wrong(create(world, channel=99))
    assert "min_severity" in await wrong(create(world, min_severity=99))


async def test_literal_addresses_that_are_not_allowed_are_refused_early(world: World) -> None:
    found = await wrong(create(world, address="http://169.254.169.254/latest/meta-data"))
    assert found == {"address": "is a link-local address, which this server does not send to"}
    await create(world, address="http://127.0.0.1:9999/allowed-here")
    await create(world, address="http://name.judged.later.example/")


async def test_pages_of_a_list_and_its_filters(world: World) -> None:
    for n in range(5):
        await create(world, contact_method_id=f"m-{n}", responder_id="bob" if n == 3 else "alice")
    names: list[str] = []
    token = ""
    while True:
        page = await world.notify.methods.ListContactMethods(
            contact_method_service_pb2.ListContactMethodsRequest(
                page_size=2, page_token=token, responder_id="alice", channel=WEBHOOK
            )
        )
        assert all(method.secret == "" for method in page.contact_methods)
        names += [method.contact_method_id for method in page.contact_methods]
        token = page.next_page_token
        if not token:
            break
    assert names == ["m-0", "m-1", "m-2", "m-4"]
    with pytest.raises(Invalid):
        await world.notify.methods.ListContactMethods(
            contact_method_service_pb2.ListContactMethodsRequest(page_token="rubbish")
        )


async def test_a_change_touches_the_named_fields_alone(world: World) -> None:
    made = await create(world, delay=timedelta(minutes=1))
    changed = await update(world, made.contact_method_id, "address", address="https://other.example/")
    assert (changed.address, changed.delay.ToTimedelta()) == ("https://other.example/", timedelta(minutes=1))
    assert changed.secret == ""
    by_presence = await update(world, made.contact_method_id, enabled=False, delay=timedelta())
    assert not by_presence.enabled
    assert by_presence.delay.ToTimedelta() == timedelta()
    assert await get(world, made.contact_method_id) == by_presence


async def test_a_new_secret_signs_and_an_empty_one_changes_nothing(world: World, receiver: Receiver) -> None:
    made = await world.webhook("alice", receiver)
    assert (await update(world, made.contact_method_id, "secret")).secret == ""
    await world.page("alice")
    assert (await receiver.got())[0].signed_with(made.secret)
    other = generated_secret()
    assert (await update(world, made.contact_method_id, "secret", secret=other)).secret == ""
    await world.page("alice")
    assert (await receiver.got(2))[1].signed_with(other)


async def test_what_was_read_can_be_sent_back(world: World) -> None:
    made = await create(world)
    request = contact_method_service_pb2.UpdateContactMethodRequest(
        contact_method=await get(world, made.contact_method_id)
    )
    request.update_mask.paths[:] = [
        "responder_id",
        "channel",
        "address",
        "secret",
        "enabled",
        "min_severity",
        "delay",
    ]
    assert await world.notify.methods.UpdateContactMethod(request) == await get(world, made.contact_method_id)


async def test_what_cannot_be_changed(world: World) -> None:
    made = await create(world)
    for name in ("nonsense", "disabled_reason"):
        assert "update_mask" in await wrong(update(world, made.contact_method_id, name))
    assert "responder_id" in await wrong(
        update(world, made.contact_method_id, "responder_id", responder_id="bob")
    )
    chat = contact_method_pb2.Channel.Value.CHAT
    assert "channel" in await wrong(update(world, made.contact_method_id, "channel", channel=chat))
    assert "address" in await wrong(update(world, made.contact_method_id, "address"))
    with pytest.raises(NotFound):
        await update(world, "nobody", "enabled")


async def test_enabling_a_method_again_forgets_why_it_was_disabled(world: World, receiver: Receiver) -> None:
    receiver.script = [status(410)]
    made = await world.webhook("alice", receiver)
    await world.becomes(await world.page("alice"), "FAILED")
    assert (await get(world, made.contact_method_id)).disabled_reason == "HTTP 410"
    changed = await update(world, made.contact_method_id, "enabled", enabled=True)
    assert (changed.enabled, changed.disabled_reason) == (True, "")
    await world.becomes(await world.page("alice"), "SENT")


async def test_deleting(world: World) -> None:
    made = await create(world)
    request = contact_method_service_pb2.DeleteContactMethodRequest(contact_method_id=made.contact_method_id)
    await world.notify.methods.DeleteContactMethod(request)
    with pytest.raises(NotFound):
        await get(world, made.contact_method_id)
    with pytest.raises(NotFound):
        await world.notify.methods.DeleteContactMethod(request)


async def test_scopes(world: World) -> None:
    made = await create(world)
    reader = Replica(world.notify.address, token=world.token("notify:read"))
    await reader.methods.GetContactMethod(
        contact_method_service_pb2.GetContactMethodRequest(contact_method_id=made.contact_method_id)
    )
    with pytest.raises(Denied):
        await reader.methods.DeleteContactMethod(
            contact_method_service_pb2.DeleteContactMethodRequest(contact_method_id=made.contact_method_id)
        )
    with pytest.raises(Denied):
        await world.page("alice", replica=reader)
    await reader.channel.close()


async def test_order_quiet_hours_and_news_of_the_end_are_kept(world: World) -> None:
    nights = contact_method_pb2.QuietHours(
        start_time="22:00",
        end_time="07:00",
        time_zone="Europe/Berlin",
        weekdays=[contact_method_pb2.QuietHours.FRI, contact_method_pb2.QuietHours.MON],
    )
    made = await create(world, order=3, quiet_hours=[nights], notify_on_resolve=True)
    assert (made.order, made.notify_on_resolve, made.verified) == (3, True, True)
    assert [contact_method_pb2.QuietHours.Weekday.Name(d) for d in made.quiet_hours[0].weekdays] == [
        "MON",
        "FRI",
    ]
    made.secret = ""
    assert await get(world, made.contact_method_id) == made
    changed = await update(world, made.contact_method_id, "quiet_hours", "order")
    assert (list(changed.quiet_hours), changed.order, changed.notify_on_resolve) == ([], 0, True)


async def test_wrong_quiet_hours_are_named_one_by_one(world: World) -> None:
    hours = contact_method_pb2.QuietHours
    found = await wrong(
        create(
            world,
            order=-1,
            quiet_hours=[
                hours(start_time="7:00", end_time="24:00"),
                hours(start_time="07:00", end_time="08:00", time_zone="Mars/Olympus", weekdays=[9]),  # type: ignore[list-item]
            ],
        )
    )
    assert set(found) == {
        "order", "quiet_hours[0].start_time", "quiet_hours[0].end_time",
        "quiet_hours[1].time_zone", "quiet_hours[1].weekdays[0]",
    }  # fmt: skip
    always = [hours(start_time="00:00", end_time="00:00")]
    assert "never end" in (await wrong(create(world, quiet_hours=always)))["quiet_hours"]

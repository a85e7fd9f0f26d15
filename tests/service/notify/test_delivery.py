"""Pages reach people: the inbox at once, webhooks signed, each once, however often they are asked for."""

from datetime import timedelta

from tests.service.notify.receivers import Receiver
from tests.service.notify.world import IN_APP, World


async def test_a_page_reaches_the_inbox_and_the_webhook(world: World, receiver: Receiver) -> None:
    method = await world.webhook("alice", receiver)
    page = await world.page("alice")
    (hook,) = await receiver.got()
    route = await world.becomes(page, "SENT")
    assert hook.id == route.route_log_id
    assert hook.signed_with(method.secret)
    assert hook.data["alert"]["title"] == "disk full"
    assert hook.data["alert"]["closed_at"] is None
    assert hook.data["responder_id"] == "alice"
    assert (await world.becomes(page, "SENT", channel=IN_APP)).attempts == 1

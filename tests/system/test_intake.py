"""Other tools' own programs and clients, unmodified, open and close alerts of a real stack."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import opsgenie_sdk
import pagerduty
import pytest
import trustme

from tests.fixtures.alertmanager import ABSENT, BINARY, alertmanager
from tests.fixtures.eventually import eventually
from tests.system.world import Json, World

VIA = ("webhook", "pagerduty", "opsgenie")


async def integration(world: World, name: str) -> str:
    """The routing key of an integration whose alerts carry a label of this test."""
    body = {"integration_id": world.own(name), "labels": {"integration": world.own(name)}}
    return str((await world.ok("POST", "/integrations", body))["routing_key"])


async def arrived(world: World, name: str, state: str) -> Json:
    """The one alert that came in by an integration, once it is in a state."""
    matcher = quote(f'integration="{world.own(name)}"')

    async def there() -> Json:
        found = (await world.ok("GET", f"/alerts?matchers={matcher}"))["alerts"]
        assert [alert["state"] for alert in found] == [state]
        alert: Json = found[0]
        return alert

    return await eventually(there)


@pytest.mark.skipif(BINARY is None, reason=ABSENT)
async def test_a_real_alertmanager_fires_and_resolves_through_each_receiver(
    world: World, tmp_path: Path
) -> None:
    gateway = world.stack["gateway"]
    keys = {via: await integration(world, via) for via in VIA}
    webhook = f"{gateway}/api/alert/integrations/{keys['webhook']}/alertmanager"
    receivers = {
        "webhook": {"webhook_configs": [{"url": webhook, "send_resolved": True}]},
        "pagerduty": {
            "pagerduty_configs": [{"routing_key": keys["pagerduty"], "url": f"{gateway}/v2/enqueue"}]
        },
        "opsgenie": {
            "opsgenie_configs": [
                {
                    "api_key": keys["opsgenie"],
                    "api_url": f"{gateway}/",
                    "update_alerts": True,
                    "message": "{{ len .Alerts.Firing }} high error rates",
                }
            ]
        },
    }
    labels = {via: {"alertname": "HighErrorRate", "severity": "critical", "via": via} for via in VIA}
    with alertmanager(tmp_path, receivers) as sender:
        await each(lambda via: sender.fire(labels[via], {"summary": "5xx above 5 %"}))
        opened = {via: await arrived(world, via, "OPEN") for via in VIA}
        another = {**labels["opsgenie"], "instance": "web-2"}
        await asyncio.to_thread(sender.fire, another)
        await noted(world, opened["opsgenie"], "message: 2 high error rates")
        await asyncio.to_thread(sender.resolve, another)
        await each(lambda via: sender.resolve(labels[via]))
        for via in VIA:
            closed = await arrived(world, via, "CLOSED")
            assert closed["alert_id"] == opened[via]["alert_id"]
    assert opened["webhook"]["title"] == "5xx above 5 %"
    assert {alert["severity"] for alert in opened.values()} >= {"CRITICAL"}
    for via in ("webhook", "opsgenie"):
        assert opened[via]["labels"]["alertname"] == "HighErrorRate"


async def noted(world: World, alert: Json, *notes: str) -> None:
    """Waits until the alert's timeline has these comments."""

    async def there() -> bool:
        actions = (await world.ok("GET", f"/alerts/{alert['alert_id']}/actions"))["actions"]
        return {*notes} <= {one["note"] for one in actions if one["type"] == "COMMENT"}

    await eventually(there)


async def each(act: Callable[[str], None]) -> None:
    """Acts for each receiver, off the loop."""
    for via in VIA:
        await asyncio.to_thread(act, via)


async def test_pagerdutys_own_client(world: World) -> None:
    """It speaks https alone: a certificate of the test's stands before the gateway."""
    key = await integration(world, "pd")
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with tls(world.stack["gateway"], authority) as base:
        client = pagerduty.EventsApiV2Client(key, base_url=base, verify=context)
        dedup = await asyncio.to_thread(
            client.trigger, "disk full", "db-1", severity="error", custom_details={"free": "3 %"}
        )
        opened = await arrived(world, "pd", "OPEN")
        assert (opened["dedup_key"], opened["severity"], opened["labels"]["free"]) == (dedup, "HIGH", "3 %")
        assert await asyncio.to_thread(client.acknowledge, dedup) == dedup
        assert (await arrived(world, "pd", "ACKED"))["alert_id"] == opened["alert_id"]
        assert await asyncio.to_thread(client.resolve, dedup) == dedup
        await arrived(world, "pd", "CLOSED")
        at = "2026-03-01T09:00:00.000+0000"
        await asyncio.to_thread(client.submit, "deployed 1.2", "ci", timestamp=at)
        assert await asyncio.to_thread(client.resolve, "never-opened") == "never-opened"
        client.close()


@asynccontextmanager
async def tls(gateway: str, authority: trustme.CA) -> AsyncIterator[str]:
    """The gateway behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    to = urlsplit(gateway)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beyond_reader, beyond = await asyncio.open_connection(to.hostname, to.port)
        await asyncio.gather(pump(reader, beyond), pump(beyond_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"


async def test_opsgenies_own_client(world: World) -> None:
    key = await integration(world, "og")
    configuration = opsgenie_sdk.Configuration()
    configuration.host = world.stack["gateway"]
    configuration.api_key["Authorization"] = key
    api = opsgenie_sdk.AlertApi(opsgenie_sdk.ApiClient(configuration=configuration))
    alias = f"a/b c {world.mark}"
    payload = opsgenie_sdk.CreateAlertPayload(
        message="disk full", alias=alias, priority="P2", details={"host": "db-1"}, source="ci"
    )
    answer = await asyncio.to_thread(api.create_alert, create_alert_payload=payload)
    assert answer.result == "Request will be processed"
    assert answer.request_id
    opened = await arrived(world, "og", "OPEN")
    assert (opened["dedup_key"], opened["severity"], opened["labels"]["host"]) == (alias, "HIGH", "db-1")
    acted = {"identifier": alias, "identifier_type": "alias"}
    await asyncio.to_thread(
        api.acknowledge_alert,
        **acted,
        acknowledge_alert_payload=opsgenie_sdk.AcknowledgeAlertPayload(user="ada"),
    )
    await arrived(world, "og", "ACKED")
    note = opsgenie_sdk.AddNoteToAlertPayload(user="ada", note="vendor called")
    await asyncio.to_thread(api.add_note, **acted, add_note_to_alert_payload=note)
    message = opsgenie_sdk.UpdateAlertMessagePayload(message="disk fuller")
    await asyncio.to_thread(api.update_alert_message, **acted, update_alert_message_payload=message)
    described = opsgenie_sdk.UpdateAlertDescriptionPayload(description="99 %")
    await asyncio.to_thread(api.update_alert_description, **acted, update_alert_description_payload=described)
    await noted(world, opened, "by ada: vendor called", "message: disk fuller", "description: 99 %")
    await asyncio.to_thread(
        api.close_alert, **acted, close_alert_payload=opsgenie_sdk.CloseAlertPayload(note="fixed")
    )
    assert (await arrived(world, "og", "CLOSED"))["alert_id"] == opened["alert_id"]


async def test_cloudevents_of_all_modes(world: World) -> None:
    key = await integration(world, "ce")
    url = f"{world.stack['gateway']}/api/alert/integrations/-/cloudevents"
    bearer = {"authorization": f"Bearer {key}"}
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "disk.full", "ce-source": f"/{world.mark}"}
    async with world.http.post(
        url, data=b"97 %", headers=bearer | headers | {"ce-subject": "db-1"}
    ) as answer:
        assert (answer.status, await answer.json()) == (202, {"accepted": 1, "refused": []})
    opened = await arrived(world, "ce", "OPEN")
    assert opened["title"] == "disk.full: db-1"
    event = {"specversion": "1.0", "source": f"/{world.mark}", "subject": "db-1"}
    batch = [{**event, "id": "2", "type": "disk.full"}, {**event, "id": "3", "type": "disk.resolved"}]
    sent = bearer | {"content-type": "application/cloudevents-batch+json"}
    async with world.http.post(url, json=batch, headers=sent) as answer:
        assert (answer.status, (await answer.json())["accepted"]) == (202, 2)
    closed = await arrived(world, "ce", "CLOSED")
    assert (closed["alert_id"], closed["trigger_count"]) == (opened["alert_id"], 2)

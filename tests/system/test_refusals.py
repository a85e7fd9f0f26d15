"""Bad input gets a precise answer, in the statuses of the contract, and changes nothing."""

import json
from typing import Any

import pytest

from tests.system.world import World

NOBODY = "019a0000-0000-7000-8000-000000000000"


def violations(body: dict[str, Any]) -> set[str]:
    """The fields that a BadRequest names."""
    return {
        violation["field"]
        for detail in body["error"]["details"]
        for violation in detail.get("field_violations", [])
    }


async def test_every_wrong_field_is_named_at_once(world: World) -> None:
    """Unknown fields, wrong enums and wrong types together; then limits together."""
    status, body = await world.call(
        "POST",
        "/api/alert/alerts",
        {"titel": "x", "severity": "PINK", "labels": {"a": 1}, "source": world.mark},
    )
    assert (status, body["error"]["code"], body["error"]["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert {"titel", "severity"} <= violations(body)
    status, body = await world.call(
        "POST", "/api/alert/alerts", {"dedup_key": "k" * 256, "source": world.mark}
    )
    assert (status, violations(body)) == (400, {"title", "dedup_key"})
    found = await world.ok("GET", f"/alerts?source={world.mark}")
    assert found["alerts"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "name"),
    [
        ("GET", f"/api/alert/alerts/{NOBODY}", None, 404, "NOT_FOUND"),
        ("GET", "/api/alert/alerts/not-a-uuid", None, 400, "INVALID_ARGUMENT"),
        ("GET", "/api/alert/nothing", None, 404, "NOT_FOUND"),
        ("PUT", "/api/alert/alerts", {}, 405, None),
        ("GET", "/api/alert/alerts?page_size=-1", None, 400, "INVALID_ARGUMENT"),
        ("GET", "/api/alert/alerts?page_token=nonsense", None, 400, "INVALID_ARGUMENT"),
        ("GET", "/api/alert/alerts?colour=red", None, 400, "INVALID_ARGUMENT"),
        ("GET", "/api/alert/oncall:resolve?target=nonsense", None, 400, "INVALID_ARGUMENT"),
        ("POST", "/api/alert/oncall/responders", {"responder_id": "No Spaces"}, 400, "INVALID_ARGUMENT"),
        (
            "POST",
            "/api/alert/oncall/responders",
            {"responder_id": "x", "time_zone": "Mars/Base"},
            400,
            "INVALID_ARGUMENT",
        ),
        ("POST", "/api/alert/escalation-policies", {"steps": []}, 400, "INVALID_ARGUMENT"),
        (
            "POST",
            "/api/alert/silence-rules",
            {"matchers": ['a=~".*"'], "ends_at": "2199-01-01T00:00:00Z"},
            400,
            "INVALID_ARGUMENT",
        ),
        ("GET", f"/api/alert/routes/{NOBODY}", None, 404, "NOT_FOUND"),
        ("POST", f"/api/alert/alerts/{NOBODY}:acknowledge", {}, 404, "NOT_FOUND"),
        (
            "GET",
            "/api/alert/sla/overview?start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z",
            None,
            400,
            "INVALID_ARGUMENT",
        ),
    ],
)
async def test_statuses(
    world: World, method: str, path: str, body: object, status: int, name: str | None
) -> None:
    """Each refusal has the status of CONTRACT §1 and the error body."""
    got, answer = await world.call(method, path, body)
    assert got == status, answer
    assert answer["error"]["code"] == status
    assert answer["error"]["message"]
    if name:
        assert answer["error"]["status"] == name


async def test_tokens(world: World) -> None:
    """None and a forged one are 401; one that lacks the scope is 403."""
    for token in (None, "nonsense", world.stack["token"][:-3] + "abc"):
        status, body = await world.call("GET", "/api/alert/alerts", token=token)
        assert (status, body["error"]["status"]) == (401, "UNAUTHENTICATED")


async def test_bodies_that_are_no_json_or_too_large(world: World) -> None:
    """400 and 413, and nothing is triggered."""
    status, body = await world.call("POST", "/api/alert/alerts", data=b"{nope")
    assert (status, body["error"]["status"]) == (400, "INVALID_ARGUMENT")
    big = json.dumps({"title": "x", "source": world.mark, "description": "y" * 9_000_000}).encode()
    assert (await world.call("POST", "/api/alert/alerts", data=big))[0] == 413
    assert (await world.ok("GET", f"/alerts?source={world.mark}"))["alerts"] == []


@pytest.mark.parametrize("size", [65_200, 65_400, 65_536])
async def test_a_body_of_any_allowed_size_is_taken_once(world: World, size: int) -> None:
    """However its bytes arrive: a description at the limit, and around the limit of a request's head."""
    answer = await world.trigger(description="y" * size, dedup_key=world.own(str(size)))
    assert answer["outcome"] == "OPENED"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        (
            "POST",
            "/oncall/schedules",
            {"layers": [{"name": "a", "responder_ids": ["a\0"], "rotation": {"unit": "DAILY"}}]},
        ),
        (
            "POST",
            "/oncall/shifts",
            {"responder_id": "a\0", "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-02T00:00:00Z"},
        ),
        ("POST", "/silence-rules", {"matchers": ['a="\0"'], "ends_at": "2199-01-01T00:00:00Z"}),
        ("POST", "/alerts", {"title": "a\0b"}),
        ("GET", "/alerts?matchers=a%3D%22%00%22", None),
        ("GET", "/routes?responder_id=%00", None),
        ("GET", "/oncall/responders/%00", None),
    ],
)
async def test_nul_is_refused_wherever_it_stands(world: World, method: str, path: str, body: object) -> None:
    """Postgres cannot keep it, so no field may hold it."""
    status, answer = await world.call(method, f"/api/alert{path}", body)
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT"), answer


async def test_shifts_of_one_person_do_not_overlap(world: World) -> None:
    """409, and the first shift stands alone."""
    schedule = await world.schedule()
    ada = await world.responder("ada", on=schedule, webhook=False)
    shifts = (await world.ok("GET", f"/oncall/shifts?responder_id={ada}"))["shifts"]
    taken = {
        "responder_id": ada,
        "schedule_id": schedule,
        "starts_at": shifts[0]["starts_at"],
        "ends_at": shifts[0]["ends_at"],
    }
    status, body = await world.call("POST", "/api/alert/oncall/shifts", taken)
    assert (status, body["error"]["status"]) == (409, "ALREADY_EXISTS")
    assert (await world.ok("GET", f"/oncall/shifts?responder_id={ada}"))["shifts"] == shifts


async def test_receipt_links_cannot_be_forged_or_moved(world: World) -> None:
    """A changed token, a token of another route, and none at all: refused, and the alert stays open."""
    ada = await world.responder("ada")
    policy = await world.policy((f"responder://{ada}", 60))
    one, two = [(await world.trigger(policy_id=policy))["alert"]["alert_id"] for _ in range(2)]
    first = (await world.expect_page(ada, alert_id=one)).data
    second = (await world.expect_page(ada, alert_id=two)).data
    link, token = first["receipt_url"].split("?", 1)
    for url, statuses in (
        (first["receipt_url"] + "x", {403}),
        (f"{second['receipt_url'].split('?')[0]}?{token}", {403}),
        (link, {401}),
    ):
        status, _ = await world.call("POST", url, {"status": "ACKNOWLEDGED"}, token=None)
        assert status in statuses
    assert {(await world.alert(alert_id))["state"] for alert_id in (one, two)} == {"OPEN"}
    assert (await world.call("POST", first["receipt_url"], {"status": "SENT"}, token=None))[0] == 400


async def test_an_unknown_routing_key_is_refused(world: World) -> None:
    """Nothing is triggered by a key that no integration has."""
    status, _ = await world.call(
        "POST", f"/api/alert/integrations/{'0' * 32}/alertmanager", {"alerts": []}, token=None
    )
    assert status in (400, 401, 404)

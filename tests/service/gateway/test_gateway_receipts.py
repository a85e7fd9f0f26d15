"""Receipt links: by JSON, by a person's click, or with a token; opening a link does nothing."""

import pytest

from chassis.errors import Denied, Refused, Unauthenticated, Unavailable
from tests.service.gateway.stage import Stage
from tocsin.notify.v1 import route_pb2

PATH = "/routes/r1:receipt"
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_a_receipt_by_its_link(stage: Stage) -> None:
    stage.services.play(
        "RecordReceipt", route_pb2.RouteLog(route_log_id="r1", status=route_pb2.RouteLog.READ)
    )
    body = {"status": "READ", "receipt_id": "x", "detail": "seen", "at": "2026-03-01T09:00:00Z"}
    answer = await stage.api("POST", f"{PATH}?token=s.e-c_ret%3D", body, token=None)
    assert (answer.status, answer.json["status"]) == (200, "READ")
    asked = stage.services.last
    assert (asked.route_log_id, asked.link_token, asked.receipt_id) == ("r1", "s.e-c_ret=", "x")
    assert asked.status == route_pb2.RouteLog.READ
    assert "authorization" not in stage.services.asked[-1].metadata


async def test_a_receipt_with_a_token_and_with_the_link_in_the_body(stage: Stage) -> None:
    assert (await stage.api("POST", PATH, {"status": "READ"}, token="receipts:write")).status == 200
    assert stage.services.last.link_token == ""
    assert stage.services.asked[-1].metadata["authorization"].startswith("Bearer ")
    assert (await stage.api("POST", PATH, {"status": "READ", "link_token": "t"}, token=None)).status == 200
    assert stage.services.last.link_token == "t"


async def test_what_is_wrong_with_a_receipt_is_named(stage: Stage) -> None:
    answer = await stage.api("POST", f"{PATH}?token=t", {"status": "GONE", "extra": 1}, token=None)
    assert answer.status == 400
    assert set(answer.wrong) == {"status", "extra"}
    missing = await stage.api("POST", f"{PATH}?token=t", {"extra": 1}, token=None)
    assert set(missing.wrong) == {"status", "extra"}
    assert (await stage.api("POST", f"{PATH}?token=t&status=READ", {}, token=None)).wrong == {
        "status": "is not a parameter of a receipt link"
    }
    assert (await stage.api("POST", f"{PATH}?token=t&token=u", {}, token=None)).status == 400
    assert stage.services.asked == []


async def test_a_forged_link(stage: Stage) -> None:
    stage.services.play("RecordReceipt", Denied("the link is not valid"))
    answer = await stage.api("POST", f"{PATH}?token=forged", {"status": "READ"}, token=None)
    assert (answer.status, answer.error["status"]) == (403, "PERMISSION_DENIED")
    stage.services.play("RecordReceipt", Unauthenticated("a token or a link is required"))
    assert (await stage.api("POST", PATH, {"status": "READ"}, token=None)).status == 401


async def test_opening_a_link_asks_for_a_click(stage: Stage) -> None:
    answer = await stage.api("GET", f"{PATH}?token=t", token=None)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<form method="post"><button type="submit">' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert stage.services.asked == []
    assert (await stage.api("GET", PATH, token=None)).status == 401


async def test_a_click_acknowledges_once(stage: Stage) -> None:
    for _ in range(2):
        answer = await stage.api("POST", f"{PATH}?token=t", b"", token=None, headers=FORM)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "Your answer is recorded" in answer.text
    first, second = (asked.request for asked in stage.services.asked)
    assert first == second
    assert (first.status, first.link_token) == (route_pb2.RouteLog.ACKNOWLEDGED, "t")
    assert first.receipt_id


@pytest.mark.parametrize(
    ("taken_by", "said"), [("ada", "You had it before"), ("<bob>", "&lt;bob&gt; had it before")]
)
async def test_a_click_says_that_the_alert_is_open_again(stage: Stage, taken_by: str, said: str) -> None:
    route = route_pb2.RouteLog(responder_id="ada", taken_by=taken_by, open_again=True)
    stage.services.play("RecordReceipt", route)
    answer = await stage.api("POST", f"{PATH}?token=t", b"", token=None, headers=FORM)
    assert "The alert is open again" in answer.text
    assert (said in answer.text, "<bob>" in answer.text) == (True, False)


@pytest.mark.parametrize(
    ("taken_by", "closed_by", "said"),
    [
        ("ada", "", "The alert is yours"),
        ("<bob>", "", "&lt;bob&gt; has it already"),
        ("", "", "Your answer is recorded"),
        ("ada", "<bob>", "&lt;bob&gt; has closed it"),
        ("", "ada", "You have closed it"),
    ],
)
async def test_a_click_says_who_has_the_alert(stage: Stage, taken_by: str, closed_by: str, said: str) -> None:
    route = route_pb2.RouteLog(responder_id="ada", taken_by=taken_by, closed_by=closed_by)
    stage.services.play("RecordReceipt", route)
    answer = await stage.api("POST", f"{PATH}?token=t", b"", token=None, headers=FORM)
    assert (answer.status, said in answer.text, "<bob>" in answer.text) == (200, True, False)


@pytest.mark.parametrize(
    ("error", "status", "said", "again"),
    [
        (Denied("x", reason="RECEIPT_LINK_EXPIRED"), 403, "This link has expired", False),
        (Denied("x", reason="RECEIPT_LINK_INVALID"), 403, "This link is not valid", False),
        (Unavailable("the service is away"), 503, "That did not work", True),
    ],
)
async def test_a_click_says_why_it_did_not_work(
    stage: Stage, error: Exception, status: int, said: str, again: bool
) -> None:
    stage.services.play("RecordReceipt", error)
    answer = await stage.api("POST", f"{PATH}?token=t", b"", token=None, headers=FORM)
    assert (answer.status, said in answer.text, "Try again" in answer.text) == (status, True, again)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


async def test_the_page_needs_nothing_from_elsewhere_and_no_script(stage: Stage) -> None:
    text = (await stage.api("GET", f"{PATH}?token=t", token=None)).text
    assert '<html lang="en">' in text
    assert "<main>" in text
    for foreign in ("<script", "src=", "http:", "https:", "@import", "url("):
        assert foreign not in text


@pytest.mark.parametrize(
    ("error", "status"), [(Denied("the link has <expired>"), 403), (Refused("the alert is closed"), 400)]
)
async def test_a_click_that_fails_shows_a_page(stage: Stage, error: Exception, status: int) -> None:
    stage.services.play("RecordReceipt", error)
    answer = await stage.api("POST", f"{PATH}?token=t", b"status=READ", token=None, headers=FORM)
    assert answer.status == status
    assert "That did not work" in answer.text
    assert "<expired>" not in answer.text
    large = await stage.api("POST", f"{PATH}?token=t", b"a=" + b"x" * 20_000, token=None, headers=FORM)
    assert large.status == 413


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("MessageSid=SM1&MessageStatus=delivered", ("DELIVERED", "SM1/delivered", "")),
        ("MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30005", ("FAILED", "SM1/undelivered", "30005")),
        ("event=open&id=7", ("READ", "7/open", "")),
        ("CallSid=CA1&CallStatus=No-Answer", ("FAILED", "CA1/no-answer", "")),
    ],
)
async def test_a_provider_reports_by_the_link(stage: Stage, form: str, said: tuple[str, str, str]) -> None:
    stage.services.play("RecordReceipt", route_pb2.RouteLog(route_log_id="r1"))
    answer = await stage.api("POST", f"{PATH}?token=t", form.encode(), token=None, headers=FORM)
    assert answer.status == 200
    asked = stage.services.last
    assert (route_pb2.RouteLog.Status.Name(asked.status), asked.receipt_id, asked.detail) == said


@pytest.mark.parametrize("word", ["queued", "sent", "something else"])
async def test_what_a_provider_says_that_is_no_receipt_acknowledges_nothing(stage: Stage, word: str) -> None:
    answer = await stage.api(
        "POST", f"{PATH}?token=t", f"MessageStatus={word}".encode(), token=None, headers=FORM
    )
    assert answer.status == 204
    assert stage.services.asked == []

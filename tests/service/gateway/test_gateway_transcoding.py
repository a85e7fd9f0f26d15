"""Requests over HTTP reach the right method with the right message, and the answer reads as CONTRACT §1 says."""

from datetime import UTC, datetime

import pytest
from google.rpc import status_pb2

from tests.service.gateway.stage import Stage
from tocsin.escalation.v1 import alert_pb2, alert_service_pb2

Severity = alert_pb2.Severity


async def test_a_trigger_goes_in_and_an_alert_comes_out(stage: Stage) -> None:
    alert = alert_pb2.Alert(alert_id="a1", title="disk full", severity=Severity.CRITICAL, version=7)
    alert.opened_at.FromDatetime(datetime(2026, 3, 1, 9, tzinfo=UTC))
    stage.services.play(
        "TriggerAlert",
        alert_service_pb2.TriggerAlertResponse(
            alert=alert, outcome=alert_service_pb2.TriggerAlertResponse.OPENED
        ),
    )
    body = {"title": "disk full", "severity": "CRITICAL", "dedupKey": "k1", "labels": {"team": "db"}}
    answer = await stage.api("POST", "/alerts", body)
    assert answer.status == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["outcome"] == "OPENED"
    printed = answer.json["alert"]
    assert (printed["severity"], printed["version"], printed["trigger_count"]) == ("CRITICAL", "7", 0)
    assert (printed["opened_at"], printed["acked_at"]) == ("2026-03-01T09:00:00Z", None)
    assert (printed["labels"], printed["acked_by"], printed["state"]) == ({}, "", "STATE_UNSPECIFIED")
    asked = stage.services.last
    assert (asked.dedup_key, asked.severity, dict(asked.labels)) == ("k1", Severity.CRITICAL, {"team": "db"})


async def test_an_error_inside_an_answer_is_the_error_object(stage: Stage) -> None:
    result = alert_service_pb2.BatchTriggerAlertsResult(error=status_pb2.Status(code=3, message="title"))
    stage.services.play("BatchTriggerAlerts", alert_service_pb2.BatchTriggerAlertsResponse(results=[result]))
    answer = await stage.api("POST", "/alerts:batch", {"requests": [{"title": ""}]})
    assert answer.json == {
        "results": [
            {
                "error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "title", "details": []},
                "outcome": "OUTCOME_UNSPECIFIED",
            }
        ]
    }


async def test_query_parameters_become_fields(stage: Stage) -> None:
    path = (
        "/alerts?page_size=5&state=OPEN&state=ACKED&severity=1&matchers=team%3D%22db%22&pageToken=t%20u"
        "&start=2026-03-01T10:00:00+01:00&end=2026-03-01T09:00:00.5Z&source="
    )
    answer = await stage.api("GET", path)
    assert (answer.status, answer.json) == (200, {"alerts": [], "next_page_token": ""})
    asked = stage.services.last
    assert (asked.page_size, asked.page_token, list(asked.matchers)) == (5, "t u", ['team="db"'])
    assert list(asked.state) == [alert_pb2.Alert.OPEN, alert_pb2.Alert.ACKED]
    assert list(asked.severity) == [Severity.CRITICAL]
    assert asked.start.seconds + 0 == asked.end.seconds == 1772355600
    assert asked.end.nanos == 500_000_000


async def test_an_empty_parameter_leaves_the_field_unset(stage: Stage) -> None:
    assert (await stage.api("GET", "/oncall/schedules/default:preview?start=&end=")).status == 200
    assert not stage.services.last.HasField("start")
    assert stage.services.last.schedule_id == "default"


async def test_every_wrong_parameter_is_named(stage: Stage) -> None:
    answer = await stage.api(
        "GET", "/alerts?page_size=x&state=GONE&colour=red&start=soon&source=a&source=b&labels.a=1&stat=OPEN"
    )
    assert (answer.status, answer.error["status"]) == (400, "INVALID_ARGUMENT")
    assert answer.wrong == {
        "page_size": "is 'x'; want a whole number",
        "state": "is 'GONE'; want one of OPEN, ACKED, CLOSED, SUPPRESSED",
        "colour": "is not a parameter of ListAlerts",
        "start": "is 'soon'; want an RFC 3339 time such as '2026-03-01T09:00:00Z'",
        "source": "is given 2 times; want it once",
        "labels.a": "is not a parameter of ListAlerts",
        "stat": "is not a parameter of ListAlerts; did you mean 'state'?",
    }
    assert stage.services.asked == []


async def test_flags_and_lists_of_other_methods(stage: Stage) -> None:
    assert (await stage.api("GET", "/inbox?responder_id=ada&unreadOnly=true")).status == 200
    assert stage.services.last.unread_only
    assert (await stage.api("GET", "/inbox?unread_only=yes")).wrong == {
        "unread_only": "is 'yes'; want true or false"
    }


async def test_a_resource_is_the_body_and_the_rest_is_in_the_query(stage: Stage) -> None:
    answer = await stage.api(
        "POST", "/oncall/responders?request_id=r1", {"responder_id": "ada", "displayName": "Ada"}
    )
    assert answer.json["created_at"] is None
    asked = stage.services.last
    assert (asked.request_id, asked.responder.responder_id, asked.responder.display_name) == (
        "r1",
        "ada",
        "Ada",
    )
    wrong = await stage.api("POST", "/oncall/responders?responder.display_name=x", {})
    assert "responder.display_name" in wrong.wrong


async def test_a_patch_names_the_fields_that_are_there(stage: Stage) -> None:
    body = {"displayName": "A", "time_zone": "", "responder_id": "ada", "created_at": "2026-03-01T09:00:00Z"}
    assert (await stage.api("PATCH", "/oncall/responders/ada", body)).status == 200
    asked = stage.services.last
    assert (list(asked.update_mask.paths), asked.responder.responder_id) == (
        ["display_name", "time_zone"],
        "ada",
    )
    await stage.api("PATCH", "/escalation-policies/p", {"repeat_trigger": None})
    assert list(stage.services.last.update_mask.paths) == ["repeat_trigger"]
    await stage.api(
        "PATCH", "/oncall/responders/ada?update_mask=displayName,time_zone", {"display_name": "A"}
    )
    assert list(stage.services.last.update_mask.paths) == ["display_name", "time_zone"]
    assert (await stage.api("PATCH", "/oncall/responders/ada", {"responder_id": "bob"})).wrong == {
        "responder_id": "is 'bob', but the path says 'ada'"
    }


async def test_verbs_take_a_body_or_none(stage: Stage) -> None:
    assert (await stage.api("POST", "/alerts/a%2F1:acknowledge")).status == 200
    assert stage.services.last.alert_id == "a/1"
    assert (await stage.api("POST", "/alerts/a1:snooze", {"duration": "300s", "note": "zzz"})).status == 200
    assert (stage.services.last.duration.seconds, stage.services.last.note) == (300, "zzz")
    assert (await stage.api("POST", "/alerts/a1:snooze?note=x", {})).wrong == {
        "note": "is not a parameter of SnoozeAlert"
    }


async def test_a_delete_answers_an_empty_object(stage: Stage) -> None:
    answer = await stage.api("DELETE", "/oncall/shifts/s1")
    assert (answer.status, answer.text, stage.services.last.shift_id) == (200, "{}", "s1")


async def test_the_optional_flag_of_a_resource(stage: Stage) -> None:
    await stage.api(
        "POST", "/contact-methods", {"responder_id": "ada", "channel": "WEBHOOK", "enabled": False}
    )
    method = stage.services.last.contact_method
    assert (method.HasField("enabled"), method.enabled) == (True, False)


async def test_every_wrong_field_of_a_body_is_named_with_those_that_are_missing(stage: Stage) -> None:
    answer = await stage.api("POST", "/alerts", {"severity": "PINK", "titel": "x", "labels": {"a": 1}})
    assert answer.wrong == {
        "severity": "is 'PINK'; want one of CRITICAL, HIGH, MEDIUM, LOW, INFO",
        "titel": "is not a field of TriggerAlertRequest; did you mean 'title'?",
        "labels['a']": "is a number; want a string",
        "title": "is required",
    }
    info = answer.error["details"][0]
    assert info == {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "INVALID_ARGUMENT", "domain": "tocsin",
    }  # fmt: skip
    assert stage.services.asked == []


async def test_the_caller_the_trace_and_the_deadline_go_on(stage: Stage) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"x-request-id": "r-1", "traceparent": parent, "x-request-timeout": "60s"}
    answer = await stage.api("GET", "/alerts/a1", headers=headers)
    assert answer.headers["x-request-id"] == "r-1"
    asked = stage.services.asked[-1]
    assert asked.metadata["authorization"].startswith("Bearer ")
    assert (asked.metadata["traceparent"], asked.metadata["x-request-id"]) == (parent, "r-1")
    assert asked.seconds is not None
    assert 50 < asked.seconds <= 60.1
    answer = await stage.api("GET", "/alerts/a1", headers={"x-request-id": "bad id"})
    assert len(answer.headers["x-request-id"]) == 32
    assert 5 < (stage.services.asked[-1].seconds or 0) <= 10.1
    await stage.api("GET", "/alerts/a1", headers={"grpc-timeout": "30000m"})
    assert 20 < (stage.services.asked[-1].seconds or 0) <= 30.1


@pytest.mark.parametrize("text", ["soon", "-1s", "0s", "s", "1h"])
async def test_a_deadline_that_is_none(stage: Stage, text: str) -> None:
    answer = await stage.api("GET", "/alerts/a1", headers={"x-request-timeout": text})
    assert (answer.status, set(answer.wrong)) == (400, {"x-request-timeout"})


async def test_head_and_options(stage: Stage) -> None:
    head = await stage.api("HEAD", "/alerts/a1")
    assert (head.status, head.text) == (200, "")
    options = await stage.api("OPTIONS", "/alerts", token=None)
    assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert (await stage.api("OPTIONS", "/nothing", token=None)).status == 404

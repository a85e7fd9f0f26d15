"""Lists of alerts: every filter, matchers, and pages that stay stable while alerts come in."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chassis.errors import Invalid
from chassis.wire import timestamp
from services.escalation.api import search
from services.escalation.storage import lists
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_pb2 import Alert, Severity
from tocsin.escalation.v1.alert_service_pb2 import ListAlertsRequest, TriggerAlertRequest


async def titles(stage: World, **filters: Any) -> str:
    """The titles that a filter finds, the newest first."""
    return " ".join(alert.title for alert in await stage.here.find(**filters))


async def test_filters(stage: World) -> None:
    """Each alone, several together; no filter shows all."""
    here = stage.here
    await here.policy("p", (["responder://alice"], 600))
    await here.open("a", severity=Severity.CRITICAL, source="db-1", labels={"team": "db"})
    b = await here.open("b", severity=Severity.LOW, source="db-2", labels={"team": "db", "env": "dev"})
    await here.acknowledge(b)
    c = await here.open("c", policy_id="p", dedup_key="k", labels={"severity": "mine"})
    await here.close(c)
    found: list[tuple[dict[str, Any], str]] = [
        ({}, "c b a"),
        ({"state": [Alert.OPEN]}, "a"),
        ({"state": [Alert.OPEN, Alert.ACKED]}, "b a"),
        ({"state": [Alert.CLOSED]}, "c"),
        ({"severity": [Severity.CRITICAL, Severity.MEDIUM]}, "c a"),
        ({"severity": [Severity.CRITICAL]}, "a"),
        ({"severity": [Severity.CRITICAL], "state": [Alert.OPEN]}, "a"),
        ({"severity": [Severity.CRITICAL], "state": [Alert.CLOSED]}, ""),
        ({"source": "db-1"}, "a"),
        ({"policy_id": "p"}, "c"),
        ({"dedup_key": "k"}, "c"),
        ({"dedup_key": "k", "state": [Alert.OPEN]}, ""),
        ({"matchers": ['team="db"']}, "b a"),
        ({"matchers": ['team="db"', 'env=""']}, "a"),
        ({"matchers": ['team!="db"']}, "c"),
        ({"matchers": ['env!=""']}, "b"),
        ({"matchers": ['severity="LOW"']}, "b"),
        ({"matchers": ['severity!="LOW"']}, "c a"),
        ({"matchers": ['title="a"']}, "a"),
        ({"matchers": ['source=~"db-.*"']}, "b a"),
        ({"matchers": ['source=~"db"']}, ""),
        ({"matchers": ['team=~"d.|web"', 'env!~"dev|test"']}, "a"),
        ({"matchers": ['severity=~"MED.*"'], "state": [Alert.CLOSED]}, "c"),
        ({"start": b.opened_at}, "c b"),
        ({"end": b.opened_at}, "a"),
        ({"start": b.opened_at, "end": c.opened_at}, "b"),
    ]
    for filters, expected in found:
        assert await titles(stage, **filters) == expected, filters


async def test_pages_are_stable_while_alerts_come_in(stage: World) -> None:
    """Each alert of the beginning is shown once, in order."""
    for n in range(7):
        await stage.here.open(f"t{n}")
    shown: list[str] = []
    token = ""
    while True:
        page = await stage.here.alerts.ListAlerts(ListAlertsRequest(page_size=2, page_token=token))
        shown += [alert.title for alert in page.alerts]
        await stage.here.open("new")
        token = page.next_page_token
        if not token:
            break
    assert shown == [f"t{n}" for n in reversed(range(7))]


@pytest.mark.parametrize("walked", [2, 4_000])
async def test_whichever_way_alerts_are_found_they_are_the_same(
    stage: World, monkeypatch: pytest.MonkeyPatch, walked: int
) -> None:
    """Page by page: among the newest, by the index of words, of sources or of policies."""
    monkeypatch.setattr(lists, "WALKED", walked)
    here = stage.here
    await here.policy("p", (["responder://alice"], 600))
    made: list[tuple[str, str, str, bool]] = []
    for n in range(24):
        title, source = f"{('disk', 'cpu', 'fan')[n % 3]} {n}", f"s{n % 2}"
        policy, closed = "p" if n % 4 == 0 else "default", n % 5 == 0
        alert = await here.open(title, source=source, policy_id=policy)
        if closed:
            await here.close(alert)
        made.insert(0, (title, source, policy, closed))
    asked: list[tuple[dict[str, Any], Callable[[tuple[str, str, str, bool]], bool]]] = [
        ({"policy_id": "p"}, lambda one: one[2] == "p"),
        ({"policy_id": "p", "state": [Alert.OPEN]}, lambda one: one[2] == "p" and not one[3]),
        ({"policy_id": "p", "state": [Alert.CLOSED]}, lambda one: one[2] == "p" and one[3]),
        ({"policy_id": "none"}, lambda _: False),
        ({"source": "s1"}, lambda one: one[1] == "s1"),
        ({"source": "s1", "state": [Alert.OPEN, Alert.ACKED]}, lambda one: one[1] == "s1" and not one[3]),
        ({"source": "s0", "policy_id": "p"}, lambda one: one[1:3] == ("s0", "p")),
        ({"text": "disk"}, lambda one: one[0].startswith("disk")),
        ({"text": "fan", "state": [Alert.OPEN]}, lambda one: one[0].startswith("fan") and not one[3]),
        (
            {"text": "cp", "source": "s0", "policy_id": "p"},
            lambda one: one[:3] == ("cpu 4", "s0", "p") or one[:3] == ("cpu 16", "s0", "p"),
        ),
        ({"text": "tepid"}, lambda _: False),
        ({"state": [Alert.ACKED]}, lambda _: False),
    ]
    for filters, passes in asked:
        found, token = list[str](), ""
        while True:
            request = ListAlertsRequest(page_size=3, page_token=token, **filters)
            page = await here.alerts.ListAlerts(request)
            found += [alert.title for alert in page.alerts]
            if not (token := page.next_page_token):
                break
        assert found == [one[0] for one in made if passes(one)], filters


async def test_regular_expressions_are_looked_for_a_bounded_way(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may be short or empty, and the next ones find the rest."""
    monkeypatch.setattr(search, "CHUNK", 2)
    monkeypatch.setattr(search, "SCANNED", 4)
    for n in range(12):
        await stage.here.open("wanted" if n in (0, 1, 9) else f"other {n}")
    pages: list[int] = []
    token = ""
    while True:
        page = await stage.here.alerts.ListAlerts(
            ListAlertsRequest(matchers=['title=~"want.*"'], page_token=token)
        )
        pages.append(len(page.alerts))
        token = page.next_page_token
        if not token:
            break
    assert pages == [1, 0, 2, 0]
    one = await stage.here.alerts.ListAlerts(ListAlertsRequest(matchers=['title=~"want.*"'], page_size=1))
    assert len(one.alerts) == 1
    assert one.next_page_token


async def test_a_page_fits_into_a_message(stage: World) -> None:
    """However long the alerts are: it is cut, and the next ones show the rest."""
    long = TriggerAlertRequest(title="long", description="ü" * 32_000, labels={"a": "ü" * 1024})
    for _ in range(5):
        await stage.here.batch(*[long] * 40)
    shown, token = 0, ""
    while True:
        request = ListAlertsRequest(page_size=1000, page_token=token)
        page = await stage.here.alerts.ListAlerts(request)
        assert page.alerts
        shown, token = shown + len(page.alerts), page.next_page_token
        if not token:
            break
    assert shown == 200


async def test_wrong_filters_are_named(stage: World) -> None:
    """All at once."""
    now, before = timestamp(stage.now), timestamp(stage.now - timedelta(minutes=1))
    wrong: list[tuple[dict[str, Any], list[str]]] = [
        ({"page_size": -1}, ["page_size"]),
        ({"page_token": "x"}, ["page_token"]),
        ({"page_token": "WyJhIiwgImIiXQ=="}, ["page_token"]),
        (
            {"state": [0], "severity": [9], "matchers": ["x", 'a=~"("']},
            ["matchers[0]", "matchers[1]", "state[0]", "severity[0]"],
        ),
        ({"start": now, "end": before}, ["end"]),
        ({"matchers": ['a="b"'] * 21}, ["matchers"]),
        ({"source": "a\0"}, ["source"]),
    ]
    for filters, fields in wrong:
        with pytest.raises(Invalid) as raised:
            await stage.here.find(**filters)
        assert [field.path for field in raised.value.fields] == fields, filters

"""Each count of an overview is the number of alerts that its query lists."""

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from google.protobuf import json_format

from chassis import wire
from chassis.errors import Invalid
from tests.service.sla.world import World
from tests.unit.sla.histories import NOON, History, any_history
from tocsin.sla.v1 import sla_pb2
from tocsin.sla.v1.sla_service_pb2 import ListAlertFactsRequest

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def asked(path: str) -> ListAlertFactsRequest:
    """The request that the gateway makes of a path."""
    parts = urlsplit(path)
    assert parts.path == "/api/alert/sla/facts"
    query = parse_qs(parts.query, strict_parsing=True)
    lists = ("severity", "label")
    fields = {name: values if name in lists else values[0] for name, values in query.items()}
    return json_format.ParseDict(fields, ListAlertFactsRequest(page_size=1000))


def counts(overview: sla_pb2.Overview) -> Mapping[str, int]:
    """The numbers that count alerts."""
    named = {field.name: value for field, value in overview.ListFields() if field.name.endswith("_alerts")}
    return named | {"open_unacked_age": overview.open_unacked_age.alerts}


@pytest.mark.parametrize(
    "filter_",
    [
        {},
        {"responder_id": "bob"},
        {"severity": ["CRITICAL"], "policy_id": "db"},
        {"label": ["team=db"], "source": "grafana"},
    ],
)
async def test_every_count_is_a_list(world: World, filter_: dict[str, Any]) -> None:
    """With the same filters, in the same period."""
    dice = random.Random(3)
    await world.tell(*(any_history(dice) for _ in range(60)))
    around = {"start": wire.timestamp(NOON - DAY / 2), "end": wire.timestamp(NOON + DAY / 2)}
    overview = await world.overview(**around, **filter_)
    assert overview.total_alerts > 2
    for name, number in counts(overview).items():
        found = await world.sla.ListAlertFacts(asked(overview.explain[name]))
        assert len(found.facts) == number, name
    reopened = await world.sla.ListAlertFacts(asked(overview.explain["reopenings"]))
    assert sum(fact.reopenings for fact in reopened.facts) == overview.reopenings


async def test_a_fact_tells_the_story(world: World) -> None:
    """Of one alert."""
    history = History().opened().escalated(targets=["oncall://db"], recipients=["alice", "bob"])
    history.sent(MINUTE, "alice").acknowledged(2 * MINUTE).reopened().closed(5 * MINUTE)
    await world.tell(history)
    around = {"start": wire.timestamp(NOON - DAY), "end": wire.timestamp(NOON + DAY)}
    (fact,) = (await world.sla.ListAlertFacts(ListAlertFactsRequest(**around))).facts  # type: ignore[arg-type]
    assert (fact.title, dict(fact.escalations)) == ("the disk is full", {"INITIAL": 1})
    assert [*fact.schedule_ids, "", *fact.responder_ids, "", *fact.told] == [
        "db",
        "",
        "alice",
        "bob",
        "",
        "alice",
    ]
    assert (fact.acked_by, fact.reopenings) == ("alice", 1)
    assert wire.instant(fact, "first_paged_at") == NOON + MINUTE


async def test_lists_page_from_the_newest_on(world: World) -> None:
    """Each alert once."""
    await world.tell(*(History(opened_at=NOON + n % 3 * MINUTE).opened() for n in range(7)))
    request = ListAlertFactsRequest(start=wire.timestamp(NOON), end=wire.timestamp(NOON + DAY), page_size=3)
    seen: list[sla_pb2.AlertFact] = []
    while True:
        answer = await world.sla.ListAlertFacts(request)
        seen += answer.facts
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert len({fact.alert_id for fact in seen}) == 7
    opened = [wire.instant(fact, "opened_at") for fact in seen]
    assert opened == sorted(opened, reverse=True)  # type: ignore[type-var]


async def test_wrong_fields_are_named(world: World) -> None:
    """All at once."""
    request = ListAlertFactsRequest(counted=99, label=["team", "a=1", "a=2"])  # type: ignore[arg-type]
    with pytest.raises(Invalid) as raised:
        await world.sla.ListAlertFacts(request)
    assert [field.path for field in raised.value.fields] == ["label[0]", "label[2]", "counted"]

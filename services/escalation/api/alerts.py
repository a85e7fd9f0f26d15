"""AlertService: triggers, verbs, lists and runs."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeAlias
from uuid import UUID

import structlog

from chassis import auth, ids, paging, wire
from chassis.db import Database
from chassis.errors import DomainError, Field, Invalid, NotFound, Problems, to_status
from chassis.server import Context
from chassis.snapshot import Snapshot
from chassis.validation import count
from services.escalation.api import watching
from services.escalation.api.feed import Feed
from services.escalation.api.search import key_of, place_of, search, wanted
from services.escalation.convert import alerts as convert
from services.escalation.domain import alert as verbs
from services.escalation.domain.alert import Alert, By, Change
from services.escalation.domain.escalation import escalated_by_hand
from services.escalation.domain.reopening import reopened
from services.escalation.domain.rules import Rules
from services.escalation.foresight import Foresight
from services.escalation.steps import Steps
from services.escalation.storage import alerts as storage
from services.escalation.storage import executions
from services.escalation.triggers import Outcome, Told, Triggers
from services.escalation.verbs import Verbs
from tocsin.escalation.v1 import alert_pb2, alert_service_pb2, alert_service_pb2_grpc

MOST_TRIGGERS = 1_000
MOST_NAMED = 10
"""How many ids the message of an error names: it travels in a header."""

Verb: TypeAlias = Callable[[Alert, By, datetime], Change]

_log = structlog.get_logger()
OUTCOMES = {one: alert_service_pb2.TriggerAlertResponse.Outcome.Value(one) for one in Outcome}


class AlertApi(alert_service_pb2_grpc.AlertServiceServicer):
    """Alerts, what people do to them, and how they escalate."""

    def __init__(
        self,
        *,
        db: Database,
        rules: Snapshot[Rules],
        triggers: Triggers,
        verbs: Verbs,
        steps: Steps,
        foresight: Foresight,
        feed: Feed,
    ) -> None:
        self._db = db
        self._rules = rules
        self._triggers = triggers
        self._verbs = verbs
        self._steps = steps
        self._foresight = foresight
        self._feed = feed

    async def TriggerAlert(
        self, request: alert_service_pb2.TriggerAlertRequest, _: Context
    ) -> alert_service_pb2.TriggerAlertResponse:
        """Opens an alert or adds to one."""
        done = await self._triggers.submit(
            Told(convert.report(request), request.policy_id, request.request_id)
        )
        return alert_service_pb2.TriggerAlertResponse(alert=done.alert, outcome=OUTCOMES[done.outcome])

    async def BatchTriggerAlerts(
        self, request: alert_service_pb2.BatchTriggerAlertsRequest, _: Context
    ) -> alert_service_pb2.BatchTriggerAlertsResponse:
        """Triggers many; each is answered by itself."""
        problems = Problems()
        count(problems, "requests", request.requests, least=1, most=MOST_TRIGGERS)
        problems.check()
        answers = await self._triggers.submit_many([_read(one) for one in request.requests])
        response = alert_service_pb2.BatchTriggerAlertsResponse()
        for answer in answers:
            if isinstance(answer, Exception):
                response.results.add(error=to_status(known(answer)))
            else:
                response.results.add(alert=answer.alert, outcome=OUTCOMES[answer.outcome])
        return response

    async def GetAlert(self, request: alert_service_pb2.GetAlertRequest, _: Context) -> alert_pb2.Alert:
        """One alert."""
        alert_id = ids.parse_uuid(request.alert_id, "alert_id")
        async with self._db.connect() as conn:
            return convert.alert_message(await storage.get(conn, alert_id))

    async def ListAlerts(
        self, request: alert_service_pb2.ListAlertsRequest, _: Context
    ) -> alert_service_pb2.ListAlertsResponse:
        """A page of alerts, the newest first."""
        asked, limit = wanted(request), paging.size(request.page_size)
        async with self._db.connect() as conn:
            found, token = await search(conn, asked, token=request.page_token, limit=limit)
        return alert_service_pb2.ListAlertsResponse(
            alerts=map(convert.alert_message, found), next_page_token=token
        )

    async def WatchAlerts(
        self, request: alert_service_pb2.WatchAlertsRequest, context: Context
    ) -> AsyncIterator[alert_service_pb2.WatchAlertsResponse]:
        """What happens from now on or after the resume token, each change once, until the server drains."""
        asked = watching.wanted(request)
        with self._feed.stream(auth.caller().subject):
            place = await self._feed.now()
            if request.resume_token:
                place = watching.resumed(request.resume_token, place)
            await context.send_initial_metadata(())  # tells the watcher that "now" is past
            async for event, after in self._feed.follow(place):
                alert = convert.alert_of(event.data)
                if asked.takes(alert):
                    yield alert_service_pb2.WatchAlertsResponse(
                        alert=alert, type=event.type, resume_token=after.token
                    )

    async def AcknowledgeAlert(
        self, request: alert_service_pb2.AcknowledgeAlertRequest, _: Context
    ) -> alert_pb2.Alert:
        """Somebody takes it."""
        return await self._do(request, acknowledged(self._rules.value))

    async def CloseAlert(self, request: alert_service_pb2.CloseAlertRequest, _: Context) -> alert_pb2.Alert:
        """It is over."""
        return await self._do(request, verbs.closed)

    async def CommentAlert(
        self, request: alert_service_pb2.CommentAlertRequest, _: Context
    ) -> alert_pb2.Alert:
        """A note for the timeline."""
        return await self._do(request, lambda alert, by, _: verbs.commented(alert, by))

    async def EscalateAlert(
        self, request: alert_service_pb2.EscalateAlertRequest, _: Context
    ) -> alert_pb2.Alert:
        """A level is told at once; the answer is the alert after that."""

        def escalated(alert: Alert, by: By, now: datetime) -> Change:
            policy = self._rules.value.followed(alert.policy_id)
            return escalated_by_hand(policy, alert, by, request.level, now)

        return await self._do_now(request, escalated)

    async def SnoozeAlert(self, request: alert_service_pb2.SnoozeAlertRequest, _: Context) -> alert_pb2.Alert:
        """It sleeps for a while."""

        def snoozed(alert: Alert, by: By, now: datetime) -> Change:
            return verbs.snoozed(alert, by, convert.snoozed_until(request, now), now)

        return await self._do(request, snoozed)

    async def ReopenAlert(self, request: alert_service_pb2.ReopenAlertRequest, _: Context) -> alert_pb2.Alert:
        """It escalates again from the first level."""
        return await self._do(request, reopened)

    async def ReassignAlert(
        self, request: alert_service_pb2.ReassignAlertRequest, _: Context
    ) -> alert_pb2.Alert:
        """It is given to somebody else, who is told at once; the answer is the alert after that."""

        def reassigned(alert: Alert, by: By, now: datetime) -> Change:
            return verbs.reassigned(alert, by, request.target, now)

        return await self._do_now(request, reassigned)

    async def _do(self, request: convert.Order, verb: Verb) -> alert_pb2.Alert:
        alert_id, actor, note = convert.order(request)
        by = By(auth.actor(actor), note)
        return await self._verbs.submit(alert_id, lambda alert, now: verb(alert, by, now))

    async def _do_now(self, request: convert.Order, verb: Verb) -> alert_pb2.Alert:
        done = await self._do(request, verb)
        alert_id = UUID(done.alert_id)
        await self._steps.evaluate([alert_id])
        async with self._db.connect() as conn:
            return convert.alert_message(await storage.get(conn, alert_id))

    async def ListAlertActions(
        self, request: alert_service_pb2.ListAlertActionsRequest, _: Context
    ) -> alert_service_pb2.ListAlertActionsResponse:
        """The timeline of an alert."""
        alert_id = ids.parse_uuid(request.alert_id, "alert_id")
        limit, after = paging.size(request.page_size), place_of(request.page_token)
        async with self._db.connect() as conn:
            await storage.exists(conn, alert_id)
            rows = await storage.timeline(conn, alert_id, after=after, limit=limit + 1)
        last = rows[:limit][-1:]
        shown, token = paging.page(rows, limit, key_of(last[0].at, last[0].action_id) if last else [])
        return alert_service_pb2.ListAlertActionsResponse(
            actions=map(convert.action_message, shown), next_page_token=token
        )

    async def ListEscalations(
        self, request: alert_service_pb2.ListEscalationsRequest, _: Context
    ) -> alert_service_pb2.ListEscalationsResponse:
        """The escalation steps of an alert."""
        alert_id = ids.parse_uuid(request.alert_id, "alert_id")
        limit, after = paging.size(request.page_size), place_of(request.page_token)
        async with self._db.connect() as conn:
            await storage.exists(conn, alert_id)
            rows = await executions.of_alert(conn, alert_id, after=after, limit=limit + 1)
        last = rows[:limit][-1:]
        shown, token = paging.page(rows, limit, key_of(last[0].at, last[0].execution_id) if last else [])
        return alert_service_pb2.ListEscalationsResponse(
            executions=map(convert.execution_message, shown), next_page_token=token
        )

    async def RunEscalations(
        self, request: alert_service_pb2.RunEscalationsRequest, _: Context
    ) -> alert_service_pb2.RunEscalationsResponse:
        """Takes what is due, or says what would be taken."""
        alert_ids, as_of = convert.alert_ids(request.alert_ids), wire.instant(request, "as_of")
        if as_of is not None and not request.dry_run:
            raise Invalid.field("as_of", "is for a dry run only; want dry_run beside it")
        await self._must_exist(alert_ids)
        if request.dry_run:
            steps = await self._foresight.steps(alert_ids, as_of)
        else:
            steps = await self._steps.evaluate(alert_ids)
        message = partial(convert.execution_message, foreseen=request.dry_run)
        return alert_service_pb2.RunEscalationsResponse(executions=map(message, steps))

    async def _must_exist(self, alert_ids: Sequence[UUID]) -> None:
        """Raises NotFound naming each id that no alert has."""
        if not alert_ids:
            return
        async with self._db.connect() as conn:
            unknown = await storage.unknown(conn, alert_ids)
        if unknown:
            places = [(place, one) for place, one in enumerate(alert_ids) if one in unknown]
            named = ", ".join(str(one) for _, one in places[:MOST_NAMED])
            more = f" and {len(places) - MOST_NAMED} more" if len(places) > MOST_NAMED else ""
            raise NotFound(
                f"there is no alert {named}{more}",
                reason="ALERT_NOT_FOUND",
                fields=[Field(f"alert_ids[{place}]", f"there is no alert {one}") for place, one in places],
            )


def acknowledged(rules: Rules) -> Verb:
    """Somebody takes an alert, for as long as its policy gives."""

    def verb(alert: Alert, by: By, now: datetime) -> Change:
        reopen_after = rules.followed(alert.policy_id).reopen_after
        return verbs.acknowledged(alert, by, now, reopen_after=reopen_after)

    return verb


def _read(request: alert_service_pb2.TriggerAlertRequest) -> Told | DomainError:
    try:
        return Told(convert.report(request), request.policy_id, request.request_id)
    except DomainError as error:
        return error


def known(error: Exception) -> DomainError:
    """The error as it may be told: what is none of ours is logged and says nothing."""
    if isinstance(error, DomainError):
        return error
    _log.error("trigger_failed", exc_info=error)
    return DomainError("internal error")

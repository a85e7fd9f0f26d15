"""What happened to an alert, told as the events that the other services publish."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeAlias
from uuid import UUID, uuid4

from google.protobuf.message import Message

from chassis import wire
from chassis.bus import Received
from tocsin.escalation.v1 import alert_pb2
from tocsin.escalation.v1 import events_pb2 as alert_events
from tocsin.notify.v1 import events_pb2 as notification_events
from tocsin.notify.v1 import route_pb2

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
State = alert_pb2.Alert.State
Reason = alert_pb2.EscalationExecution.Reason
Severity = alert_pb2.Severity.Value
Verb: TypeAlias = Callable[[], "History"]


@dataclass
class History:
    """One alert as its service changes it; `events` is what has been published so far, in order."""

    opened_at: datetime = NOON
    severity: alert_pb2.Severity.Value.ValueType = Severity.CRITICAL
    policy_id: str = "default"
    source: str = "prometheus"
    labels: Mapping[str, str] = field(default_factory=lambda: {"team": "db"})
    title: str = "the disk is full"
    alert_id: UUID = field(default_factory=uuid4)
    events: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.alert = alert_pb2.Alert(
            alert_id=str(self.alert_id),
            severity=self.severity,
            policy_id=self.policy_id,
            source=self.source,
            labels=self.labels,
            title=self.title,
            opened_at=wire.timestamp(self.opened_at),
        )

    def opened(self) -> "History":
        """It opens, at once or when nothing keeps it quiet any more."""
        self.alert.state = State.OPEN
        self.alert.suppressed_by = ""
        self._happened("alert.opened", alert_events.AlertOpenedEvent())
        return self

    def suppressed(self) -> "History":
        """A silence keeps it quiet."""
        self.alert.state, self.alert.suppressed_by = State.SUPPRESSED, "silence-rules/night"
        self._happened("alert.suppressed", alert_events.AlertSuppressedEvent())
        return self

    def noise_suppressed(self) -> "History":
        """An aggregation rule puts it behind another."""
        self.alert.state, self.alert.suppressed_by = State.SUPPRESSED, "aggregation-rules/hosts"
        self._happened("alert.noise_suppressed", alert_events.AlertNoiseSuppressedEvent())
        return self

    def repeated(self, severity: alert_pb2.Severity.Value.ValueType = Severity.CRITICAL) -> "History":
        """It is triggered again, and its severity may have changed."""
        self.alert.severity = severity
        self._happened("alert.repeated", alert_events.AlertRepeatedEvent(triggers=1))
        return self

    def escalated(
        self,
        reason: alert_pb2.EscalationExecution.Reason.ValueType = Reason.INITIAL,
        *,
        targets: Sequence[str] = ("oncall://active",),
        recipients: Sequence[str] = (),
    ) -> "History":
        """A level is told."""
        execution = alert_pb2.EscalationExecution(
            execution_id=str(uuid4()), reason=reason, targets=targets, recipients=recipients
        )
        self._happened("alert.escalated", alert_events.AlertEscalatedEvent(execution=execution))
        return self

    def acknowledged(self, after: timedelta, by: str = "alice") -> "History":
        """Somebody takes it, so long after it opened."""
        self.alert.state, self.alert.acked_by = State.ACKED, by
        self.alert.MergeFrom(alert_pb2.Alert(acked_at=wire.timestamp(self.opened_at + after)))
        self._happened("alert.acknowledged", alert_events.AlertAcknowledgedEvent())
        return self

    def reopened(self) -> "History":
        """It escalates again, and nobody has taken it."""
        self.alert.state, self.alert.acked_by = State.OPEN, ""
        self.alert.ClearField("acked_at")
        self._happened("alert.reopened", alert_events.AlertReopenedEvent())
        return self

    def closed(self, after: timedelta, by: str = "bob") -> "History":
        """It is over, so long after it opened."""
        self.alert.state, self.alert.closed_by = State.CLOSED, by
        self.alert.MergeFrom(alert_pb2.Alert(closed_at=wire.timestamp(self.opened_at + after)))
        self._happened("alert.closed", alert_events.AlertClosedEvent())
        return self

    def sent(self, after: timedelta, to: str = "alice", execution_id: str = "") -> "History":
        """A page was taken by the other side, so long after the alert opened."""
        at = wire.timestamp(self.opened_at + after)
        log = route_pb2.RouteLog(
            route_log_id=str(uuid4()),
            alert_id=str(self.alert_id),
            execution_id=execution_id,
            responder_id=to,
            sent_at=at,
        )
        event = notification_events.NotificationSentEvent(route_log=log, at=at)
        self.events.append(received("notification.sent", event, subject=log.route_log_id))
        return self

    def _happened(self, kind: str, event: Message) -> None:
        self.alert.version += 1
        event.alert.CopyFrom(self.alert)  # type: ignore[attr-defined]
        event.version = self.alert.version  # type: ignore[attr-defined]
        self.events.append(received(kind, event, subject=str(self.alert_id)))


def received(kind: str, event: Message | bytes, *, subject: str = "") -> Received:
    """An event as a consumer gets it."""
    data = event if isinstance(event, bytes) else event.SerializeToString()
    return Received(id=uuid4(), type=kind, subject=subject, data=data, at=NOON, headers={}, redelivered=0)


def any_history(dice: random.Random) -> History:
    """Something that may happen to an alert."""
    history = History(
        opened_at=NOON + timedelta(seconds=dice.randrange(-86_400, 86_400), microseconds=dice.randrange(10**6)),
        severity=dice.choice([Severity.CRITICAL, Severity.LOW]),
        policy_id=dice.choice(["default", "db"]),
        source=dice.choice(["prometheus", "grafana", "a source of a very long name " * 20]),
        labels={"team": dice.choice(["db", "web"])},
    )  # fmt: skip
    dice.choice([history.opened, history.opened, history.suppressed, history.noise_suppressed])()
    for _ in range(dice.randrange(8)):
        after = timedelta(seconds=dice.randrange(1, 7200), milliseconds=dice.randrange(1000))
        verbs = _verbs(history, dice, after)
        if verbs:
            dice.choice(verbs)()
    return history


def _verbs(history: History, dice: random.Random, after: timedelta) -> list[Verb]:
    """What may happen to the alert next."""
    who = dice.choice(["alice", "bob", "carol"])
    match history.alert.state:
        case State.OPEN:
            return [
                partial(
                    history.escalated,
                    dice.choice([Reason.INITIAL, Reason.ACK_TIMEOUT, Reason.MANUAL]),
                    targets=dice.choice(
                        [["oncall://active"], ["oncall://db", "responder://bob"], ["oncall://web/next"]]
                    ),
                    recipients=dice.sample(["alice", "bob", "carol"], dice.randrange(3)),
                ),
                partial(history.sent, after, who),
                partial(history.acknowledged, after, who),
                partial(history.repeated, dice.choice([Severity.CRITICAL, Severity.HIGH])),
                partial(history.closed, after),
            ]
        case State.ACKED:
            return [history.reopened, partial(history.sent, after, who), partial(history.closed, after)]
        case State.SUPPRESSED:
            return [history.opened, history.repeated, partial(history.closed, after)]
        case _:
            return []

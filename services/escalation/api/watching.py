"""What a caller of WatchAlerts wants to hear of, and where the stream goes on."""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis import validation
from chassis.errors import Invalid, Problems, Refused
from services.escalation.convert.alerts import severities
from services.escalation.domain.alert import Severity
from services.escalation.domain.facts import Facts
from services.escalation.domain.matcher import Matcher, all_match, check_matchers, parse
from services.escalation.storage.news import Place
from tocsin.escalation.v1 import alert_pb2, alert_service_pb2

KEPT = 6 * 86_400
"""How old a place may be, in seconds: the outbox keeps events for a day longer."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts' changes are streamed; empty parts ask for nothing."""

    severities: Sequence[Severity]
    source: str
    policy_id: str
    matchers: Sequence[Matcher]

    def takes(self, alert: alert_pb2.Alert) -> bool:
        """Whether the alert is one of them."""
        severity = alert_pb2.Severity.Value.Name(alert.severity)
        return (
            (not self.severities or severity in self.severities)
            and self.source in ("", alert.source)
            and self.policy_id in ("", alert.policy_id)
            and (
                not self.matchers
                or all_match(self.matchers, Facts(severity, alert.source, alert.title, alert.labels).seen())
            )
        )


def wanted(request: alert_service_pb2.WatchAlertsRequest) -> Wanted:
    """What is asked for. Raises Invalid naming every wrong field."""
    problems = Problems()
    check_matchers(problems, request.matchers)
    validation.text(problems, "source", request.source, most=1024)
    validation.text(problems, "policy_id", request.policy_id, most=63)
    chosen = severities(request.severity, problems)
    problems.check()
    return Wanted(chosen, request.source, request.policy_id, [parse(text) for text in request.matchers])


def resumed(token: str, now: Place) -> Place:
    """The place that a token names.

    Raises Invalid for what is no token, Refused for one that is too old or that this database never gave.
    """
    place = Place.read(token)
    if place is None:
        raise Invalid.field("resume_token", "is not a token of this stream")
    if place.at < now.at - KEPT or place.end > now.end:
        raise Refused(
            "the changes after this token are not kept any more: list the alerts, and watch from now on",
            reason="RESUME_TOKEN_EXPIRED",
        )
    return place

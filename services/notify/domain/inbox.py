"""The in-app inbox of a responder."""

from dataclasses import dataclass

from services.notify.domain.route import RouteLog


@dataclass(frozen=True, slots=True)
class Item:
    """One page in an inbox: its route log, and the serialised alert as it was."""

    route: RouteLog
    alert: bytes
    reason: str
    level: int

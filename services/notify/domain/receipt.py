"""What a receipt does to a route log."""

from dataclasses import replace
from datetime import datetime

from services.notify.domain.route import Receipt, RouteLog, Status, moved

REPORTED = (Status.DELIVERED, Status.READ, Status.ACKNOWLEDGED, Status.FAILED)
"""What the other side can say."""
MOST_RECEIPTS = 100
"""How many receipts a route log keeps: whoever holds its link could fill the disk otherwise."""
_SEEN = (Status.READ, Status.ACKNOWLEDGED)


def received(route: RouteLog, receipt: Receipt, now: datetime) -> tuple[RouteLog, list[Status]]:
    """The route log after a receipt, and the statuses that it reached by it, in order.

    A receipt from someone who got the page proves that it was sent, also when our own attempt does not know it yet.
    """
    status = moved(route.status, receipt.status)
    if status is route.status:
        return route, []
    proves_sent = route.sent_at is None and status is not Status.FAILED
    after = replace(
        route,
        status=status,
        sent_at=now if proves_sent else route.sent_at,
        read_at=now if status in _SEEN and route.read_at is None else route.read_at,
        last_error=receipt.detail if status is Status.FAILED else route.last_error,
        due_at=None,
        fail_over_at=route.given_up_at(now) if status is Status.FAILED else None,
    )
    return after, [Status.SENT, status] if proves_sent else [status]

"""What one fact adds to the figures: said once, for changes, rebuilds, checks and the facts at the edges."""

from collections.abc import Sequence

from services.sla.domain.sketch import GAMMA

SUMS = {
    "total": "{f}.opened",
    "acked": "{f}.opened and {f}.acked_at is not null",
    "closed": "{f}.opened and {f}.closed_at is not null",
    "timeout_escalated": "{f}.opened and {f}.timeout_escalated",
    "suppressed": "not {f}.opened and {f}.suppressed",
    "noise_suppressed": "not {f}.opened and {f}.noise_suppressed",
    "paged": "{f}.opened and {f}.first_paged_at is not null",
    "unacked": "{f}.opened and {f}.acked_at is null and {f}.closed_at is null",
}
"""The alerts that count, by the name of the column."""
TIMES = {"ack_us": "acked_at", "page_us": "first_paged_at", "close_us": "closed_at"}
"""Sums of microseconds from opening to a column. A bucket of the n-th of them has the code 1 + n * 2048 + bucket."""
WIDTH = 2048
MEASURES = (*SUMS, "reopenings", *TIMES, "unacked_us")
"""The names of all columns that are summed."""
COUNTED = tuple(name for name in MEASURES if name != "unacked_us")
HOUR = "date_trunc('hour', {f}.opened_at, 'UTC')"


def key(value: str) -> str:
    """The SQL of a value as cells are filed under it: no index could hold a long one."""
    return f"case when octet_length({value}) > 200 then 'md5:' || md5({value}) else {value} end"


def measures(f: str, origin: str = HOUR) -> Sequence[str]:
    """The SQL of what the fact `f` adds, in the order of MEASURES; `unacked_us` is reckoned from `origin`."""
    start = origin.format(f=f)
    unacked = SUMS["unacked"].format(f=f)
    return (
        *(f"({condition.format(f=f)})::int" for condition in SUMS.values()),
        f"case when {f}.opened then cardinality({f}.reopenings) else 0 end",
        *(
            f"case when {f}.opened and {f}.{at} is not null then {_micros(f'{f}.{at} - {f}.opened_at')} else 0 end"
            for at in TIMES.values()
        ),
        f"case when {unacked} then {_micros(f'{f}.opened_at - {start}')} else 0 end",
    )


def codes(f: str) -> Sequence[str]:
    """The SQL of the buckets that the fact `f` is in, null where a time is not known."""
    return tuple(
        f"case when {f}.opened and {f}.{at} is not null then {1 + place * WIDTH} + greatest(0, ceil(ln(greatest("
        f"date_part('epoch', {f}.{at} - {f}.opened_at) * 1000, 1e-9)) / ln({GAMMA}::float8)))::int end"
        for place, at in enumerate(TIMES.values())
    )


def marks(f: str) -> str:
    """The SQL of an aggregate: the buckets that the facts `f` are in, each as often as there are facts in it."""
    return " || ".join(
        f"coalesce(array_agg({code}) filter (where {code} is not null), '{{}}')" for code in codes(f)
    )


def _micros(span: str) -> str:
    return f"(date_part('epoch', {span}) * 1000000)::bigint"

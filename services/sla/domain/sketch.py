"""Percentiles from counts in logarithmic buckets: mergeable, and never more than 1 % from the true value.

Bucket 0 holds lengths up to a millisecond, bucket n > 0 those above GAMMA^(n-1) and up to GAMMA^n milliseconds. The
value given for a bucket is at most (GAMMA - 1) / (GAMMA + 1) = 0.99 % away from every length in it.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate

GAMMA = 1.02
ERROR = (GAMMA - 1) / (GAMMA + 1)
"""The largest relative error."""


def middle(number: int) -> float:
    """The seconds that stand for a bucket."""
    return 2 * GAMMA**number / (GAMMA + 1) / 1000 if number else 0.0


def percentiles(buckets: Mapping[int, int], shares: tuple[float, ...]) -> tuple[float | None, ...]:
    """The lengths below which the shares of them lie, between two values in proportion; None of nothing.

    `buckets` maps buckets to how many lengths they hold.
    """
    numbers = sorted(number for number, held in buckets.items() if held)
    upto = list(accumulate(buckets[number] for number in numbers))
    if not upto:
        return tuple(None for _ in shares)
    return tuple(_between(numbers, upto, share * (upto[-1] - 1)) for share in shares)


def _between(numbers: list[int], upto: list[int], place: float) -> float:
    low, high = _at(numbers, upto, math.floor(place)), _at(numbers, upto, math.ceil(place))
    return low + (high - low) * (place % 1)


def _at(numbers: list[int], upto: list[int], rank: int) -> float:
    """The value of a rank, counted from 0."""
    return middle(numbers[bisect_right(upto, rank)])

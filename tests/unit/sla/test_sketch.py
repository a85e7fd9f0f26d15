"""Percentiles of buckets are within the stated error of the exact ones."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.domain.sketch import ERROR, GAMMA, middle, percentiles

SHARES = (0.5, 0.9, 0.99)
SECONDS = st.lists(st.floats(0.002, 10**8), min_size=1, max_size=200)


def bucket(seconds: float) -> int:
    """The bucket of a length, as the module's docstring has it."""
    return max(0, math.ceil(math.log(seconds * 1000) / math.log(GAMMA)))


def exact(values: list[float], share: float) -> float:
    """The percentile between two values in proportion."""
    ordered, place = sorted(values), share * (len(values) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place % 1)


@given(SECONDS)
def test_no_percentile_is_further_away_than_stated(values: list[float]) -> None:
    """One percent, as documented."""
    assert ERROR < 0.01
    found = percentiles(Counter(map(bucket, values)), SHARES)
    for share, value in zip(SHARES, found, strict=True):
        assert value == pytest.approx(exact(values, share), rel=0.01)


@given(SECONDS, SECONDS)
def test_sketches_merge(one: list[float], other: list[float]) -> None:
    """The sum of two is the sketch of both; what is taken away again is gone."""
    both = Counter(map(bucket, one)) + Counter(map(bucket, other))
    assert percentiles(both, SHARES) == percentiles(Counter(map(bucket, one + other)), SHARES)
    left = {number: both[number] - held for number, held in Counter(map(bucket, other)).items()}
    assert percentiles({**both, **left}, SHARES) == percentiles(Counter(map(bucket, one)), SHARES)


def test_nothing_has_no_percentiles() -> None:
    """Not zeros."""
    assert percentiles({}, SHARES) == (None, None, None)
    assert percentiles({7: 0}, SHARES) == (None, None, None)


def test_the_shortest_are_nothing() -> None:
    """Up to a millisecond."""
    assert percentiles({0: 3}, (0.5,)) == (0.0,)
    assert middle(0) == 0.0

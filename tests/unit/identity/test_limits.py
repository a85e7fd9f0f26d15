"""Buckets: what a caller may do at once, what comes back with time, and who has no limit."""

import pytest

from chassis.auth import ANONYMOUS, Principal
from chassis.errors import Exhausted, from_status, to_status
from identity.limits import REMEMBERED, Limits

ADA = Principal("ada", frozenset({"alerts:read"}))


def test_a_caller_may_make_two_seconds_worth_of_calls_at_once() -> None:
    limits = Limits(5)
    assert [limits.take(ADA, 0.0).left for _ in range(10)] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]  # type: ignore[union-attr]
    with pytest.raises(Exhausted) as over:
        limits.take(ADA, 0.1)
    assert over.value.reason == "RATE_LIMITED"
    assert over.value.retry_after is not None
    assert over.value.retry_after.total_seconds() == pytest.approx(0.1)
    limits.take(ADA, 0.1 + over.value.retry_after.total_seconds())  # honest: then it is allowed


def test_what_it_is_told_crosses_the_wire() -> None:
    limits = Limits(1)
    limits.take(ADA, 0.0)
    limits.take(ADA, 0.0)
    with pytest.raises(Exhausted) as over:
        limits.take(ADA, 0.0)
    told = from_status(to_status(over.value))
    assert isinstance(told, Exhausted)
    assert (told.retry_after, told.facts) == (over.value.retry_after, {"limit": "1", "remaining": "0"})


def test_each_caller_has_a_bucket_of_its_own_and_a_key_one_beside_its_subject() -> None:
    limits = Limits(1)
    key = Principal("ada", frozenset(), credential="ci")
    for one in (ADA, key, Principal("bob"), Principal("ci")):
        limits.take(one, 0.0)
        limits.take(one, 0.0)
        with pytest.raises(Exhausted):
            limits.take(one, 0.0)


@pytest.mark.parametrize(
    "principal",
    [ANONYMOUS, Principal("root", frozenset({"admin"})), Principal("notify", frozenset({"service"}))],
)
def test_who_has_no_limit(principal: Principal) -> None:
    limits = Limits(1)
    assert {limits.take(principal, 0.0) for _ in range(10)} == {None}
    assert Limits(0).take(ADA, 0.0) is None


def test_a_keys_own_limit_goes_before_the_default_and_binds_admin_too() -> None:
    limits = Limits(1)
    key = Principal("root", frozenset({"admin"}), credential="ci", rate=2)
    for _ in range(4):
        limits.take(key, 0.0)
    with pytest.raises(Exhausted):
        limits.take(key, 0.0)


def test_callers_without_number_are_forgotten_once_they_may_do_everything_again() -> None:
    limits = Limits(1)
    for number in range(REMEMBERED):
        limits.take(Principal(f"subject-{number}"), 0.0)
    limits.take(ADA, 0.5)
    assert len(limits._buckets) == REMEMBERED + 1  # nobody gets a fresh bucket early
    limits.take(Principal("bob"), 10.0)
    assert len(limits._buckets) == 1

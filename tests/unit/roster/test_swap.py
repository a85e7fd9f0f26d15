"""Swaps: every verb in every state by everybody, and the overrides that an agreement makes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import pytest

from chassis.errors import Denied, Refused
from services.roster.domain import swap as rules
from services.roster.domain.swap import By, State, Swap

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST, SECOND = UUID(int=1), UUID(int=2)
Verb: TypeAlias = Callable[[Swap, By, datetime], Swap]


def accept(swap: Swap, by: By, now: datetime) -> Swap:
    """Accepts with ids that are known."""
    return rules.accept(swap, by, now, (FIRST, SECOND))


VERBS: dict[str, Verb] = {
    "offer": rules.offer,
    "accept": accept,
    "decline": rules.decline,
    "cancel": rules.cancel,
    "undo": rules.undo,
}
ADA, BOB, EVE, ADMIN = By("ada"), By("bob"), By("eve"), By("root", admin=True)
"""The asker, the taker, somebody else, and somebody who may speak for both."""


def swap(state: State, *, everybody: bool = False, exchange: bool = True) -> Swap:
    """Ada asks Bob, or everybody, to take an hour, in exchange for another or not."""
    made = Swap(
        swap_id=UUID(int=9),
        schedule_id="web",
        asker_id="ada",
        taker_id=None if everybody else "bob",
        starts_at=NOW + HOUR,
        ends_at=NOW + 2 * HOUR,
        return_starts_at=NOW + 5 * HOUR if exchange else None,
        return_ends_at=NOW + 6 * HOUR if exchange else None,
        note="",
        state=state,
        created_at=NOW - HOUR,
        changed_at=NOW - HOUR,
    )
    if state is not State.ACCEPTED:
        return made
    return replace(made, override_id=FIRST, return_override_id=SECOND if exchange else None)


MATRIX = """
           offer         accept         decline        cancel          undo
everybody  dyyy>OFFERED  rddr           rddr           yddy>CANCELLED  rddr
ASKED      drrr          dydy>ACCEPTED  dydy>DECLINED  yddy>CANCELLED  rrdr
OFFERED    drrr          yddy>ACCEPTED  yydy>ASKED     yddy>CANCELLED  rrdr
ACCEPTED   drrr          rrdr           rrdr           rddr            yydy>UNDONE
DECLINED   drrr          rrdr           rrdr           rddr            rrdr
CANCELLED  drrr          rrdr           rrdr           rddr            rrdr
UNDONE     drrr          rrdr           rrdr           rddr            rrdr
"""
"""What becomes of a swap when Ada, Bob, Eve and an admin, in this order, say the verb: `y` leads to the state that
follows, `r` is refused in this state, `d` is denied to this person. `everybody` is ASKED of everybody."""


def cases() -> Iterator[tuple[str, str, By, str]]:
    """The state, the verb, who says it, and what is expected: each mark of the matrix."""
    header, *lines = MATRIX.strip().splitlines()
    for line in lines:
        state, *cells = line.split()
        for verb, cell in zip(header.split(), cells, strict=True):
            marks, _, follows = cell.partition(">")
            for by, mark in zip((ADA, BOB, EVE, ADMIN), marks, strict=True):
                yield state, verb, by, follows if mark == "y" else mark


@pytest.mark.parametrize(("state", "verb", "by", "expected"), [*cases()])
def test_every_verb_in_every_state_by_everybody(state: str, verb: str, by: By, expected: str) -> None:
    before = swap(State.ASKED, everybody=True) if state == "everybody" else swap(State(state))
    if expected in ("r", "d"):
        with pytest.raises(Refused if expected == "r" else Denied):
            VERBS[verb](before, by, NOW)
        return
    found = VERBS[verb](before, by, NOW)
    assert (found.state, found.changed_at) == (expected, NOW)
    assert (found.override_id is not None) == (found.state is State.ACCEPTED)


def test_an_agreement_is_two_replacements() -> None:
    taken, returned = rules.agreed(accept(swap(State.ASKED), BOB, NOW))
    assert (taken.responder_id, taken.replaced_responder_id) == ("bob", "ada")
    assert (taken.starts_at, taken.ends_at, taken.created_at) == (NOW + HOUR, NOW + 2 * HOUR, NOW)
    assert (returned.responder_id, returned.replaced_responder_id) == ("ada", "bob")
    assert (returned.starts_at, returned.ends_at) == (NOW + 5 * HOUR, NOW + 6 * HOUR)
    assert {taken.override_id, returned.override_id} == {FIRST, SECOND}


def test_without_an_exchange_it_is_one() -> None:
    [taken] = rules.agreed(accept(swap(State.ASKED, exchange=False), BOB, NOW))
    assert (taken.responder_id, taken.override_id) == ("bob", FIRST)


@pytest.mark.parametrize("state", [state for state in State if state is not State.ACCEPTED])
def test_what_is_not_agreed_has_no_overrides(state: State) -> None:
    assert rules.agreed(swap(state)) == []


def test_an_offer_makes_its_maker_a_party_and_declining_it_asks_everybody_again() -> None:
    offered = rules.offer(swap(State.ASKED, everybody=True), EVE, NOW)
    assert (offered.state, offered.taker_id) == (State.OFFERED, "eve")
    for by in (ADA, EVE, ADMIN):
        again = rules.decline(offered, by, NOW)
        assert (again.state, again.taker_id) == (State.ASKED, None)
    with pytest.raises(Denied):
        rules.decline(offered, BOB, NOW)
    [taken, _] = rules.agreed(accept(offered, ADA, NOW))
    assert taken.responder_id == "eve"


def test_a_time_that_has_ended_is_not_agreed_on_and_an_agreement_is_undone_until_both_have() -> None:
    asked, everybody = swap(State.ASKED), swap(State.ASKED, everybody=True)
    accept(asked, BOB, NOW + 2 * HOUR - timedelta.resolution)
    for verb, before, by in (("accept", asked, BOB), ("offer", everybody, BOB)):
        with pytest.raises(Refused) as caught:
            VERBS[verb](before, by, NOW + 2 * HOUR)
        assert caught.value.reason == "SWAP_OVER"
    accepted = swap(State.ACCEPTED)
    rules.undo(accepted, ADA, NOW + 6 * HOUR - timedelta.resolution)
    with pytest.raises(Refused) as caught:
        rules.undo(accepted, ADA, NOW + 6 * HOUR)
    assert caught.value.reason == "SWAP_OVER"
    rules.decline(asked, BOB, NOW + 9 * HOUR)
    rules.cancel(asked, ADA, NOW + 9 * HOUR)

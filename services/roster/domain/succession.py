"""What becomes of turns when a layer's people are edited: nobody is moved off call in the middle of a turn."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from services.roster.domain import walltime
from services.roster.domain.rotation import running
from services.roster.domain.schedule import Layer, Schedule
from services.roster.domain.time_off import Rule


def succeed(
    before: Schedule, after: Schedule, now: datetime, away: Collection[str] = frozenset()
) -> Schedule:
    """The edited schedule, each layer of which goes on where the layer of the same name was.

    Whoever has the turn keeps it until the handoff, also someone who has left the layer, and the others follow in
    their order from there. A layer whose rotation is another, or has not begun yet, is counted from its start.
    `away` are the people on leave at `now`: whoever takes the turn of one of them has the turn.
    """
    known = {layer.name: layer for layer in before.layers}
    layers = tuple(
        _continued(known[layer.name], layer, after.zone, now, away) if layer.name in known else layer
        for layer in after.layers
    )
    return replace(after, layers=layers)


def needs(schedule: Schedule, responder_id: str, now: datetime) -> bool:
    """Whether a layer may still put somebody on call: for turns to come, or for the one that runs."""
    return any(
        responder_id in layer.responder_ids
        or (
            layer.keeper == responder_id and running(layer.counted(), schedule.zone, now).number <= layer.turn
        )
        for layer in schedule.layers
    )


def _continued(before: Layer, after: Layer, zone: ZoneInfo, now: datetime, away: Collection[str]) -> Layer:
    rotation = after.counted()
    if rotation != before.counted() or walltime.first(rotation.start, zone) > now:
        return after
    if after.responder_ids == before.responder_ids:
        return replace(after, turn=before.turn, place=before.place, keeper=before.keeper)
    turn = running(rotation, zone, now).number
    person = before.person(turn)
    if person in after.responder_ids:
        edited = replace(after, turn=turn, place=_place(before, after, turn))
    else:
        edited = replace(after, turn=turn, place=_place_before_next(before, after, turn), keeper=person)
    present = _present(before, turn, away)
    if present in ("", _present(edited, turn, away)):
        return edited
    return replace(edited, keeper=present)


def _present(layer: Layer, turn: int, away: Collection[str]) -> str:
    """Who takes a turn while these people are on leave; empty for nobody."""
    if layer.time_off is Rule.FLAG:
        return layer.person(turn)
    return next((person for person in layer.line(turn) if person not in away), "")


def _place(before: Layer, after: Layer, turn: int) -> int:
    """Where the person of the turn stands now; of several places the one nearest to the place before."""
    was = (turn - before.turn + before.place) % len(before.responder_ids)
    person = before.person(turn)
    places = [place for place, name in enumerate(after.responder_ids) if name == person]
    return min(places, key=lambda place: abs(place - was))


def _place_before_next(before: Layer, after: Layer, turn: int) -> int:
    """The place before the first of those who would have followed and are still in the layer; else the last."""
    for following in range(turn + 1, turn + len(before.responder_ids) + 1):
        if before.person(following) in after.responder_ids:
            return (_place(before, after, following) - 1) % len(after.responder_ids)
    return len(after.responder_ids) - 1

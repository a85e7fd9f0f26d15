"""What overrides make of the people on call at one instant."""

from collections.abc import Sequence

from services.roster.domain.shift import Override, Source
from services.roster.domain.stretch import Present


def in_force(people: Sequence[Present], overrides: Sequence[Override]) -> tuple[Present, ...]:
    """Who is on call when `overrides`, the newest first, apply to `people`; by responder.

    A replacement acts while the replaced person is on call, of several for one person the newest, and a stand-in may
    be replaced in turn by an override that is newer than the one that brought them. Additions stand beside the rest.
    """
    present: dict[str, Present] = {}
    for person in people:
        stays = _stand_in(person, None, overrides)
        if stays is not None:
            _enter(present, stays)
    for override in overrides:
        if override.replaced_responder_id is None and override.responder_id is not None:
            cover = _cover(override.responder_id, override)
            stays = _stand_in(cover, override, overrides)
            if stays is not None:
                _enter(present, stays)
    return tuple(present[responder_id] for responder_id in sorted(present))


def _enter(present: dict[str, Present], person: Present) -> None:
    """One entry per person; an override explains more than what lies under it."""
    if person.source is Source.OVERRIDE or person.responder_id not in present:
        present[person.responder_id] = person


def _stand_in(person: Present, since: Override | None, overrides: Sequence[Override]) -> Present | None:
    """Who is on call in a person's place; None when the newest override takes the person off call."""
    for override in overrides:
        if since is not None and override.age <= since.age:
            return person
        if override.replaced_responder_id == person.responder_id:
            if override.responder_id is None:
                return None
            return _stand_in(_cover(override.responder_id, override), override, overrides)
    return person


def _cover(responder_id: str, override: Override) -> Present:
    return Present(responder_id, Source.OVERRIDE, origin=override.override_id)

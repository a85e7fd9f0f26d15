"""The tables of the schema `roster`, as the migrations make them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy import Sequence as Numbers
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeDecorator

from services.roster.domain.interval import Interval
from services.roster.domain.restriction import Restriction
from services.roster.domain.rotation import Rotation, Unit
from services.roster.domain.schedule import Layer
from services.roster.domain.swap import State
from services.roster.domain.time_off import Rule

metadata = MetaData()
revisions = Numbers("revisions", metadata=metadata, data_type=BigInteger)
"""Numbers that no two changes of responders, teams and schedules share."""


class Layers(TypeDecorator[tuple[Layer, ...]]):
    """Layers as one JSON document: a schedule's layers are always read and replaced as a whole."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Sequence[Layer] | None, _: Dialect) -> Any:
        """To JSON."""
        return None if value is None else [_to_json(layer) for layer in value]

    def process_result_value(self, value: Any, _: Dialect) -> tuple[Layer, ...] | None:
        """From JSON."""
        return None if value is None else tuple(_from_json(layer) for layer in value)


class Names(TypeDecorator[tuple[str, ...]]):
    """Names as an array."""

    impl = ARRAY(Text)
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, _: Dialect) -> Any:
        """To a list."""
        return None if value is None else [*value]

    def process_result_value(self, value: Any, _: Dialect) -> tuple[str, ...] | None:
        """From a list."""
        return None if value is None else tuple(value)


class States(TypeDecorator[State]):
    """The state of a swap as text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: State | None, _: Dialect) -> Any:
        """To text."""
        return None if value is None else value.value

    def process_result_value(self, value: Any, _: Dialect) -> State | None:
        """From text."""
        return None if value is None else State(value)


class Intervals(TypeDecorator[tuple[Interval, ...]]):
    """Intervals as one JSON document."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Sequence[Interval] | None, _: Dialect) -> Any:
        """To JSON."""
        return None if value is None else [[at.isoformat() for at in interval] for interval in value]

    def process_result_value(self, value: Any, _: Dialect) -> tuple[Interval, ...] | None:
        """From JSON."""
        return (
            None if value is None else tuple(Interval(*map(datetime.fromisoformat, pair)) for pair in value)
        )


def _to_json(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "responder_ids": [*layer.responder_ids],
        "unit": layer.rotation.unit.value,
        "length": layer.rotation.length,
        "start": layer.rotation.start.isoformat(),
        "restrictions": [
            {
                "weekdays": sorted(restriction.weekdays),
                "start_time": restriction.start_time.isoformat(),
                "end_time": restriction.end_time.isoformat(),
            }
            for restriction in layer.restrictions
        ],
        "active_days_only": layer.active_days_only,
        "time_off": layer.time_off.value,
        "turn": layer.turn,
        "place": layer.place,
        "keeper": layer.keeper,
    }


def _from_json(layer: Mapping[str, Any]) -> Layer:
    return Layer(
        name=layer["name"],
        responder_ids=tuple(layer["responder_ids"]),
        rotation=Rotation(Unit(layer["unit"]), layer["length"], datetime.fromisoformat(layer["start"])),
        restrictions=tuple(
            Restriction(
                frozenset(restriction["weekdays"]),
                time.fromisoformat(restriction["start_time"]),
                time.fromisoformat(restriction["end_time"]),
            )
            for restriction in layer["restrictions"]
        ),
        active_days_only=layer["active_days_only"],
        time_off=Rule(layer.get("time_off", Rule.SKIP)),  # layers written before there was time off have none
        turn=layer["turn"],
        place=layer["place"],
        keeper=layer["keeper"],
    )


responders = Table(
    "responders",
    metadata,
    Column("responder_id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("request_id", Text),
    Column("revision", BigInteger, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("schedule_id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("layers", Layers, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("team_id", Text, nullable=False),
    Column("request_id", Text),
    Column("revision", BigInteger, nullable=False),
)

shifts = Table(
    "shifts",
    metadata,
    Column("shift_id", Uuid, primary_key=True),
    Column("schedule_id", Text, nullable=False),
    Column("responder_id", Text, nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Column("request_id", Text),
)

overrides = Table(
    "overrides",
    metadata,
    Column("override_id", Uuid, primary_key=True),
    Column("schedule_id", Text, nullable=False),
    Column("responder_id", Text),
    Column("replaced_responder_id", Text),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("request_id", Text),
)

teams = Table(
    "teams",
    metadata,
    Column("team_id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("responder_ids", Names, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("manager_ids", Names, nullable=False),
    Column("request_id", Text),
    Column("revision", BigInteger, nullable=False),
)

time_off = Table(
    "time_off",
    metadata,
    Column("time_off_id", Uuid, primary_key=True),
    Column("responder_id", Text, nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("request_id", Text),
)

swaps = Table(
    "swaps",
    metadata,
    Column("swap_id", Uuid, primary_key=True),
    Column("schedule_id", Text, nullable=False),
    Column("asker_id", Text, nullable=False),
    Column("taker_id", Text),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Column("return_starts_at", DateTime(timezone=True)),
    Column("return_ends_at", DateTime(timezone=True)),
    Column("note", Text, nullable=False),
    Column("state", States, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("override_id", Uuid),
    Column("return_override_id", Uuid),
    Column("request_id", Text),
)

watches = Table(
    "watches",
    metadata,
    Column("schedule_id", Text, primary_key=True),
    Column("responder_ids", Names, nullable=False),
    Column("watched_at", DateTime(timezone=True), nullable=False),
    Column("edited_at", DateTime(timezone=True)),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("gaps", Intervals, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("api_key_id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("scopes", Names, nullable=False),
    Column("rate_limit", Integer, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("created_by", Text, nullable=False),
    Column("last_used_at", DateTime(timezone=True)),
    Column("request_id", Text),
)

api_key_changes = Table(
    "api_key_changes",
    metadata,
    Column("only_row", Boolean, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

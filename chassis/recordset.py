"""Many rows as one parameter: JSON, which a statement opens with `json_to_recordset`."""

from binascii import b2a_base64
from collections.abc import Iterable
from datetime import timedelta

import orjson


def recordset(values: Iterable[object]) -> str:
    """Mappings and dataclasses, in order; hot.

    UUIDs, instants and enums are written as Postgres reads them, bytes as base64, durations in seconds.
    """
    return orjson.dumps(list(values), default=_text).decode()


def _text(value: object) -> object:
    if isinstance(value, bytes):
        return b2a_base64(value, newline=False).decode()
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError  # orjson says of what type

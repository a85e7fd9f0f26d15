"""The text forms of single values in proto3 JSON, read strictly and written canonically."""

import base64
import binascii
import math
import re
from datetime import UTC, datetime, timedelta

from google.protobuf.descriptor import EnumDescriptor

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d{2}):(\d{2}))", re.ASCII
)
"""RFC 3339 with any offset and up to nanoseconds."""
LENGTH = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
LONGEST = 315_576_000_000
"""Seconds of the longest duration that proto3 JSON knows: 10,000 years."""
WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,19})", re.ASCII)
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
SHOWN = 64
"""How many characters of a wrong value an error repeats."""
INT32, UINT32 = (-(1 << 31), (1 << 31) - 1), (0, (1 << 32) - 1)
INT64, UINT64 = (-(1 << 63), (1 << 63) - 1), (0, (1 << 64) - 1)
SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class WrongValue(ValueError):
    """What is wrong with a value and what would be right, worded to follow the field's path."""


def shown(text: str) -> str:
    """A piece of the caller's text that is safe to repeat: short, and valid Unicode."""
    return text[:SHOWN].encode("utf-8", "replace").decode()


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"


def described(value: object) -> str:
    """The value itself where that is short, else what it is."""
    if isinstance(value, str):
        return repr(shown(value))
    return repr(value) if isinstance(value, float) else kind_of(value)


def read_instant(value: object) -> tuple[int, int]:
    """Seconds since 1970 UTC and nanoseconds of an RFC 3339 time; raises WrongValue."""
    if not isinstance(value, str):
        raise WrongValue(f"is {kind_of(value)}; want a time such as '2026-03-01T09:00:00Z'")
    found = INSTANT.fullmatch(value)
    if found is None:
        raise WrongValue(f"is {described(value)}; want an RFC 3339 time such as '2026-03-01T09:00:00Z'")
    day, clock, fraction, _, sign, hours, minutes = found.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock}+00:00")
        if sign is not None:
            offset = timedelta(hours=_below(hours, 24), minutes=_below(minutes, 60))
            at = at + offset if sign == "-" else at - offset
    except (ValueError, OverflowError):
        raise WrongValue(
            f"is {described(value)}, which no calendar has; want a time such as '2026-03-01T09:00:00Z'"
        ) from None
    return (at - EPOCH) // timedelta(seconds=1), int((fraction or "").ljust(9, "0"))


def _below(digits: str, limit: int) -> int:
    number = int(digits)
    if number >= limit:
        raise ValueError(digits)
    return number


def write_instant(seconds: int, nanos: int) -> str:
    """The RFC 3339 form in UTC, with as many digits of the second as it needs: 0, 3, 6 or 9."""
    text = (EPOCH + timedelta(seconds=seconds)).isoformat()[:-6]
    return f"{text}{_fraction(nanos)}Z"


def read_length(value: object) -> tuple[int, int]:
    """Seconds and nanoseconds, of one sign, of a duration such as `300s`; raises WrongValue."""
    if not isinstance(value, str):
        raise WrongValue(f"is {kind_of(value)}; want a duration such as '300s'")
    found = LENGTH.fullmatch(value)
    if found is None or int(found[2]) > LONGEST:
        raise WrongValue(f"is {described(value)}; want a duration in seconds such as '300s'")
    sign = -1 if found[1] else 1
    return sign * int(found[2]), sign * int((found[3] or "").ljust(9, "0"))


def write_length(seconds: int, nanos: int) -> str:
    """The form `300s`, with as many digits of the second as it needs: 0, 3, 6 or 9."""
    sign = "-" if seconds < 0 or nanos < 0 else ""
    return f"{sign}{abs(seconds)}{_fraction(abs(nanos))}s"


def _fraction(nanos: int) -> str:
    if nanos == 0:
        return ""
    digits = f".{nanos:09}"
    if nanos % 1_000_000 == 0:
        return digits[:4]
    return digits[:7] if nanos % 1_000 == 0 else digits


def read_text(value: object) -> str:
    """A string of valid Unicode without NUL, which Postgres cannot keep; raises WrongValue."""
    if not isinstance(value, str):
        raise WrongValue(f"is {kind_of(value)}; want a string")
    if "\0" in value:
        raise WrongValue("holds a NUL character; want text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise WrongValue("holds half of a surrogate pair; want Unicode text") from None
    return value


def read_flag(value: object) -> bool:
    """A JSON boolean; raises WrongValue."""
    if isinstance(value, bool):
        return value
    raise WrongValue(f"is {kind_of(value)}; want true or false")


def read_flag_word(value: str) -> bool:
    """A boolean of a query: `true` or `false`; raises WrongValue."""
    if value not in ("true", "false"):
        raise WrongValue(f"is {described(value)}; want true or false")
    return value == "true"


def read_whole(value: object, bounds: tuple[int, int]) -> int:
    """A whole number, as a JSON number or a string of digits, within `bounds`; raises WrongValue."""
    match value:
        case bool():
            number = None
        case int():
            number = value
        case float():
            number = int(value) if value.is_integer() else None
        case str():
            number = int(value) if WHOLE.fullmatch(value) else None
        case _:
            number = None
    if number is None:
        raise WrongValue(f"is {described(value)}; want a whole number")
    if not bounds[0] <= number <= bounds[1]:
        raise WrongValue(f"is out of range; want {bounds[0]} to {bounds[1]}")
    return number


def read_number(value: object) -> float:
    """A number, as JSON or as a string; raises WrongValue."""
    if isinstance(value, str) and value in SPECIAL:
        return SPECIAL[value]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise WrongValue(f"is {kind_of(value)}; want a number")
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise WrongValue(f"is {described(value)}; want a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise WrongValue("is out of range; want a double")
    return number


def write_number(number: float) -> float | str:
    """A JSON number, or the word for what JSON has no number for."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def read_bytes(value: object) -> bytes:
    """Bytes of base64, ordinary or URL-safe, padded or not; raises WrongValue."""
    if not isinstance(value, str):
        raise WrongValue(f"is {kind_of(value)}; want a base64 string")
    text = value.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise WrongValue("is not base64") from None


def enum_names(enum: EnumDescriptor) -> list[str]:
    """The names that mean something; the zero value that stands for 'not given' is left out."""
    return [value.name for value in enum.values if not value.name.endswith("_UNSPECIFIED")]


def read_enum(value: object, enum: EnumDescriptor) -> int:
    """The number of an enum value given by its bare name, or by a number that has one; raises WrongValue."""
    if isinstance(value, str) and (named := enum.values_by_name.get(value)) is not None:
        return named.number
    if isinstance(value, int) and not isinstance(value, bool) and value in enum.values_by_number:
        return value
    raise WrongValue(f"is {described(value)}; want one of {', '.join(enum_names(enum))}")

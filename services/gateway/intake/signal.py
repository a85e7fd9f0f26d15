"""What a sender reports, in our words and within what escalation accepts."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

MOST_TITLE, MOST_SOURCE, MOST_KEY, MOST_NOTE = 1024, 1024, 255, 4096
"""Characters."""
MOST_DESCRIPTION = 64 * 1024
"""Bytes of UTF-8."""
MOST_LABELS, MOST_LABEL_NAME, MOST_LABEL_VALUE = 64, 128, 1024
CUT = "…"


class Action(Enum):
    """What a signal asks for."""

    TRIGGER = "TRIGGER"
    ACKNOWLEDGE = "ACKNOWLEDGE"
    RESOLVE = "RESOLVE"
    COMMENT = "COMMENT"


class Severity(Enum):
    """How bad it is."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    INFO = "INFO"


SEVERITIES: Mapping[str, Severity] = {
    "critical": Severity.CRITICAL,
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "info": Severity.INFO,
    "page": Severity.CRITICAL,
    "high": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
    "none": Severity.INFO,
}
"""CONTRACT §5; any other word is MEDIUM."""


def severity(word: object) -> Severity:
    """The severity that a sender's word stands for."""
    return SEVERITIES.get(word.strip().lower(), Severity.MEDIUM) if isinstance(word, str) else Severity.MEDIUM


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that a sender reports.

    A TRIGGER needs more than the dedup key; a COMMENT has a note, and the title or the description that it tells of.
    """

    action: Action
    dedup_key: str
    title: str = ""
    description: str = ""
    severity: Severity = Severity.MEDIUM
    source: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def text(value: object) -> str:
    """A scalar as clean text: no NUL, no half surrogates; empty for null, and JSON for what has structure."""
    match value:
        case None:
            return ""
        case str():
            plain = value
        case bool():
            plain = "true" if value else "false"
        case int() | float():
            plain = repr(value)
        case _:
            plain = json.dumps(value, ensure_ascii=False)
    return plain.replace("\0", "").encode("utf-8", "replace").decode()


def line(value: object, most: int) -> str:
    """One line of at most `most` characters, cut with an ellipsis."""
    plain = " ".join(text(value).split())
    return plain if len(plain) <= most else plain[: most - 1] + CUT


def first(candidates: Iterable[object], most: int) -> str:
    """The first of the values that says something, as one line."""
    return next((found for value in candidates if (found := line(value, most))), "")


def paragraphs(parts: Iterable[str]) -> str:
    """The parts that say something, apart by an empty line, cut to what a description holds."""
    whole = "\n\n".join(part.strip() for part in parts if part.strip())
    encoded = whole.encode()
    if len(encoded) <= MOST_DESCRIPTION:
        return whole
    return encoded[: MOST_DESCRIPTION - len(CUT.encode())].decode("utf-8", "ignore") + CUT


def labels(*groups: object) -> dict[str, str]:
    """The labels of all groups that are objects, cut to what escalation accepts; earlier groups win."""
    kept: dict[str, str] = {}
    for group in groups:
        if not isinstance(group, dict):
            continue
        for name, value in group.items():
            key = text(name).strip()[:MOST_LABEL_NAME]
            if key and key not in kept and value is not None and len(kept) < MOST_LABELS:
                whole = text(value)
                cut = whole if len(whole) <= MOST_LABEL_VALUE else whole[: MOST_LABEL_VALUE - 1] + CUT
                kept[key] = cut
    return kept


def key_of(value: object) -> str:
    """A stable dedup key made of a value: the SHA-256 of its JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

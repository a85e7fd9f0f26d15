"""Bodies of any shape, and what every adapter promises about the signals that it makes of them."""

from hypothesis import strategies as st

from services.gateway.intake import signal
from services.gateway.intake.ingest import request_of
from services.gateway.intake.signal import Action, Signal

WORDS = st.sampled_from(
    [
        "alerts", "status", "firing", "resolved", "labels", "annotations", "summary", "severity", "fingerprint", "title",
        "routing_key", "event_action", "trigger", "resolve", "dedup_key", "payload", "source", "custom_details", "links",
        "action", "k" * 32, "receiver", "version", "1", "description", "\0", "\ud800", "client", "class", "",
    ]
)  # fmt: skip
TEXT = WORDS | st.text(alphabet=st.characters(codec=None), max_size=8)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=6),
    max_leaves=30,
)


def accepted(found: list[Signal]) -> None:
    """What an adapter makes is within what escalation accepts, and fits into the message."""
    for one in found:
        assert 0 < len(one.dedup_key) <= signal.MOST_KEY
        assert one.action is not Action.TRIGGER or one.title.strip()
        assert len(one.title) <= signal.MOST_TITLE
        assert len(one.source) <= signal.MOST_SOURCE
        assert len(one.description.encode()) <= signal.MOST_DESCRIPTION
        assert len(one.note) <= signal.MOST_NOTE
        assert len(one.labels) <= signal.MOST_LABELS
        for name, value in one.labels.items():
            assert name.strip()
            assert len(name) <= signal.MOST_LABEL_NAME
            assert len(value) <= signal.MOST_LABEL_VALUE
        assert "\0" not in f"{one.title}{one.description}{one.source}{one.note}{one.dedup_key}{one.labels}"
    assert request_of("k" * 32, found).SerializeToString()

"""A few seconds of what `make fuzz` does for ten minutes."""

from pathlib import Path

from tests.fixtures.stack import running
from tests.fuzz.campaign import QUICK, SEED, campaign


def test_answers_are_as_the_document_says(tmp_path: Path) -> None:
    """Statuses, content types and bodies are documented, nothing is a server error, and no token means no entry.

    On a stack of its own: whatever there is may be changed and deleted.
    """
    with running(tmp_path / "data", "--ephemeral") as up:
        found = campaign(up.state, seconds=8, examples=1, phases=QUICK, seed=SEED)
    assert [one for one in found if not one.announced] == []

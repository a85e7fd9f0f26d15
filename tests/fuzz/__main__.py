"""`make fuzz`: ten minutes of schemathesis against a stack of its own, or the one that TOCSIN_STACK names."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fixtures.stack import named, running
from tests.fuzz.campaign import THOROUGH, campaign

SECONDS, EXAMPLES = 600, 100


@contextmanager
def stack() -> Iterator[Mapping[str, Any]]:
    """The stack to ask."""
    if (found := named()) is not None:
        yield found
        return
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-fuzz-") as directory,
        running(Path(directory) / "data", "--ephemeral") as up,
    ):
        yield up.state


def main() -> int:
    """Prints each finding with the request that shows it; 1 when there is one that is not announced."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with stack() as asked:
        found = campaign(asked, seconds=seconds, examples=EXAMPLES, phases=THOROUGH)
    for one in found:
        print(f"{one.check}\n{one.told.strip()}\n{one.request.strip()}\n")
    wrong = [one for one in found if not one.announced]
    print(
        f"{len(wrong)} findings, and {len(found) - len(wrong)} answers that this stack is not set up for it"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""How long `tocsin up` takes from an empty data directory, and from one that it has left."""

import tempfile
import time
from pathlib import Path

from tests.fixtures.stack import running


def main() -> None:
    """Cold and warm, three times each."""
    cold: list[float] = []
    warm: list[float] = []
    for _ in range(3):
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory:
            for took in (cold, warm):
                began = time.monotonic()
                with running(Path(directory) / "data"):
                    took.append(time.monotonic() - began)
    print(f"tocsin up: cold {sorted(cold)[1]:.1f} s, warm {sorted(warm)[1]:.1f} s")


if __name__ == "__main__":
    main()

"""`make bench`: every figure, or those that are named: `make bench ARGS='ingest relay'`."""

import sys
from importlib import import_module

BENCHES = (
    "start",
    "ingest",
    "noise",
    "engine",
    "lists",
    "oncall",
    "relay",
    "deliver",
    "storm",
    "stack_storm",
    "inbox",
    "webhook",
    "gateway",
    "sla",
    "events",
)


def main() -> int:
    """Runs the benches one after the other."""
    chosen = sys.argv[1:] or BENCHES
    if unknown := set(chosen) - set(BENCHES):
        print(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    for name in chosen:
        print(f"== {name}", flush=True)
        import_module(f"tests.bench.{name}").main()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

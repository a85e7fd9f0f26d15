"""The notify service as a process: `python -m services.notify`."""
# ruff: noqa: E402  # what follows the first call is what it makes faster

from chassis.boot import lean

lean("rich")

from chassis.process import run
from services.notify.main import Config, build

if __name__ == "__main__":
    run("notify", Config, build)

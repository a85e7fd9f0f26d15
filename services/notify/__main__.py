"""The notify service as a process: `python -m services.notify`."""
# ruff: noqa: E402  # what follows the first call is what it makes faster

from chassis.boot import lean

lean("rich")

from chassis.process import run
from services.notify.config import Config
from services.notify.main import build

if __name__ == "__main__":
    run("notify", Config, build)

"""The escalation service as a process: `python -m services.escalation`."""
# ruff: noqa: E402  # what follows the first call is what it makes faster

from chassis.boot import lean

lean("aiohttp", "rich")

from chassis.process import run
from services.escalation.config import Config
from services.escalation.main import build

if __name__ == "__main__":
    run("escalation", Config, build)

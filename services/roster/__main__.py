"""The roster service as a process: `python -m services.roster`."""
# ruff: noqa: E402  # what follows the first call is what it makes faster

from chassis.boot import lean

lean("aiohttp", "rich")

from chassis.process import run
from services.roster.config import Config
from services.roster.main import build

if __name__ == "__main__":
    run("roster", Config, build)

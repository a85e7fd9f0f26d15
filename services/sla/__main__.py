"""The SLA service as a process: `python -m services.sla`."""
# ruff: noqa: E402  # what follows the first call is what it makes faster

from chassis.boot import lean

lean("aiohttp", "rich")

from chassis.process import run
from services.sla.config import Config
from services.sla.main import build

if __name__ == "__main__":
    run("sla", Config, build)

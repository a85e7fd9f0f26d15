"""The gateway as a process: `python -m services.gateway`."""
# ruff: noqa: E402  # what follows the first call is what it makes faster

from chassis.boot import lean

lean("aiohttp", "rich")

from chassis.process import run
from services.gateway.main import Config, build

if __name__ == "__main__":
    run("gateway", Config, build)

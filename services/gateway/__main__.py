"""Runs the gateway: `python -m services.gateway`."""

from chassis.process import run
from services.gateway.main import Config, build

run("gateway", Config, build)

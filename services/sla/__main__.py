"""The SLA service as a process: `python -m services.sla`."""

from chassis.process import run
from services.sla.config import Config
from services.sla.main import build

run("sla", Config, build)

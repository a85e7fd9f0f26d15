"""The escalation service as a process: `python -m services.escalation`."""

from chassis.process import run
from services.escalation.config import Config
from services.escalation.main import build

run("escalation", Config, build)

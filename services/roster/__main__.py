"""The roster service as a process: `python -m services.roster`."""

from chassis.process import run
from services.roster.config import Config
from services.roster.main import build

run("roster", Config, build)

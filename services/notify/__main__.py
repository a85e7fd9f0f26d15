"""Runs notify: `python -m services.notify`."""

from chassis.process import run
from services.notify.main import Config, build

if __name__ == "__main__":
    run("notify", Config, build)

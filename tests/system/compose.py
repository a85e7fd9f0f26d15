"""`make test-compose`: docker compose up from nothing, the system tests against it, and down again.

Other arguments are pytest's: `make test-compose ARGS='--tls -k mutual'`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from chassis.auth import ADMIN, mint
from cli.receiver import new_secret
from cli.stack.ports import Ports

ROOT = Path(__file__).parents[2]
PROJECT = "tocsin-test"
SERVICES = ("roster", "escalation", "notify", "sla")
PRIVATE = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8"
"""Where the containers' own network is, and the sink in it; and the loopback, as `tocsin up` has it."""


def main() -> int:
    """Runs it all; the exit status of the tests, or of compose when that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the containers running at the end")
    parser.add_argument("--tls", action="store_true", help="with mutual TLS between the services")
    options, asked = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-compose-") as directory:
        secrets = Path(directory) / "secrets"
        subprocess.run([sys.executable, "-m", "cli", "secrets", str(secrets)], check=True, cwd=ROOT)
        ports = Ports()
        environment = {
            **os.environ,
            "TOCSIN_SECRETS": str(secrets),
            "TOCSIN_WEBHOOK_ALLOW": PRIVATE,
            "TOCSIN_SINK_PORT": str(ports.take()),
            "TOCSIN_SINK_SECRET": new_secret(),
            "TOCSIN_GATEWAY_PORT": str(ports.take()),
            "TOCSIN_NATS_PORT": str(ports.take()),
            **{f"TOCSIN_{name.upper()}_PORT": str(ports.take()) for name in SERVICES},
        }
        files = [ROOT / "docker-compose.yml", ROOT / "tests" / "system" / "compose.sink.yml"]
        files += [ROOT / "docker-compose.tls.yml"] if options.tls else []
        compose = ["docker", "compose", "-p", PROJECT, "--project-directory", str(ROOT)]
        compose += [part for file in files for part in ("-f", str(file))]
        try:
            subprocess.run([*compose, "up", "--build", "--wait", "--quiet-pull"], check=True, env=environment)
            state = Path(directory) / "stack.json"
            certificates = {"certificates": str(secrets)} if options.tls else {}
            state.write_text(json.dumps({**_stack(environment, secrets), **certificates}))
            return subprocess.call(
                [
                    sys.executable,
                    "-m",
                    "pytest",
                    "-q",
                    "tests/system",
                    "--ignore",
                    "tests/system/test_up.py",
                    *asked,
                ],
                cwd=ROOT,
                env={**environment, "TOCSIN_STACK": str(state)},
            )
        except subprocess.CalledProcessError as error:
            subprocess.run([*compose, "logs", "--tail", "40"], env=environment, check=False)
            return error.returncode
        finally:
            if not options.keep:
                subprocess.run(
                    [*compose, "down", "--volumes", "--timeout", "15"], env=environment, check=False
                )


def _stack(environment: dict[str, str], secrets: Path) -> dict[str, object]:
    """What `tocsin up` would write into its stack.json, of what compose publishes."""
    key = (secrets / "tocsin_token_key").read_text()
    nats = (secrets / "tocsin_nats_admin_url").read_text()
    return {
        "gateway": f"http://127.0.0.1:{environment['TOCSIN_GATEWAY_PORT']}",
        "grpc": {name: f"127.0.0.1:{environment[f'TOCSIN_{name.upper()}_PORT']}" for name in SERVICES},
        "nats": nats.replace("nats:4222", f"127.0.0.1:{environment['TOCSIN_NATS_PORT']}"),
        "sink": {
            "url": "http://sink:8090/page",
            "control": f"http://127.0.0.1:{environment['TOCSIN_SINK_PORT']}",
            "secret": environment["TOCSIN_SINK_SECRET"],
        },
        "token": mint(key, subject="admin", scopes=[ADMIN]),
    }


if __name__ == "__main__":
    raise SystemExit(main())

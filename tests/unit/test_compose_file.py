"""docker-compose.yml against the compose specification, and what every container of ours must have."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SERVICES = ("roster", "escalation", "notify", "sla", "gateway")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file, read as YAML."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


def test_it_follows_the_specification() -> None:
    """No misspelt key."""
    tool = Path(sys.executable).with_name("check-jsonschema")
    command = [str(tool), "--builtin-schema", "vendor.compose-spec", str(ROOT / "docker-compose.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_confined_and_watched(compose: dict[str, Any], name: str) -> None:
    """Not root, nothing writable, no capabilities, a health check, and loopback ports alone."""
    service = compose["services"][name]
    assert service["image"] == "tocsin:local"
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["healthcheck"]["test"][:3] == ["CMD", "tocsin", "health"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_no_service_starts_before_its_schema(compose: dict[str, Any]) -> None:
    """The four that store wait for the migrate job to succeed, the gateway for the four."""
    for name in SERVICES[:4]:
        assert (
            compose["services"][name]["depends_on"]["migrate"]["condition"]
            == "service_completed_successfully"
        )
    assert set(compose["services"]["gateway"]["depends_on"]) == set(SERVICES[:4])


def test_every_secret_is_a_file(compose: dict[str, Any]) -> None:
    """No password stands in the file or in an environment variable."""
    assert all("file" in secret for secret in compose["secrets"].values())
    for service in compose["services"].values():
        for key, value in service.get("environment", {}).items():
            assert "PASSWORD" not in key or key.endswith("_FILE"), (key, value)

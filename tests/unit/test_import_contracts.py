"""The import contracts hold, and each one fails when something violates it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLANTED = {
    "services are independent of each other": (
        "services/roster/planted.py",
        "import services.escalation.main\n",
    ),
    "the chassis knows no service": ("chassis/planted.py", "import services.roster.main\n"),
    "identity and messaging know no service": ("identity/planted.py", "import services.roster.main\n"),
    "identity and messaging know no service and": ("messaging/planted.py", "import services.roster.main\n"),
    "services do not know the command line": ("services/sla/planted.py", "import cli.up\n"),
    "domains are pure": ("services/escalation/domain/planted.py", "import sqlalchemy\n"),
    "main, then api and loops": ("services/notify/tables/planted.py", "import services.notify.main\n"),
}


def lint(checkout: Path) -> str:
    """What import-linter says of a checkout; empty when every contract holds."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = {"PYTHONPATH": f"{checkout}:{checkout / 'gen'}", "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
    ran = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the code to plant things in."""
    for name in ("chassis", "identity", "messaging", "services", "cli", "gen"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold(checkout: Path) -> None:
    """As the code is."""
    assert lint(checkout) == ""


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_violation_is_found(checkout: Path, contract: str) -> None:
    """The contract that is violated is the one that breaks."""
    name, line = PLANTED[contract]
    path = checkout / name
    if not path.parent.is_dir():  # tables may be one module
        path = path.parent.with_suffix(".py")
    path.write_text((path.read_text() if path.exists() else '"""Planted."""\n') + line)
    said = lint(checkout)
    broken = [row for row in said.splitlines() if row.endswith("BROKEN")]
    assert any(row.startswith(contract) for row in broken), said

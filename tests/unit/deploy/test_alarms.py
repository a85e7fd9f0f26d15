"""The alarms fire when they should, and neither they nor the dashboard name a metric that no service has."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
DASHBOARD = DEPLOY / "grafana" / "tocsin.json"
RULES = DEPLOY / "prometheus" / "tocsin.rules.yml"
EXPORTED = """
import services.roster.main, services.escalation.main, services.notify.main, services.sla.main
import services.gateway.main
import prometheus_client
print(prometheus_client.generate_latest().decode())
"""
promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not here: install the package prometheus"
)


def expressions() -> Iterator[str]:
    """Every query of a rule or a panel."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def test_every_metric_that_is_named_is_exported() -> None:
    """By a process that has what each service's has."""
    ran = subprocess.run(
        [sys.executable, "-c", EXPORTED],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
        check=True,
        capture_output=True,
        text=True,
    )
    families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", ran.stdout, re.MULTILINE))
    known = {"up", *families}
    for name, kind in families.items():
        if kind == "histogram":
            known |= {f"{name}_{part}" for part in ("bucket", "count", "sum")}
    named = {name for expression in expressions() for name in re.findall(r"\btocsin_\w+", expression)}
    assert len(named) > 10
    assert named <= known


@promtool
def test_the_rules_hold() -> None:
    """As their own tests say."""
    run("check", "rules", str(RULES))
    run("test", "rules", str(RULES.with_name("tocsin.rules.test.yml")))
    run("check", "config", str(RULES.with_name("prometheus.yml")))


@promtool
def test_every_query_can_be_read(tmp_path: Path) -> None:
    """Panels, too: Grafana puts a length of time for its variable."""
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions())
    ]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    run("check", "rules", str(path))


def test_every_rule_says_what_to_do() -> None:
    """A severity, a summary, and what it means."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert set(rule["annotations"]) == {"summary", "description"}


def test_the_dashboard_is_whole() -> None:
    """Its panels have numbers and places of their own."""
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)


def run(*arguments: str) -> None:
    """Runs promtool; fails with what it says."""
    ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr

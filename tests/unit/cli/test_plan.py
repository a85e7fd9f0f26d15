"""The plan of an escalation as a timeline."""

import json
from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from cli.plan import chart, rows
from tests.unit.cli.test_operating import tocsin

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
PAGE = {
    "at": "2026-03-01T09:01:30Z",
    "level": 2,
    "round": 0,
    "reason": "ACK_TIMEOUT",
    "recipients": ["ada", "bob"],
    "targets": ["oncall://db"],
    "catch_all": False,
}


def test_each_page_is_a_row() -> None:
    """How long after the start, which level, why, whom, by what."""
    (row,) = rows([PAGE], START)
    assert row[0] == "+1m 30s"
    assert row[2:] == ("2", "ACK_TIMEOUT", "ada, bob", "oncall://db")


def test_everybody_has_a_line() -> None:
    """Those who are told by a step, and nobody where it tells none; the end stands above."""
    empty = {**PAGE, "recipients": [], "at": "2026-03-01T09:05:00Z"}
    found = {"pages": [PAGE, empty], "exhausted_at": "2026-03-01T09:10:00Z", "cut_at": None}
    drawn = StringIO()
    Console(file=drawn, width=120).print(chart(found, START))
    above, ada, bob, nobody = drawn.getvalue().splitlines()
    assert above.split() == ["+1m30s", "+5m", "+10m"]
    assert ada.split() == ["ada", "·" * 10 + "●" + "·" * 61]
    assert bob.split()[0] == "bob"
    assert nobody.split() == ["(nobody)", "·" * 36 + "●" + "·" * 35]


def test_rounds_and_what_is_unusual() -> None:
    """The time through the steps only where there are several; nobody and the catch-all are named."""
    empty = {**PAGE, "recipients": []}
    caught = {**PAGE, "round": 1, "catch_all": True, "targets": ["responder://boss"]}
    found = rows([empty, caught], START)
    assert [row[2] for row in found] == ["1.2", "2.2"]
    assert (found[0][4], found[1][5]) == ("nobody", "responder://boss (catch-all)")


def test_a_label_that_is_none() -> None:
    """Is a usage error before anybody is asked."""
    done = tocsin("policy", "preview", "--gateway", "http://127.0.0.1:1", "--token", "t", "--label", "team")
    assert done.exit_code == 2
    assert "--label" in done.stderr


def test_nobody_there(tmp_path: object) -> None:
    """As with every other command."""
    done = tocsin("policy", "preview", "--gateway", "http://127.0.0.1:1", "--token", "t", "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout or done.stderr)["error"]["status"] == "UNAVAILABLE"

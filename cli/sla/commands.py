"""The sub-commands of `tocsin sla`; without one it shows the overview."""

import typer

from cli.operating import add
from cli.sla.overview import compare, overview
from cli.sla.reports import breaches, budgets, load, noisy
from cli.sla.runs import check, rebuild
from cli.sla.series import listed, series
from cli.sla.targets import app as targets

app = typer.Typer(invoke_without_command=True)
app.callback(invoke_without_command=True, epilog=overview.epilog)(overview)  # type: ignore[attr-defined]

add(app, "compare", compare)
add(app, "series", series)
add(app, "facts", listed)
add(app, "noisy", noisy)
add(app, "load", load)
app.add_typer(targets, name="targets")
add(app, "budgets", budgets)
add(app, "breaches", breaches)
add(app, "rebuild", rebuild)
add(app, "check", check)

"""`python -m cli` is `tocsin`."""

from cli.main import app

app(prog_name="tocsin")

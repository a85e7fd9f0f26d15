"""Pairs of names and values as they are written on the command line."""

from collections.abc import Iterable

import typer


def pairs(given: Iterable[str], option: str) -> dict[str, str]:
    """Reads NAME=VALUE pairs; a usage error that names the option for anything else."""
    read: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint=option)
        read[name] = value
    return read


def labels(given: Iterable[str]) -> dict[str, str]:
    """Reads the labels of an alert."""
    return pairs(given, "--label")

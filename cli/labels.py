"""Labels as they are written on the command line."""

import typer


def labels(pairs: list[str]) -> dict[str, str]:
    """Reads NAME=VALUE pairs; a usage error for anything else."""
    read: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--label")
        read[name] = value
    return read

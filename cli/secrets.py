"""`tocsin secrets`: the files that docker-compose.yml gives to its containers, made at random once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

DATABASE = "postgres:5432/tocsin"
BROKER = "nats:4222"


def secrets(
    directory: Annotated[Path, typer.Argument(help="Where to write; nothing that exists is changed.")] = Path(
        "secrets"
    ),
) -> None:
    """Make the passwords, keys, certificates and addresses of a Docker Compose stack, one file each."""
    from cli.stack.certificates import issued
    from cli.stack.credentials import Credentials
    from cli.stack.layout import GATEWAY
    from cli.stack.nats import permissions
    from cli.stack.schemas import CONTEXTS, role

    made = Credentials.fresh()
    alone = {"tocsin_secrets_key": made.secrets_key, "tocsin_smtp_password": ""}
    if directory.is_dir() and any(directory.iterdir()):
        # What nothing else depends on may be added to a directory that an earlier version made.
        lacking = {name: text for name, text in alone.items() if not (directory / name).exists()}
        _write(directory, lacking)
        typer.echo(f"{directory} has files already: {', '.join(lacking) or 'nothing'} added")
        return
    files = alone | {
        "postgres_password": made.postgres,
        "tocsin_admin_database_url": f"postgresql://tocsin:{made.postgres}@{DATABASE}",
        "tocsin_token_key": made.token_key,
        "tocsin_receipt_key": made.receipt_key,
        "tocsin_nats_admin_url": f"nats://tocsin:{made.nats['tocsin']}@{BROKER}",
        "nats.conf": json.dumps(
            {
                "listen": "0.0.0.0:4222",
                "http": "0.0.0.0:8222",
                "jetstream": {"store_dir": "/data"},
                "authorization": {
                    "users": [
                        {"user": user, "password": password, "permissions": permissions(user)}
                        for user, password in made.nats.items()
                    ]
                },
            },
            indent=1,
        ),
    }
    for context, password in made.roles.items():
        files[f"tocsin_{context}_password"] = password
        files[f"{context}_database_url"] = f"postgresql://{role(context)}:{password}@{DATABASE}"
        files[f"{context}_nats_url"] = f"nats://{context}:{made.nats[context]}@{BROKER}"
    files |= issued([*CONTEXTS, GATEWAY])
    _write(directory, files)
    typer.echo(f"{len(files)} files written to {directory}")


def _write(directory: Path, files: Mapping[str, str]) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            # The directory keeps others out; the containers' user reads the files through their mounts.
            (directory / name).write_text(content)
            (directory / name).chmod(0o644)
    except OSError as error:
        raise typer.BadParameter(f"{error.filename}: {error.strerror}", param_hint="DIRECTORY") from None

"""The secrets of one stack: made at random the first time, kept in one file that its owner alone can read."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from cli.stack import nats, schemas
from cli.stack.child import StartError
from cli.stack.files import write_private

FILE = "secrets.json"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Passwords of Postgres's superuser and roles and of NATS's users, and the keys of tokens and receipt links.

    `secrets_key` seals addresses and keys at rest.
    """

    postgres: str
    roles: Mapping[str, str]
    nats: Mapping[str, str]
    token_key: str
    receipt_key: str
    secrets_key: str = ""

    @classmethod
    def kept_in(cls, data_dir: Path) -> Self:
        """The secrets of a data directory, made if it has none; raises StartError when the file is not readable."""
        path = data_dir / FILE
        if not path.exists():
            write_private(path, asdict(cls.fresh()))
        kept = cls.read(data_dir)
        if not kept.secrets_key:  # the data directory is older than the key
            kept = replace(kept, secrets_key=secrets.token_hex(32))
            write_private(path, asdict(kept))
        return kept

    @classmethod
    def read(cls, data_dir: Path) -> Self:
        """The secrets of a data directory; raises StartError when it has none or they are damaged."""
        path = data_dir / FILE
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            raise StartError(f"{data_dir} has no {FILE}: it is no data directory of tocsin up") from None
        except (OSError, ValueError, TypeError) as error:
            raise StartError(f"{path} cannot be read: {error}") from None

    @classmethod
    def fresh(cls) -> Self:
        """New secrets, 256 bits each, safe in URLs."""
        return cls(
            postgres=secrets.token_hex(32),
            roles={context: secrets.token_hex(32) for context in schemas.CONTEXTS},
            nats={user: secrets.token_hex(32) for user in nats.USERS},
            token_key=secrets.token_hex(32),
            receipt_key=secrets.token_hex(32),
            secrets_key=secrets.token_hex(32),
        )

"""Where the stack is that a command talks to: named by options, by the environment, or found in a data directory."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

STATE = "stack.json"
DEFAULT_DIR = Path("~/.local/share/tocsin")
PRINTABLE = re.compile(r"[\x21-\x7e]+")


class Unknown(Exception):
    """It cannot be told where the stack is; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Where:
    """The gateway's URL without a slash at its end, the bearer token, and NATS's URL where it is known."""

    gateway: str
    token: str
    nats: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """What was given on the command line; empty or None where nothing was."""

    gateway: str = ""
    token: str = ""
    data_dir: Path | None = None


def find(named: Named, environment: Mapping[str, str]) -> Where:
    """The stack that is meant. An option wins over the environment, which wins over the default data directory.

    The token of a data directory is sent to that directory's gateway alone. Raises Unknown.
    """
    where = _named(named, environment)
    try:
        parts = urlsplit(where.gateway)
        if not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError:
        raise Unknown(
            f"{where.gateway!r} is no address of a gateway; want one like http://127.0.0.1:8080"
        ) from None
    if not PRINTABLE.fullmatch(where.token):
        raise Unknown("the token has characters that no token has: was all of it copied, and nothing else?")
    return where


def _named(named: Named, environment: Mapping[str, str]) -> Where:
    token = named.token or environment.get("TOCSIN_TOKEN", "")
    gateway = named.gateway or ("" if named.data_dir else environment.get("TOCSIN_GATEWAY", ""))
    if not gateway:
        state = _state(named.data_dir)
        return Where(state["gateway"], named.token or state["token"], state.get("nats", ""))
    if not gateway.startswith(("http://", "https://")):
        gateway = f"http://{gateway}"
    if not token:
        raise Unknown(f"no token for {gateway}: give --token or set TOCSIN_TOKEN (`tocsin token` makes one)")
    return Where(gateway.rstrip("/"), token, environment.get("TOCSIN_NATS_URL", ""))


def _state(data_dir: Path | None) -> dict[str, Any]:
    directory = (data_dir or DEFAULT_DIR).expanduser()
    path = directory / STATE
    try:
        found = json.loads(path.read_text())
        if isinstance(found, dict) and {"gateway", "token"} <= found.keys():
            return found
        complaint = "it names no gateway and token"
    except FileNotFoundError:
        if data_dir is None:
            raise Unknown(
                f"no stack is named and none runs in {directory}: start one with `tocsin up`, or give --data-dir, "
                "or --gateway and --token (TOCSIN_GATEWAY, TOCSIN_TOKEN)"
            ) from None
        raise Unknown(f"no stack runs in {directory}: it has no {STATE}") from None
    except (OSError, ValueError) as error:
        complaint = str(error)
    raise Unknown(f"{path} cannot be read: {complaint}")

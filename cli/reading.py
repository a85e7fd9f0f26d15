"""Files that are named on the command line."""

import sys
from pathlib import Path


class Unreadable(Exception):
    """A file cannot be read as text; the message says which and why."""


def text_of(file: Path) -> str:
    """The text of a file, of standard input for `-`; raises Unreadable."""
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode()
    except OSError as error:
        raise Unreadable(f"{file}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{file}: is not text in UTF-8") from None

"""Small disks, and what it takes to fill them; only where mounting is allowed."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PIECE = 4096


@contextmanager
def small(directory: Path, *, megabytes: int) -> Iterator[Path]:
    """The directory on a disk of its own, in memory; skips the test where that may not be."""
    directory.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(directory)]
    mounted = subprocess.run(["mount", *options], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("no right to mount a small disk here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@contextmanager
def filled(directory: Path) -> Iterator[None]:
    """The disk without a byte of room, until the end of the block."""
    filler = directory / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            size = os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
        yield
    finally:
        filler.unlink(missing_ok=True)

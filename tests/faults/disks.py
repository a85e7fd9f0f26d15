"""Small disks, and what it takes to fill them; only where mounting is allowed."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PAGE, LARGEST = 4096, 64 << 20


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
    """The disk without a page of room, whoever else takes some meanwhile, until the end of the block."""
    filler = directory / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            taken, piece = 0, LARGEST
            while piece >= PAGE:
                try:
                    os.posix_fallocate(file.fileno(), taken, piece)
                    taken += piece
                except OSError:
                    piece //= 2
        yield
    finally:
        filler.unlink(missing_ok=True)

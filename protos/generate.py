"""Generates gen/tocsin from the protos: messages, services, type stubs and one descriptor set with the comments.

    python protos/generate.py [--out DIR] [--lint | --check]

The descriptor set is what the gateway builds its OpenAPI document from and what `buf lint` reads.
"""

import argparse
import filecmp
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import google.api
from grpc_tools import protoc

PROTOS = Path(__file__).parent
ROOT = PROTOS.parent
DESCRIPTORS = "tocsin/descriptors.binpb"


def sources() -> list[str]:
    """Every proto of the project, relative to the folder of the protos."""
    return sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("tocsin/**/*.proto"))


def generate(out: Path) -> None:
    """Writes the generated package below `out`, replacing what is there.

    Raises SystemExit when protoc refuses the protos.
    """
    shutil.rmtree(out / "tocsin", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    includes = [
        str(PROTOS),
        str(Path(google.api.__path__[0]).parents[1]),
        str(files("grpc_tools") / "_proto"),
    ]
    scripts = Path(sys.executable).parent
    status = protoc.main(
        [
            "protoc",
            *(f"-I{path}" for path in includes),
            f"--plugin=protoc-gen-mypy={scripts}/protoc-gen-mypy",
            f"--plugin=protoc-gen-mypy_grpc={scripts}/protoc-gen-mypy_grpc",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--mypy_grpc_out=quiet,only_async:{out}",
            f"--descriptor_set_out={out / DESCRIPTORS}",
            "--include_imports",
            "--include_source_info",
            *sources(),
        ]
    )
    if status != 0:
        raise SystemExit(status)
    for empty in out.glob("tocsin/**/*_pb2_grpc.py*"):
        if "class " not in empty.read_text():
            empty.unlink()
    (out / "tocsin" / "py.typed").touch()


def lint() -> int:
    """Runs buf's lint over the descriptor set; returns its exit status."""
    buf = Path(sys.executable).parent / "buf"
    return subprocess.call(
        [buf, "lint", f"{ROOT / 'gen' / DESCRIPTORS}#format=binpb", "--config", PROTOS / "buf.yaml"]
    )


def drift() -> list[str]:
    """The files below gen/tocsin that differ from what the protos generate now."""
    with tempfile.TemporaryDirectory() as fresh:
        generate(Path(fresh))
        return sorted(
            differing(filecmp.dircmp(ROOT / "gen" / "tocsin", Path(fresh) / "tocsin", ignore=["__pycache__"]))
        )


def differing(compared: filecmp.dircmp[str]) -> Iterator[str]:
    """Every path that is missing on one side or has other bytes."""
    _, changed, _ = filecmp.cmpfiles(compared.left, compared.right, compared.common_files, shallow=False)
    for name in [*compared.left_only, *compared.right_only, *changed]:
        yield str(Path(compared.left, name).relative_to(ROOT))
    for below in compared.subdirs.values():
        yield from differing(below)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "gen")
    parser.add_argument("--lint", action="store_true", help="lint what is generated instead of generating")
    parser.add_argument("--check", action="store_true", help="fail when gen/ is not what the protos generate")
    options = parser.parse_args()
    if options.lint:
        raise SystemExit(lint())
    if options.check:
        if stale := drift():
            raise SystemExit("not what the protos generate; run `make gen`:\n  " + "\n  ".join(stale))
        raise SystemExit
    generate(options.out)

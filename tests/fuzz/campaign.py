"""Schemathesis against a gateway: requests made of its own OpenAPI document, answers held against it."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
"""What is checked. What a generator takes for valid need not be (an id must exist), so acceptance is not."""
STREAMS = ":watch$"
"""Paths that do not end by themselves."""
QUICK, THOROUGH = ("examples", "fuzzing"), ("examples", "coverage", "fuzzing", "stateful")


SEED = 20261125
"""So that what a test asks today it asks tomorrow."""
FOUND = re.compile(r"^- (ST\d+ .+?)$(.*?)^Reproduce with:\n\n(.+?)$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """Something that an answer should not be."""

    check: str
    told: str
    request: str

    @property
    def announced(self) -> bool:
        """Whether it says that the installation is not set up for it, for e-mail say."""
        return "[501]" in self.told


def campaign(
    stack: Mapping[str, Any], *, seconds: int, examples: int, phases: Sequence[str], seed: int | None = None
) -> list[Finding]:
    """Runs for about so many seconds; what it found."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{stack['gateway']}/openapi.json",
        "--header", f"Authorization: Bearer {stack['token']}", "--phases", ",".join(phases),
        "--checks", ",".join(CHECKS), "--exclude-path-regex", STREAMS, "--max-examples", str(examples),
        "--max-time", str(seconds), "--request-timeout", "15", "--continue-on-failure", "--no-color",
    ]  # fmt: skip
    if seed is not None:
        command += ["--seed", str(seed), "--no-shrink", "--generation-database", "none"]
    with tempfile.TemporaryDirectory(prefix="tocsin-fuzz-") as directory:
        ran = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=seconds + 300)
    found = [Finding(*parts) for parts in FOUND.findall(ran.stdout)]
    if ran.returncode not in (0, 1) or bool(found) != bool(ran.returncode) or "generated" not in ran.stdout:
        raise RuntimeError(f"schemathesis did not do what it should: {ran.stdout[-4000:]}{ran.stderr}")
    return found

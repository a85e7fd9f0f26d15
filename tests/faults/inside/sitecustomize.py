"""Run by every Python process of a stack under test before anything else: makes one service's process as its plan says.

TOCSIN_FAULT_PLAN names a JSON file: by service, `environment` (set), `instead` (text replaced in all variables) and
`files` (the most that may be open).
"""

import json
import os
import resource
import sys
from pathlib import Path


def prepare() -> None:
    """Follows the plan, if this is the process of a service that has one; begins anew when a library is preloaded."""
    path = Path(os.environ.get("TOCSIN_FAULT_PLAN", "/nonexistent"))
    module = sys.orig_argv[-1]
    if not module.startswith("services.") or not path.exists():
        return
    plan = json.loads(path.read_text()).get(module.removeprefix("services."), {})
    if files := plan.get("files"):
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    wanted = plan.get("environment", {})
    begin_anew = "LD_PRELOAD" in wanted and os.environ.get("LD_PRELOAD") != wanted["LD_PRELOAD"]
    for old, new in plan.get("instead", {}).items():
        for name, value in os.environ.items():
            if name != "TOCSIN_LISTEN":
                os.environ[name] = value.replace(old, new)
    os.environ.update(wanted)
    if begin_anew:
        os.execv(sys.executable, sys.orig_argv)


prepare()

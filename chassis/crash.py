"""Points where a test may kill the process, to prove that nothing is lost or doubled there."""

import os
import signal


def crashpoint(name: str) -> None:
    """Kills this process at once when the environment's TOCSIN_CRASH is `name`; otherwise does nothing."""
    if os.environ.get("TOCSIN_CRASH") == name:
        os.kill(os.getpid(), signal.SIGKILL)

"""Lints every migration's SQL with squawk: `python -m tests.migrations.lint`."""

import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import alembic.command
from alembic.config import Config
from alembic.script import ScriptDirectory

from chassis.migrate import LOCK_TIMEOUT
from cli.stack.schemas import CONTEXTS, script_location

ROOT = Path(__file__).parents[2]


def statements(context: str) -> Iterator[tuple[str, str]]:
    """The name and the SQL of each migration of a service, oldest first, with the time limit that `upgrade` sets."""
    location = script_location(context)
    assert location is not None, f"services.{context} has no migrations"
    scripts = ScriptDirectory(str(location))
    for script in reversed(list(scripts.walk_revisions())):
        rendered = io.StringIO()
        config = Config(output_buffer=rendered)
        config.set_main_option("script_location", str(location))
        alembic.command.upgrade(config, f"{script.down_revision or 'base'}:{script.revision}", sql=True)
        yield f"{context}-{script.revision}", f"set lock_timeout = '{LOCK_TIMEOUT}';\n{rendered.getvalue()}"


def main() -> int:
    """Squawk's exit status; its report names each migration as `<service>-<revision>.sql`."""
    with tempfile.TemporaryDirectory() as directory:
        files = []
        for context in CONTEXTS:
            for name, sql in statements(context):
                path = Path(directory, f"{name}.sql")
                path.write_text(sql)
                files.append(path.name)
        squawk = Path(sys.executable).with_name("squawk")
        return subprocess.call([squawk, "--config", ROOT / ".squawk.toml", *files], cwd=directory)


if __name__ == "__main__":
    raise SystemExit(main())

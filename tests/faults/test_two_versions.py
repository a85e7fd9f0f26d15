"""The schema is migrated under the feet of the version before, with a long reader in the way (FAULTS 31)."""

import asyncio
import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from chassis.migrate import LOCK_TIMEOUT
from cli.stack import schemas
from cli.stack.child import StartError
from cli.stack.credentials import Credentials
from tests.faults.oracle import Oracle
from tests.faults.victims import Victims, breakable
from tests.fixtures.stack import ROOT

SLOWEST, BUSY = 2.5, 1.5
"""Seconds that an answer may take, and by which a busy machine may stretch that."""
READS = """do $$ declare name text; begin
    for name in select format('%I.%I', schemaname, tablename) from pg_tables
        where schemaname in ('roster', 'escalation', 'notify', 'sla')
    loop execute 'select from ' || name || ' limit 1'; end loop; end $$"""
"""Looks into every table, and keeps a lock on each until the end of its transaction."""


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code as it was before the newest migration."""
    newest = git(
        "log", "-1", "--format=%H", "--", *(f"services/{one}/migrations" for one in schemas.CONTEXTS)
    )
    directory = tmp_path_factory.mktemp("older")
    packed = git("archive", f"{newest.decode().strip()}~1")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(directory, filter="data")
    return directory


@pytest.fixture
def victims(older: Path, tmp_path: Path) -> Iterator[Victims]:
    """A stack of that code."""
    with breakable(tmp_path, code=older) as started:
        yield started


@pytest.mark.timeout(300)
async def test_row_31_a_migration_under_traffic(victims: Victims, oracle: Oracle) -> None:
    """What needs a table for itself gives up while somebody reads; old code goes on, also on the new schema, then new code."""
    async with oracle.load():
        await oracle.more(60)
        async with victims.admin(autocommit=False) as reader:
            await reader.execute(READS)
            for _ in range(3):
                await in_vain(victims)
                await oracle.more(60)
            refused = await asyncio.to_thread(migrate, victims)
        assert await asyncio.to_thread(migrate, victims) == ""
        await oracle.more(100)
        assert oracle.refusals.total() == 0
        slowest = max(oracle.answered_in)
        await victims.by_code(ROOT)
        await oracle.more(60)
    verdict = await oracle.judge(first_page=60.0)
    print(f"behind the reader: {refused or 'done'}; every answer within {slowest:.2f} s", verdict)
    assert slowest < SLOWEST * BUSY


async def in_vain(victims: Victims) -> None:
    """What a migration does that needs a table for itself while somebody reads it: queues, briefly, and gives up."""
    async with victims.admin() as conn:
        await conn.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await conn.execute("alter table escalation.alerts add column never integer")


def migrate(victims: Victims) -> str:
    """`tocsin migrate` of this checkout; why it gave up, or nothing."""
    passwords = Credentials.kept_in(victims.up.data_dir).roles
    try:
        for _ in schemas.migrate(victims.state["postgres"], passwords):
            pass
    except StartError as error:
        return str(error).splitlines()[0]
    return ""


def git(*arguments: str) -> bytes:
    """What git says; skips the test where there is no history."""
    ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    if ran.returncode != 0:
        pytest.skip("the history is not here")
    return ran.stdout

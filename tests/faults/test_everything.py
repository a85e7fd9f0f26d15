"""Everything killed at once, again and again, under load: what was promised is kept (FAULTS 9, and 1 to 8 by chance)."""

import random

import pytest

from tests.faults.oracle import Oracle
from tests.faults.victims import EVERYTHING, SERVICES, Victims

KILLS = 20
FIRST_PAGE = 60.0
"""Seconds of N3 under a fault."""


@pytest.mark.timeout(600)
async def test_row_9_everything_killed_at_once_twenty_times(victims: Victims, oracle: Oracle) -> None:
    """Both stores and all five services by one stroke; the last time `tocsin up` itself besides."""
    async with oracle.load():
        for kill in range(KILLS):
            await oracle.more(random.randrange(10, 40))
            if kill < KILLS - 1:
                victims.kill(*EVERYTHING)
            else:
                await victims.kill_supervisor_and_all()
        await oracle.more(50)
    print(await oracle.judge(first_page=FIRST_PAGE))


@pytest.mark.timeout(300)
async def test_rows_1_to_8_one_service_after_the_other_killed(victims: Victims, oracle: Oracle) -> None:
    """Twice round, each at a moment that nobody chose."""
    async with oracle.load():
        for name in (*SERVICES, "gateway") * 2:
            await oracle.more(random.randrange(10, 40))
            victims.kill(name)
        await oracle.more(50)
    print(await oracle.judge(first_page=FIRST_PAGE))

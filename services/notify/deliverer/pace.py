"""How many attempts are begun together: few while this process is what they wait for, many while they wait for others."""

import asyncio
import time

LEAST, MOST = 32, 512
SLOW = 0.005
"""Seconds that a turn of the loop may take: a page needs several from its acceptance to its bytes."""
YOUNG = 1.0
"""Seconds after which an attempt that goes on waits for the other side, and is in nobody's way."""


class Pace:
    """Fewer at a time when the loop's turns are slow, so that a page that comes in a storm does not stand behind
    hundreds of others; up to 512 while there is time, which is how long receivers take to answer."""

    def __init__(self) -> None:
        self._allowed = MOST
        self._began: dict[object, float] = {}
        self._left_until_half = 0

    async def room(self) -> int:
        """How many may begin now; looks how long a turn of the loop takes."""
        before = time.monotonic()
        await asyncio.sleep(0)
        self.judge(time.monotonic() - before)
        return self.left()

    def left(self, now: float | None = None) -> int:
        """How many may begin, as far as is known; below zero when more than that are under way."""
        now = now or time.monotonic()
        return self._allowed - sum(now - began < YOUNG for began in self._began.values())

    def judge(self, turn: float) -> None:
        """Takes note of how many seconds a turn took."""
        if turn > SLOW:
            self._allowed = max(self._allowed // 2, LEAST)
        else:
            self._allowed = min(self._allowed * 2, MOST)

    def full(self) -> None:
        """There is more than may begin: it is worth a look when half of it has ended, for single rows cost too much."""
        self._left_until_half = max(min(self._allowed, len(self._began)) // 2, 1)

    def begin(self, attempt: object) -> None:
        """An attempt begins."""
        self._began[attempt] = time.monotonic()

    def end(self, attempt: object) -> bool:
        """An attempt has ended; whether to look for more."""
        self._began.pop(attempt, None)
        if self._left_until_half == 0:
            return False
        self._left_until_half -= 1
        return self._left_until_half == 0

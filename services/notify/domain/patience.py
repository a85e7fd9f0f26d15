"""How long a page is tried, how the pauses grow, and after how long the person's next way is used as well."""

from dataclasses import dataclass
from datetime import timedelta

from services.notify.domain.contact_method import Channel

FAIL_OVER_AFTER = timedelta(minutes=1)
"""A way that has not worked within this time is not waited for any longer; it is tried in the background."""
SHORTEST_PAUSE = timedelta(milliseconds=100)
LONGEST_ASKED = timedelta(hours=1)
"""However long the other side asks to be left alone."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The pauses of a channel: up to `first` after the first attempt, twice as much after each, up to `longest`."""

    first: timedelta
    longest: timedelta
    give_up_after: timedelta

    def pause(self, attempts: int, asked: timedelta | None, *, jitter: float) -> timedelta:
        """How long to wait after the given attempt: anything up to the longest then, by a random number from 0 to 1.

        Full jitter: what failed together is not tried together again. Never shorter than the other side asked for,
        which counts up to an hour.
        """
        longest = min(self.first * (1 << min(attempts - 1, 20)), self.longest)
        return max(longest * jitter, SHORTEST_PAUSE, min(asked or timedelta(), LONGEST_ASKED))


PATIENCE = {
    Channel.IN_APP: Patience(timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)),
    Channel.WEBHOOK: Patience(timedelta(seconds=1), timedelta(minutes=10), timedelta(hours=24)),
    Channel.EMAIL: Patience(timedelta(seconds=5), timedelta(minutes=5), timedelta(hours=4)),
    Channel.CHAT: Patience(timedelta(seconds=2), timedelta(minutes=2), timedelta(hours=1)),
}
"""A webhook is a machine's and may be behind for a day; a message to a person is worth less the older it is."""

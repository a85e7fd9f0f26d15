"""What the service does by itself: changes are folded into the changes."""

from datetime import timedelta

from chassis.db import Database
from services.sla.storage import changes


class Folder:
    """The loop's work; any number of replicas may run it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def work(self) -> timedelta | None:
        """Folds some changes; runs again at once when there may be more."""
        async with self._db.begin() as conn:
            folded = await changes.fold(conn)
        return timedelta() if folded == changes.FOLD else None

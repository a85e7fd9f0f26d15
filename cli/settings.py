"""What `tocsin migrate` reads from its environment and from secret files."""

from collections.abc import Mapping

from chassis.config import Settings
from cli.stack.schemas import CONTEXTS


class MigrateSettings(Settings):
    """The administrator's address of the database and the passwords that the services' roles get."""

    admin_database_url: str
    roster_password: str
    escalation_password: str
    notify_password: str
    sla_password: str

    def passwords(self) -> Mapping[str, str]:
        """The passwords by context."""
        return {context: getattr(self, f"{context}_password") for context in CONTEXTS}

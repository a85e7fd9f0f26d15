"""What rules see of an alert."""

from collections.abc import Mapping
from typing import NamedTuple


class Facts(NamedTuple):
    """An alert's labels, and its severity (by name), source and title, which match as labels."""

    severity: str
    source: str
    title: str
    labels: Mapping[str, str]

    def seen(self) -> dict[str, str]:
        """All of it as labels; the fields win over labels of their names."""
        return {**self.labels, "severity": self.severity, "source": self.source, "title": self.title}

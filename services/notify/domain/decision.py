"""Why a page travels by a method when it does, or not at all."""

from enum import StrEnum


class Decision(StrEnum):
    """Why a page is tried when it is, or is not sent at all."""

    PLANNED = "PLANNED"
    """When its method says."""
    FAILED_OVER = "FAILED_OVER"
    """Earlier than its method says, because another way to this person has failed."""
    QUIET_HOURS = "QUIET_HOURS"
    """Later than its method says, when the method's quiet hours are over."""
    TEST = "TEST"
    """At once, because somebody asked for a test page."""
    BUNDLED = "BUNDLED"
    """Together with others, when the window in which they were gathered ended."""
    RATE_LIMITED = "RATE_LIMITED"
    """Later, since its method or its person had as many messages as they may get."""
    BELOW_SEVERITY = "BELOW_SEVERITY"
    """Not at all: the alert is not bad enough for the method."""
    DISABLED = "DISABLED"
    """Not at all: the method is disabled."""
    UNVERIFIED = "UNVERIFIED"
    """Not at all: nobody has confirmed the method's address."""

"""What every service is told of who may call it."""

from chassis.config import ServiceSettings


class IdentitySettings(ServiceSettings):
    """Where roster answers, from which API keys are heard, and how long they are believed while it is away."""

    roster_address: str = "127.0.0.1:9001"
    keys_kept_seconds: int = 3600

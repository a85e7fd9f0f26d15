"""The configuration of notify."""

from typing import Literal

from pydantic import Field

from chassis.config import StoringSettings
from identity.config import IdentitySettings
from services.notify.channels.email import Security, Server


class Config(StoringSettings, IdentitySettings):
    """What notify is told.

    `public_url` is where the gateway answers, for receipt links, and `receipt_key` the key that signs them.
    `webhook_allow` are CIDRs, comma separated, to which webhooks and chat messages may go although they are not public.
    `person_per_minute` is how many messages a person gets by all methods together, 0 for any number. Pages and their
    trail are kept for `retention_days`, longer than receipt links are good for.
    `secrets_key` seals addresses and keys at rest: keys of 32 characters or more, comma separated, the one to seal with
    first. `smtp_…` is the mail server; without `smtp_host` there is no e-mail.
    """

    escalation_address: str
    public_url: str = "http://127.0.0.1:8080"
    receipt_key: str = Field(min_length=1)
    webhook_allow: str = ""
    secrets_key: str
    person_per_minute: int = Field(default=0, ge=0)
    retention_days: int = Field(default=90, ge=8)
    smtp_host: str = ""
    smtp_port: int = Field(default=0, ge=0, le=65_535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_username: str = ""
    smtp_password: str = ""
    smtp_sender: str = ""
    smtp_ca_file: str = ""

    def mail_server(self) -> Server | None:
        """The mail server; None when there is none. Raises ValueError when it is half told."""
        if not self.smtp_host:
            return None
        if "@" not in self.smtp_sender:
            raise ValueError("TOCSIN_SMTP_HOST wants TOCSIN_SMTP_SENDER, like 'Tocsin <tocsin@example.org>'")
        return Server(
            host=self.smtp_host,
            sender=self.smtp_sender,
            port=self.smtp_port,
            security=Security(self.smtp_security),
            username=self.smtp_username,
            password=self.smtp_password,
            ca_file=self.smtp_ca_file,
        )

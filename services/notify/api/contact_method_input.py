"""What people say of contact methods, read and checked: every wrong field is named at once."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from chassis import validation, wire
from chassis.clock import Clock
from chassis.errors import Problems, Unimplemented
from chassis.ids import generated_name
from services.notify import convert
from services.notify.channels.chat import Chats
from services.notify.domain.contact_method import (
    LAST_PLACE,
    LONGEST_DELAY,
    Channel,
    ContactMethod,
    Severity,
    email_problem,
    generated_secret,
    secret_key,
    url_problem,
)
from services.notify.domain.load import LONGEST_WINDOW, MOST_PER_MINUTE
from services.notify.domain.networks import Networks
from services.notify.domain.quiet_hours import never_end
from services.notify.domain.vault import Vault
from tocsin.notify.v1 import contact_method_pb2, contact_method_service_pb2

CHANGEABLE = (
    "address", "secret", "enabled", "min_severity", "delay", "order", "quiet_hours", "notify_on_resolve",
    "bundle_window", "per_minute",
)  # fmt: skip
FIXED = ("responder_id", "channel")
"""What an update may name as it is, so that what was read can be sent back."""
WRITTEN = (
    *(name for name in CHANGEABLE if name != "secret"),
    "disabled_reason", "verified_at", "sealed_address", "sealed_secret", "old_secret", "old_secret_until",
)  # fmt: skip
"""The columns that an update writes."""
LONGEST_REQUEST_ID = 128


@dataclass(frozen=True, slots=True)
class Given:
    """A method as it is to be, and its key in the clear, to be shown once."""

    method: ContactMethod
    secret: str = ""


class Input:
    """Reads contact methods for a server that has these channels."""

    def __init__(
        self, *, clock: Clock, networks: Networks, vault: Vault, chats: Chats, channels: Collection[Channel]
    ) -> None:
        self._clock = clock
        self._networks = networks
        self._vault = vault
        self._chats = chats
        self._channels = channels

    async def new(self, request: contact_method_service_pb2.CreateContactMethodRequest) -> Given:
        """The method that a request creates. Raises Invalid, Unimplemented for a channel that is not set up."""
        message, problems = request.contact_method, Problems()
        channel = convert.channel(message.channel, "channel", problems)
        method = ContactMethod(
            contact_method_id=message.contact_method_id or generated_name("contact-method"),
            responder_id=message.responder_id,
            channel=channel or Channel.IN_APP,
            address="",
            enabled=message.enabled if message.HasField("enabled") else True,
            min_severity=convert.severity(message.min_severity, "min_severity", problems) or Severity.INFO,
            delay=wire.length(message, "delay") or timedelta(),
            disabled_reason="",
            request_id=request.request_id or None,
            created_at=self._clock.now(),
            order=message.order,
            quiet_hours=convert.quiet_hours(message.quiet_hours, problems),
            notify_on_resolve=message.notify_on_resolve,
            bundle_window=wire.length(message, "bundle_window") or timedelta(),
            per_minute=message.per_minute,
        )
        validation.name(problems, "contact_method_id", method.contact_method_id)
        validation.name(problems, "responder_id", method.responder_id)
        validation.text(problems, "request_id", request.request_id, most=LONGEST_REQUEST_ID)
        if channel is not None:
            self._check_channel(channel, problems)
        elif message.channel == contact_method_pb2.Channel.VALUE_UNSPECIFIED:
            problems.add("channel", f"is required; want one of {', '.join(sorted(self._channels))}")
        await self._check_address(channel, message.address, problems)
        secret = message.secret
        if channel in (Channel.WEBHOOK, None):
            secret = secret or generated_secret()
        self._check_secret(channel, secret, problems)
        self._check_rules(method, problems)
        problems.check()
        method = self._with_secret(self._with_address(method, message.address), secret)
        return Given(method, secret)

    async def changed(
        self,
        known: ContactMethod,
        message: contact_method_pb2.ContactMethod,
        named: set[str],
        problems: Problems,
    ) -> ContactMethod:
        """The method with the named fields of the message; raises Invalid with the problems noted before, too.

        An address that is shown redacted may be sent back as it is; a new one must be confirmed again. Enabling a
        method forgets why it was disabled.
        """
        _check_fixed(known, message, named, problems)
        severity = convert.severity(message.min_severity, "min_severity", problems)
        enabled = message.enabled if message.HasField("enabled") else True
        values: dict[str, Any] = {
            "enabled": enabled,
            "min_severity": severity or Severity.INFO,
            "delay": wire.length(message, "delay") or timedelta(),
            "order": message.order,
            "quiet_hours": convert.quiet_hours(message.quiet_hours, problems),
            "notify_on_resolve": message.notify_on_resolve,
            "bundle_window": wire.length(message, "bundle_window") or timedelta(),
            "per_minute": message.per_minute,
        }
        method = replace(known, **{name: value for name, value in values.items() if name in named})
        if "enabled" in named and enabled:
            method = replace(method, disabled_reason="")
        if "address" in named and message.address in (known.address, self._vault.address(known)):
            named = named - {"address"}
        if "address" in named:
            await self._check_address(known.channel, message.address, problems)
        if "secret" in named and message.secret:
            self._check_secret(known.channel, message.secret, problems)
        self._check_rules(method, problems)
        problems.check()
        if "address" in named:
            method = replace(self._with_address(method, message.address), verified_at=None)
        if "secret" in named and message.secret:
            method = self._with_secret(method, message.secret)
        return method

    def _with_address(self, method: ContactMethod, address: str) -> ContactMethod:
        if method.channel is not Channel.CHAT:
            return replace(method, address=address)
        sealed = self._vault.sealed_address(method.contact_method_id, address)
        return replace(method, address=self._vault.shown(address), sealed_address=sealed)

    def _with_secret(self, method: ContactMethod, secret: str) -> ContactMethod:
        if not secret:
            return method
        sealed = self._vault.sealed_secret(method.contact_method_id, secret)
        return replace(method, sealed_secret=sealed, old_secret=None, old_secret_until=None)

    def _check_channel(self, channel: Channel, problems: Problems) -> None:
        if channel is Channel.IN_APP:
            problems.add("channel", "IN_APP needs no contact method: everyone has it")
        elif channel not in self._channels:
            raise Unimplemented(
                f"{channel} is not set up on this server; want one of {', '.join(sorted(self._channels))}",
                reason="CHANNEL_UNAVAILABLE",
            )

    async def _check_address(self, channel: Channel | None, address: str, problems: Problems) -> None:
        match channel:
            case Channel.IN_APP:
                return  # that there is no such method has been said
            case Channel.EMAIL:
                problem = email_problem(address) if address else "is required; want an e-mail address"
            case Channel.CHAT:
                problem = (
                    await self._chats.problem(address) if address else "is required; want a provider's URL"
                )
            case _:
                problem = self._url_problem(address) if address else "is required; want an http or https URL"
        if problem:
            problems.add("address", problem)

    def _url_problem(self, address: str) -> str:
        if problem := url_problem(address):
            return problem
        refusal = self._networks.literal_refusal(urlsplit(address).hostname or "")
        return f"is a {refusal} address, which this server does not send to" if refusal else ""

    def _check_secret(self, channel: Channel | None, secret: str, problems: Problems) -> None:
        if channel in (Channel.EMAIL, Channel.CHAT):
            if secret:
                problems.add("secret", f"is for webhooks; {channel} has none")
        elif channel is not Channel.IN_APP and secret_key(secret) is None:
            problems.add("secret", "is not a key; want 'whsec_' and base64 of 24 to 64 bytes")

    def _check_rules(self, method: ContactMethod, problems: Problems) -> None:
        validation.span(problems, "delay", method.delay, least=timedelta(), most=LONGEST_DELAY)
        validation.span(
            problems, "bundle_window", method.bundle_window, least=timedelta(), most=LONGEST_WINDOW
        )
        validation.number(problems, "per_minute", method.per_minute, least=0, most=MOST_PER_MINUTE)
        validation.number(problems, "order", method.order, least=0, most=LAST_PLACE)
        if not problems.found and never_end(method.quiet_hours, self._clock.now()):
            problems.add("quiet_hours", "never end; want to leave some time to be told")


def _check_fixed(
    known: ContactMethod, message: contact_method_pb2.ContactMethod, named: set[str], problems: Problems
) -> None:
    channel = convert.channel(message.channel, "channel", problems) or known.channel
    if "channel" in named and channel is not known.channel:
        problems.add("channel", f"cannot be changed from {known.channel}; make another contact method")
    if "responder_id" in named and message.responder_id not in ("", known.responder_id):
        problems.add(
            "responder_id", f"cannot be changed from {known.responder_id!r}; make another contact method"
        )

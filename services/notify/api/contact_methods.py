"""ContactMethodService: how people want to be reached."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from google.protobuf import empty_pb2

from chassis import paging, validation, wire
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import AlreadyExists, NotFound, Problems, Unimplemented
from chassis.ids import generated_name
from chassis.server import Context
from identity.audit import audited
from services.notify import convert
from services.notify.domain.contact_method import (
    LAST_PLACE,
    LONGEST_DELAY,
    Channel,
    ContactMethod,
    Severity,
    generated_secret,
    secret_key,
    url_problem,
)
from services.notify.domain.networks import Networks
from services.notify.domain.quiet_hours import never_end
from services.notify.storage import contact_methods
from tocsin.notify.v1 import contact_method_pb2, contact_method_service_pb2, contact_method_service_pb2_grpc

CHANGEABLE = (
    "address", "secret", "enabled", "min_severity", "delay", "order", "quiet_hours", "notify_on_resolve",
)  # fmt: skip
FIXED = ("responder_id", "channel")
"""What an update may name as it is, so that what was read can be sent back."""
LONGEST_REQUEST_ID = 128


class ContactMethodApi(contact_method_service_pb2_grpc.ContactMethodServiceServicer):
    """Creates, reads, changes and deletes contact methods."""

    def __init__(self, *, db: Database, clock: Clock, networks: Networks) -> None:
        self._db = db
        self._clock = clock
        self._networks = networks

    async def CreateContactMethod(
        self, request: contact_method_service_pb2.CreateContactMethodRequest, _: Context
    ) -> contact_method_pb2.ContactMethod:
        """The new method with its secret; for a repeated request id the one that is there, without."""
        method = self._new(request)
        async with audited(self._db) as conn:
            if await contact_methods.create(conn, method):
                return convert.contact_method(method, secret=method.secret)
        async with self._db.connect() as conn:
            if method.request_id and (known := await contact_methods.requested(conn, method.request_id)):
                return convert.contact_method(known)
        raise AlreadyExists(f"the contact method {method.contact_method_id!r} exists")

    async def GetContactMethod(
        self, request: contact_method_service_pb2.GetContactMethodRequest, _: Context
    ) -> contact_method_pb2.ContactMethod:
        """One method without its secret."""
        async with self._db.connect() as conn:
            method = await contact_methods.get(conn, request.contact_method_id)
        return convert.contact_method(_found(method, request.contact_method_id))

    async def ListContactMethods(
        self, request: contact_method_service_pb2.ListContactMethodsRequest, _: Context
    ) -> contact_method_service_pb2.ListContactMethodsResponse:
        """One page of methods, in the order of their ids, without secrets."""
        problems, limit = Problems(), paging.size(request.page_size)
        channel = convert.channel(request.channel, "channel", problems)
        problems.check()
        key = paging.after(request.page_token, 1)
        async with self._db.connect() as conn:
            found = await contact_methods.find(
                conn,
                responder_id=request.responder_id,
                channel=channel,
                after=key[0] if key else None,
                limit=limit + 1,
            )
        last = [found[limit - 1].contact_method_id] if len(found) > limit else []
        shown, token = paging.page(found, limit, last)
        return contact_method_service_pb2.ListContactMethodsResponse(
            contact_methods=[convert.contact_method(method) for method in shown], next_page_token=token
        )

    async def UpdateContactMethod(
        self, request: contact_method_service_pb2.UpdateContactMethodRequest, _: Context
    ) -> contact_method_pb2.ContactMethod:
        """The changed method, without its secret; an empty secret leaves the one that is there."""
        message, problems = request.contact_method, Problems()
        named = wire.changed(request.update_mask, message, CHANGEABLE + FIXED, problems)
        if not message.secret:
            named.discard("secret")
        problems.check()
        async with audited(self._db) as conn:
            known = await contact_methods.get(conn, message.contact_method_id, lock=True)
            method = _changed(_found(known, message.contact_method_id), message, named, problems)
            self._check(method, problems)
            problems.check()
            await contact_methods.change(conn, method, (*CHANGEABLE, "disabled_reason"))
        return convert.contact_method(method)

    async def DeleteContactMethod(
        self, request: contact_method_service_pb2.DeleteContactMethodRequest, _: Context
    ) -> empty_pb2.Empty:
        """Deletes the method and cancels what is not sent by it yet."""
        async with audited(self._db) as conn:
            if not await contact_methods.remove(
                conn, request.contact_method_id, "the contact method was deleted"
            ):
                _found(None, request.contact_method_id)
        return empty_pb2.Empty()

    def _new(self, request: contact_method_service_pb2.CreateContactMethodRequest) -> ContactMethod:
        message, problems = request.contact_method, Problems()
        method = ContactMethod(
            contact_method_id=message.contact_method_id or generated_name("contact-method"),
            responder_id=message.responder_id,
            channel=convert.channel(message.channel, "channel", problems) or Channel.IN_APP,
            address=message.address,
            secret=message.secret or generated_secret(),
            enabled=message.enabled if message.HasField("enabled") else True,
            min_severity=convert.severity(message.min_severity, "min_severity", problems) or Severity.INFO,
            delay=wire.length(message, "delay") or timedelta(),
            disabled_reason="",
            request_id=request.request_id or None,
            created_at=self._clock.now(),
            order=message.order,
            quiet_hours=convert.quiet_hours(message.quiet_hours, problems),
            notify_on_resolve=message.notify_on_resolve,
        )
        validation.name(problems, "contact_method_id", method.contact_method_id)
        validation.name(problems, "responder_id", method.responder_id)
        validation.text(problems, "request_id", request.request_id, most=LONGEST_REQUEST_ID)
        if message.channel == contact_method_pb2.Channel.VALUE_UNSPECIFIED:
            problems.add("channel", "is required; want WEBHOOK")
        else:
            _check_channel(method.channel, "channel", problems)
        self._check(method, problems)
        problems.check()
        return method

    def _check(self, method: ContactMethod, problems: Problems) -> None:
        """What must hold of a method, new or changed."""
        if not method.address:
            problems.add("address", "is required; want an http or https URL")
        elif problem := url_problem(method.address):
            problems.add("address", problem)
        elif refusal := self._networks.literal_refusal(urlsplit(method.address).hostname or ""):
            problems.add("address", f"is a {refusal} address, which this server does not send to")
        if secret_key(method.secret) is None:
            problems.add("secret", "is not a key; want 'whsec_' and base64 of 24 to 64 bytes")
        validation.span(problems, "delay", method.delay, least=timedelta(), most=LONGEST_DELAY)
        validation.number(problems, "order", method.order, least=0, most=LAST_PLACE)
        if not problems.found and never_end(method.quiet_hours, self._clock.now()):
            problems.add("quiet_hours", "never end; want to leave some time to be told")


def _check_channel(channel: Channel, path: str, problems: Problems) -> None:
    match channel:
        case Channel.WEBHOOK:
            pass
        case Channel.IN_APP:
            problems.add(path, "IN_APP needs no contact method: everyone has it")
        case Channel.EMAIL | Channel.CHAT:
            raise Unimplemented(f"{channel} is not available yet; want WEBHOOK", reason="CHANNEL_UNAVAILABLE")


def _changed(
    known: ContactMethod,
    message: contact_method_pb2.ContactMethod,
    named: set[str],
    problems: Problems,
) -> ContactMethod:
    """The method with the named fields of the message; enabling it forgets why it was disabled."""
    severity = convert.severity(message.min_severity, "min_severity", problems)
    enabled = message.enabled if message.HasField("enabled") else True
    values: dict[str, Any] = {
        "address": message.address,
        "secret": message.secret,
        "enabled": enabled,
        "min_severity": severity or Severity.INFO,
        "delay": wire.length(message, "delay") or timedelta(),
        "order": message.order,
        "quiet_hours": convert.quiet_hours(message.quiet_hours, problems),
        "notify_on_resolve": message.notify_on_resolve,
    }
    if "enabled" in named and enabled:
        known = replace(known, disabled_reason="")
    channel = convert.channel(message.channel, "channel", problems) or known.channel
    if "channel" in named and channel is not known.channel:
        problems.add("channel", f"cannot be changed from {known.channel}; make another contact method")
    if "responder_id" in named and message.responder_id not in ("", known.responder_id):
        problems.add(
            "responder_id", f"cannot be changed from {known.responder_id!r}; make another contact method"
        )
    return replace(known, **{name: values[name] for name in named.difference(FIXED)})


def _found(method: ContactMethod | None, contact_method_id: str) -> ContactMethod:
    if method is None:
        raise NotFound(f"there is no contact method {contact_method_id!r}")
    return method

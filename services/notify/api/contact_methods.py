"""ContactMethodService: how people want to be reached."""

from datetime import timedelta

from google.protobuf import empty_pb2

from chassis import paging, validation, wire
from chassis.db import Database
from chassis.errors import AlreadyExists, NotFound, Problems
from chassis.server import Context
from identity.audit import audited
from services.notify import convert
from services.notify.api.contact_method_input import CHANGEABLE, FIXED, WRITTEN, Input
from services.notify.api.rotation import DEFAULT_OVERLAP, LONGEST_OVERLAP, Rotation
from services.notify.api.trials import Trials
from services.notify.api.unreachable import Reach
from services.notify.api.verifications import Verifications
from services.notify.domain.contact_method import ContactMethod, secret_key
from services.notify.storage import contact_methods
from tocsin.notify.v1 import (
    contact_method_pb2,
    contact_method_service_pb2,
    contact_method_service_pb2_grpc,
    route_pb2,
)

LONGEST_CODE = 64


class ContactMethodApi(contact_method_service_pb2_grpc.ContactMethodServiceServicer):
    """Creates, reads, changes, confirms, tests and deletes contact methods."""

    def __init__(
        self,
        *,
        db: Database,
        input_: Input,
        verifications: Verifications,
        trials: Trials,
        rotation: Rotation,
        reach: Reach,
    ) -> None:
        self._db = db
        self._input = input_
        self._verifications = verifications
        self._trials = trials
        self._rotation = rotation
        self._reach = reach

    async def CreateContactMethod(
        self, request: contact_method_service_pb2.CreateContactMethodRequest, _: Context
    ) -> contact_method_pb2.ContactMethod:
        """The new method with its secret; for a repeated request id the one that is there, without."""
        given = await self._input.new(request)
        method = given.method
        async with audited(self._db) as conn:
            if await contact_methods.create(conn, method):
                return convert.contact_method(method, secret=given.secret)
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
        problems.check()
        async with audited(self._db) as conn:
            known = _found(
                await contact_methods.get(conn, message.contact_method_id, lock=True),
                message.contact_method_id,
            )
            method = await self._input.changed(known, message, named, problems)
            await contact_methods.change(conn, method, WRITTEN)
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

    async def SendContactMethodCode(
        self, request: contact_method_service_pb2.SendContactMethodCodeRequest, _: Context
    ) -> contact_method_pb2.ContactMethod:
        """The method, once the code was sent."""
        return convert.contact_method(await self._verifications.send(request.contact_method_id))

    async def VerifyContactMethod(
        self, request: contact_method_service_pb2.VerifyContactMethodRequest, _: Context
    ) -> contact_method_pb2.ContactMethod:
        """The method, which counts."""
        problems = Problems()
        validation.text(problems, "code", request.code, most=LONGEST_CODE, required=True)
        problems.check()
        return convert.contact_method(
            await self._verifications.confirm(request.contact_method_id, request.code)
        )

    async def TestContactMethod(
        self, request: contact_method_service_pb2.TestContactMethodRequest, _: Context
    ) -> route_pb2.RouteLog:
        """The route log of the test page, which is not sent yet."""
        return convert.route_log(await self._trials.send(request.contact_method_id))

    async def RotateContactMethodSecret(
        self, request: contact_method_service_pb2.RotateContactMethodSecretRequest, _: Context
    ) -> contact_method_pb2.ContactMethod:
        """The method with its new secret."""
        problems = Problems()
        overlap = wire.length(request, "overlap")
        validation.span(problems, "overlap", overlap, least=timedelta(), most=LONGEST_OVERLAP)
        if request.secret and secret_key(request.secret) is None:
            problems.add("secret", "is not a key; want 'whsec_' and base64 of 24 to 64 bytes")
        problems.check()
        method, secret = await self._rotation.rotate(
            request.contact_method_id, request.secret, DEFAULT_OVERLAP if overlap is None else overlap
        )
        return convert.contact_method(method, secret=secret)

    async def ListUnreachable(
        self, request: contact_method_service_pb2.ListUnreachableRequest, _: Context
    ) -> contact_method_service_pb2.ListUnreachableResponse:
        """One page of people whom nothing reaches, in the order of their ids."""
        limit, key = paging.size(request.page_size), paging.after(request.page_token, 1)
        everyone = await self._reach.unreached()
        found = [one for one in everyone if key is None or one.person.responder_id > key[0]][: limit + 1]
        last = [found[limit - 1].person.responder_id] if len(found) > limit else []
        shown, token = paging.page(found, limit, last)
        return contact_method_service_pb2.ListUnreachableResponse(
            unreachable_responders=[
                convert.unreachable(one.person.responder_id, one.person.display_name, one.reason)
                for one in shown
            ],
            next_page_token=token,
        )


def _found(method: ContactMethod | None, contact_method_id: str) -> ContactMethod:
    if method is None:
        raise NotFound(f"there is no contact method {contact_method_id!r}")
    return method

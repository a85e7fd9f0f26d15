"""Entity tags: an answer that the caller has already is not sent again, and a change of what has changed is refused."""

import hashlib
from collections.abc import Mapping

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from chassis.errors import Invalid

FIELD = "etag"
"""The field of a resource that says which state of it this is (AIP-154)."""
MISMATCH = "ETAG_MISMATCH"
"""The reason of a service that was given the tag of another state."""
KEPT = "private, no-cache"
"""A caller may keep an answer, and asks each time whether it is still right."""


def tagged(descriptor: Descriptor) -> bool:
    """Whether a resource has a tag of its own."""
    field = descriptor.fields_by_name.get(FIELD)
    return field is not None and field.type == FieldDescriptor.TYPE_STRING


def tag(answer: Message, body: bytes) -> str:
    """The tag of an answer: the resource's own, else a hash of what is sent."""
    own = getattr(answer, FIELD, "")
    return f'"{own}"' if own and isinstance(own, str) else f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def opaque(header: str) -> list[str]:
    """The tags that a header lists, without quotes; weak ones count, for ours are of values and not of bytes."""
    return [one.strip().removeprefix("W/").strip('"') for one in header.split(",")]


def known(headers: Mapping[str, str], current: str) -> bool:
    """Whether `If-None-Match` names the current tag."""
    given = headers.get("if-none-match")
    return given is not None and (given.strip() == "*" or current.strip('"') in opaque(given))


def expected(headers: Mapping[str, str]) -> str | None:
    """The tag that `If-Match` asks for; None when any will do. Raises Invalid for several."""
    given = opaque(headers.get("if-match", "*"))
    if len(given) > 1:
        raise Invalid.field("if-match", "names several tags; want one")
    return None if given[0] == "*" else given[0]

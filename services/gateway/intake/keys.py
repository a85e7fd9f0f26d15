"""The routing key of a request, and the signature over its body where the sender makes one."""

import hashlib
import hmac
import time

from chassis.errors import Unauthenticated
from services.gateway.http import Incoming

ELSEWHERE = "-"
"""In the place of a routing key in a path: the key is in the `authorization` header, out of the logs of proxies."""
SCHEMES = frozenset({"bearer", "geniekey", "token"})
SIGNATURE, SIGNED_AT = "x-grafana-alerting-signature", "x-grafana-alerting-signature-timestamp"
TOLERANCE = 300
"""Seconds by which the time of a signature may differ from ours."""


def routing_key(incoming: Incoming) -> str:
    """The key of the path, or of the `authorization` header where the path has `-`; empty for none."""
    given = incoming.variables.get("routing_key", ELSEWHERE)
    return given if given != ELSEWHERE else credential(incoming.authorization)


def credential(authorization: str | None) -> str:
    """What follows `GenieKey`, `Bearer` or `Token` in a header; empty for anything else."""
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() if scheme.lower() in SCHEMES else ""


def check_signature(incoming: Incoming, key: str, body: bytes) -> None:
    """Grafana's HMAC-SHA256 over the body, or over `<unix time>:<body>`, keyed with the routing key (ADR 28).

    Raises Unauthenticated for a signature that is wrong or old; a request without one is not asked for it.
    """
    headers = incoming.request.headers
    given = headers.get(SIGNATURE)
    if given is None:
        return
    signed_at = headers.get(SIGNED_AT)
    if signed_at is not None:
        body = signed_at.encode() + b":" + body
        if not signed_at.isdecimal() or abs(time.time() - int(signed_at[:15])) > TOLERANCE:
            raise Unauthenticated("the signature is too old, or of the future", reason="SIGNATURE_EXPIRED")
    right = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(right.encode(), given.strip().lower().encode()):
        raise Unauthenticated("the signature is not that of the routing key", reason="WRONG_SIGNATURE")

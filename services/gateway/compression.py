"""Gzip both ways: answers for callers that take it, where they are large and whole, and bodies that come in it."""

import asyncio
import gzip
import re
import zlib
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from chassis.errors import Invalid
from services.gateway.failures import TooLarge

LEAST = 1024
"""Bytes below which an answer goes as it is."""
LARGE = 256 * 1024
"""Bytes from which compressing is left to a thread."""
LEVEL = 5
KINDS = re.compile(r"text/(?!event-stream)|application/(?:json|x-ndjson|jsonl|xml)|[^;]*\+(?:json|xml)")
"""What shrinks."""
REFUSED = re.compile(r"q\s*=\s*0(?:\.0{0,3})?\s*$")


def unpacked(body: bytes, content_encoding: str, limit: int) -> bytes:
    """A body as it was before it was packed; raises TooLarge when that is more than `limit` bytes, else Invalid."""
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip"):
        raise Invalid.field(
            "content-encoding", f"{content_encoding[:40]!r} is not known here; want gzip or none"
        )
    packed = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = packed.decompress(body, limit + 1)
    except zlib.error:
        plain = b""
    if len(plain) > limit:
        raise TooLarge(limit)
    if not packed.eof or packed.unused_data:
        raise Invalid("the body is not gzip, or not whole", reason="NOT_GZIP")
    return plain


def wanted(accept_encoding: str) -> bool:
    """Whether a caller takes gzip."""
    for part in accept_encoding.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return not REFUSED.search(weight)
    return False


async def compress(response: Response, accept_encoding: str) -> None:
    """Compresses an answer in place where that is worth it; its ETag then is a weak one."""
    if not KINDS.match(response.headers.get("content-type", "")) or "content-encoding" in response.headers:
        return
    streamed = isinstance(response, StreamingResponse)
    if not streamed and len(response.body) < LEAST:
        return
    response.headers.add_vary_header("accept-encoding")
    if not wanted(accept_encoding):
        return
    if isinstance(response, StreamingResponse):
        response.body_iterator = _compressed(response.body_iterator)  # type: ignore[arg-type]
    else:
        body = bytes(response.body)
        packing = asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0) if len(body) >= LARGE else None
        response.body = await packing if packing is not None else gzip.compress(body, LEVEL, mtime=0)
        response.headers["content-length"] = str(len(response.body))
    response.headers["content-encoding"] = "gzip"
    if (tag := response.headers.get("etag", "")).startswith('"'):
        response.headers["etag"] = f"W/{tag}"


async def _compressed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    async for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()

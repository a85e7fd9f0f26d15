"""Unary gRPC calls as bare HTTP/2 frames on one connection: a client that costs a tenth of a library's."""

import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

DATA, HEADERS, RESET, SETTINGS, PING, GONE, WINDOW = 0, 1, 3, 4, 6, 7, 8
END, ACK, WHOLE = 1, 1, 4
MOST = 2**31 - 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
INITIAL_WINDOW = 4
FIRST_WINDOW = 65_535


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame as it is on the wire."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def header_block(address: str, method: str, token: str) -> bytes:
    """The headers of every call, none of them compressed: POST and http by number, the others as they are."""
    named = {
        ":authority": address,
        "content-type": "application/grpc",
        "te": "trailers",
        "authorization": f"Bearer {token}",
    }
    block = b"\x83\x86\x04" + _string(method)
    return block + b"".join(b"\0" + _string(name) + _string(value) for name, value in named.items())


def _string(text: str) -> bytes:
    """With its length before it, as HPACK writes it: in one byte, or what is over 127 in more, seven bits each."""
    if len(text) < 0x7F:
        return bytes((len(text),)) + text.encode()
    left, more = len(text) - 0x7F, b""
    while left >= 0x80:
        more += bytes((left & 0x7F | 0x80,))
        left >>= 7
    return b"\x7f" + more + bytes((left,)) + text.encode()


class Connection:
    """One connection with so many calls in flight, their bodies in turn."""

    def __init__(self, address: str, block: bytes) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        settings = struct.pack(">HI", INITIAL_WINDOW, MOST)
        wide = frame(WINDOW, 0, 0, struct.pack(">I", MOST - FIRST_WINDOW))
        self._socket.sendall(PREFACE + frame(SETTINGS, 0, 0, settings) + wide)
        self._block = block
        self._window = FIRST_WINDOW
        self._next = 1
        self._answered: set[int] = set()
        self._unread = b""

    def run(self, bodies: Sequence[bytes], in_flight: int) -> None:
        """Makes a call of each body; raises RuntimeError when one ends without a message."""
        waiting, done, under_way = iter(bodies), 0, 0
        body = next(waiting, None)
        while done < len(bodies):
            out = []
            while body is not None and under_way < in_flight and len(body) + 5 <= self._window:
                out.append(self._call(body))
                under_way += 1
                body = next(waiting, None)
            for kind, flags, stream, payload in self._frames(b"".join(out)):
                if kind in (RESET, GONE):
                    raise RuntimeError(f"stream {stream} was ended: {payload.hex()}")
                if kind == DATA and payload:
                    self._answered.add(stream)
                if kind in (DATA, HEADERS) and flags & END:
                    if stream not in self._answered:
                        raise RuntimeError(f"stream {stream} ended without a message")
                    done, under_way = done + 1, under_way - 1

    def _call(self, body: bytes) -> bytes:
        stream, self._next = self._next, self._next + 2
        message = b"\0" + struct.pack(">I", len(body)) + body
        self._window -= len(message)
        return frame(HEADERS, WHOLE, stream, self._block) + frame(DATA, END, stream, message)

    def _frames(self, out: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Sends, reads once, and gives the frames that are not the connection's own, which it answers."""
        if out:
            self._socket.sendall(out)
        found = self._socket.recv(1 << 18)
        if not found:
            raise RuntimeError("the connection was closed")
        buffer, at = self._unread + found, 0
        while len(buffer) - at >= 9:
            length = int.from_bytes(buffer[at : at + 3], "big")
            if len(buffer) - at < 9 + length:
                break
            kind, flags, stream = (
                buffer[at + 3],
                buffer[at + 4],
                int.from_bytes(buffer[at + 5 : at + 9], "big"),
            )
            payload = buffer[at + 9 : at + 9 + length]
            at += 9 + length
            if kind == WINDOW and stream == 0:
                self._window += int.from_bytes(payload, "big")
            elif kind in (SETTINGS, PING) and not flags & ACK:
                self._socket.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind not in (SETTINGS, PING, WINDOW):
                yield kind, flags, stream, payload
        self._unread = buffer[at:]


def main() -> None:
    """Prints calls per second; the first call, which opens the connection, is not counted."""
    address, method, file, token, calls, in_flight = sys.argv[1:]
    given = [bytes.fromhex(line) for line in Path(file).read_text().split("\n")]
    bodies = [given[number % len(given)] for number in range(int(calls))]
    connection = Connection(address, header_block(address, method, token))
    connection.run(given[:1], 1)
    began = time.perf_counter()
    connection.run(bodies, int(in_flight))
    print(len(bodies) / (time.perf_counter() - began))


if __name__ == "__main__":
    main()

"""A mail server on loopback: aiosmtpd, which can be told to refuse, to hang and to cut connections."""

import asyncio
import contextlib
import email
import email.policy
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult

from services.notify.channels.email import Security, Server
from tests.fixtures.eventually import eventually

SENDER = "Tocsin <tocsin@pager.example>"


@dataclass(frozen=True)
class Mail:
    """A mail as it was taken: the envelope, and what was in it."""

    sender: str
    recipients: list[str]
    raw: bytes
    encrypted: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        """The mail, read."""
        read = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(read, EmailMessage)
        return read

    def part(self, kind: str) -> str:
        """The text of its part `plain` or `html`."""
        body = self.message.get_body((kind,))
        assert body is not None
        return str(body.get_content())


@dataclass
class Mailbox:
    """What has come in, and what is said to the next commands; `users` may log in when there are some."""

    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    connections: int = 0
    users: dict[str, str] = field(default_factory=dict)
    to_rcpt: Callable[[], Awaitable[str]] | None = None
    to_data: Callable[[], Awaitable[str]] | None = None
    sessions: list[SMTP] = field(default_factory=list)

    async def got(self, count: int = 1) -> list[Mail]:
        """Waits until so many mails have come in."""
        return await eventually(lambda: self.mails if len(self.mails) >= count else None)

    def cut(self) -> None:
        """Cuts the newest connection."""
        transport = self.sessions[-1].transport
        assert isinstance(transport, asyncio.WriteTransport)
        transport.abort()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        """aiosmtpd asks for each recipient."""
        if self.to_rcpt is not None and (answer := await self.to_rcpt()):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """aiosmtpd hands over each mail."""
        if self.to_data is not None and (answer := await self.to_data()):
            return answer
        user = session.auth_data.decode() if session.auth_data else ""
        self.mails.append(
            Mail(
                envelope.mail_from,
                envelope.rcpt_tos,
                envelope.content,
                server.transport.get_extra_info("ssl_object") is not None,
                user,
            )
        )
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        """aiosmtpd asks whether somebody may log in."""
        name, password = data.login.decode(), data.password.decode()
        session.auth_data = data.login
        return AuthResult(success=self.users.get(name) == password, handled=False, auth_data=data.login)

    def server(self, **values: Any) -> Server:
        """What notify is told of it."""
        return Server(
            **{
                "host": "127.0.0.1",
                "port": self.port,
                "sender": SENDER,
                "security": Security.NONE,
                **values,
            }
        )


def saying(answer: str) -> Callable[[], Awaitable[str]]:
    """Gives that answer."""

    async def said() -> str:
        return answer

    return said


async def hanging() -> str:
    """Never answers."""
    await asyncio.Event().wait()
    return ""


@asynccontextmanager
async def a_mailbox(
    *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None, **values: Any
) -> AsyncIterator[Mailbox]:
    """A mail server on a free port, with TLS from the start or by STARTTLS when contexts are given."""
    box = Mailbox(**values)

    def session() -> SMTP:
        box.connections += 1
        made = SMTP(
            box,
            hostname="mail.example",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=bool(box.users),
            auth_require_tls=False,
            authenticator=box.authenticate,
        )
        box.sessions.append(made)
        return made

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=tls)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        for one in box.sessions:
            if one.transport is not None:
                one.transport.close()
            handling = getattr(one, "_handler_coroutine", None)
            if handling is not None:
                handling.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await handling

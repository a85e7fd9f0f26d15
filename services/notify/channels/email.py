"""E-mail by one SMTP server: text and HTML, threaded by alert."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime, parseaddr
from enum import StrEnum

import aiosmtplib

from services.notify.domain.contact_method import email_problem
from services.notify.domain.delivery import Answer, Message, Rejected, Retry, Sent, reason
from services.notify.domain.template import Text

DEADLINE = timedelta(seconds=10)
"""For everything: waiting for a connection, opening it, TLS, authentication, the mail and its acceptance."""
CONNECTIONS = 8
IDLE = 20.0
"""Seconds for which a connection is kept for the next mail."""


class Security(StrEnum):
    """How the way to the server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


@dataclass(frozen=True, slots=True)
class Server:
    """An SMTP server and whom mail comes from; without a user name nobody logs in."""

    host: str
    sender: str
    port: int = 0
    security: Security = Security.STARTTLS
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""


class Emails:
    """The channel EMAIL.

    What the server says of a recipient or a mail counts: 5xx is final, 4xx is tried again. Trouble with the server
    itself, a refused login and a refused sender among it, is tried again too, since no other mail would do better.
    """

    def __init__(
        self,
        server: Server,
        *,
        write: Callable[[Message], Text],
        now: Callable[[], datetime],
        deadline: timedelta = DEADLINE,
        connections: int = CONNECTIONS,
    ) -> None:
        """`write` gives a message its words."""
        self._server = server
        self._write = write
        self._now = now
        self._deadline = deadline.total_seconds()
        self._room = asyncio.Semaphore(connections)
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []
        self._tls = ssl.create_default_context(cafile=server.ca_file or None)

    async def close(self) -> None:
        """Ends every connection that waits for the next mail."""
        while self._idle:
            self._idle.pop()[0].close()

    async def send(self, message: Message) -> Answer:
        """One attempt, over within the deadline of 10 s; never raises but when cancelled."""
        if problem := email_problem(message.address):
            return Rejected(f"the address {problem}")
        try:
            mail = mail_of(message, self._write(message), sender=self._server.sender, now=self._now())
            async with asyncio.timeout(self._deadline):
                return await self._deliver(message.address, mail)
        except TimeoutError:
            return Retry(f"no answer within {self._deadline:g} s", silent=True)
        except ssl.SSLError as error:
            return Retry(reason(f"TLS: {error}"), silent=True)
        except aiosmtplib.SMTPAuthenticationError as error:
            return Retry(reason(f"the mail server refuses the login: {error.code} {error.message}"))
        except aiosmtplib.SMTPResponseException as error:
            return Retry(reason(f"the mail server says {error.code} {error.message}"))
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return Retry(reason(f"{type(error).__name__}: {error}"), silent=True)

    async def _deliver(self, address: str, mail: EmailMessage) -> Answer:
        sender = parseaddr(self._server.sender)[1]
        async with self._room, self._connected() as connection:
            try:
                await connection.sendmail(
                    sender, [address], mail.as_bytes(policy=WIRE.clone(cte_type="7bit"))
                )
            except aiosmtplib.SMTPRecipientsRefused as refused:
                first = refused.recipients[0]
                return _said(first.code, first.message)
            except aiosmtplib.SMTPDataError as refused:
                return _said(refused.code, refused.message)
        return Sent()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection that has just answered; it is kept for the next mail unless this one broke it."""
        connection = await self._kept() or await self._opened()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append((connection, time.monotonic()))

    async def _kept(self) -> aiosmtplib.SMTP | None:
        while self._idle:
            connection, since = self._idle.pop()
            try:
                if time.monotonic() - since < IDLE:
                    await connection.rset()
                    return connection
            except (aiosmtplib.SMTPException, OSError):
                pass
            except BaseException:
                connection.close()
                raise
            connection.close()
        return None

    async def _opened(self) -> aiosmtplib.SMTP:
        server = self._server
        connection = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port or PORTS[server.security],
            use_tls=server.security is Security.TLS,
            start_tls=server.security is Security.STARTTLS,
            tls_context=None if server.security is Security.NONE else self._tls,
            local_hostname=socket.gethostname(),  # aiosmtplib would ask a name server, and wait
            timeout=self._deadline,
        )
        try:
            await connection.connect()
            if server.username:
                await connection.login(server.username, server.password)
        except BaseException:
            connection.close()
            raise
        return connection


def mail_of(message: Message, text: Text, *, sender: str, now: datetime) -> EmailMessage:
    """The mail of a message. Its id is the same on every attempt, and mails of one alert refer to one that is none."""
    name, address = parseaddr(sender)
    domain = address.rpartition("@")[2]
    thread = f"<{message.thread or message.message_id}@{domain}>"
    mail = EmailMessage(policy=WIRE)
    mail["Subject"] = text.title
    mail["From"] = Address(name, addr_spec=address)
    mail["To"] = Address(addr_spec=message.address)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message.message_id}@{domain}>"
    mail["In-Reply-To"] = thread
    mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text.body)
    if text.html:
        mail.add_alternative(text.html, subtype="html")
    return mail


def _said(code: int, text: str) -> Answer:
    why = reason(f"the mail server says {code} {text}")
    return Rejected(why) if code >= 500 else Retry(why)

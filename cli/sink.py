"""`tocsin sink`: a webhook receiver to try things with, which can be told to fail, to be slow or to hang."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.receiver import Received, Receiver


def sink(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = "127.0.0.1:8090",
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHSEC",
            help="The secret of a contact method; once for each that sends here. One is made and shown when left out.",
        ),
    ] = None,
    status: Annotated[int, typer.Option(min=200, max=599, help="What every page is answered with.")] = 204,
    delay: Annotated[float, typer.Option(min=0, max=3600, help="Seconds before the answer.")] = 0.0,
    hang: Annotated[bool, typer.Option("--hang", help="Never answer.")] = False,
) -> None:
    """Receive signed webhooks and print them until Ctrl-C.

    POST /page takes them, GET /received shows them all. While it runs, PUT /behaviour {"status", "delay", "hang"} changes what
    is done with them, and POST /secrets {"secret"} makes it believe one more secret, after a rotation say.

    Example: tocsin sink --status 503 --delay 2
    """
    from cli.receiver import Behaviour, Receiver, key_of, new_secret
    from cli.stack.ports import Address

    try:
        address = Address.parse(listen)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--listen") from None
    try:
        for one in secret or ():
            key_of(one)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--secret") from None
    receiver = Receiver(secrets=secret or [new_secret()], behaviour=Behaviour(status, delay, hang))
    try:
        asyncio.run(_print(receiver, address.host, address.port))
    except KeyboardInterrupt:
        typer.echo(f"{len(receiver.pages)} pages, {receiver.refused} refused")


async def _print(receiver: "Receiver", host: str, port: int) -> None:
    from cli.receiver import receiving

    async with receiving(receiver, host=host, port=port):
        typer.echo(
            "\n".join([f"listening at {receiver.url}", *(f"secret {one}" for one in receiver.secrets)])
        )
        shown = 0
        while True:
            pages = await receiver.until(shown + 1, timeout=3600)
            for page in pages[shown:]:
                typer.echo(line(page))
            shown = len(pages)


def line(page: "Received") -> str:
    """A page, or news of one, in one line."""
    data, alert = page.data, page.data["alert"]
    told = f"level {data['level']} {data['reason']}" if page.type == "alert.escalated" else page.type
    more = f" (and {len(data['bundled'])} more)" if data.get("bundled") else ""
    return f"{page.webhook_id}  {data['responder_id']}  {told}: {alert['title']}{more}"

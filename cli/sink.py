"""`tocsin sink`: a webhook receiver to try things with, which can be told to fail, to be slow or to hang."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.receiver import Receiver


def sink(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = "127.0.0.1:8090",
    secret: Annotated[
        str, typer.Option(help="The secret of the contact method, whsec_…; made and shown when left out.")
    ] = "",
    status: Annotated[int, typer.Option(min=200, max=599, help="What every page is answered with.")] = 204,
    delay: Annotated[float, typer.Option(min=0, max=3600, help="Seconds before the answer.")] = 0.0,
    hang: Annotated[bool, typer.Option("--hang", help="Never answer.")] = False,
) -> None:
    """Receive signed webhooks and print them until Ctrl-C.

    POST /page takes them, GET /received shows them all, PUT /behaviour {"status", "delay", "hang"} changes what is done.
    """
    from cli.receiver import Behaviour, Receiver, new_secret
    from cli.stack.ports import Address

    try:
        address = Address.parse(listen)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--listen") from None
    receiver = Receiver(secret=secret or new_secret(), behaviour=Behaviour(status, delay, hang))
    try:
        asyncio.run(_print(receiver, address.host, address.port))
    except KeyboardInterrupt:
        typer.echo(f"{len(receiver.pages)} pages, {receiver.refused} refused")


async def _print(receiver: "Receiver", host: str, port: int) -> None:
    from cli.receiver import receiving

    async with receiving(receiver, host=host, port=port):
        typer.echo(f"listening at {receiver.url}\nsecret {receiver.secret}")
        shown = 0
        while True:
            pages = await receiver.until(shown + 1, timeout=3600)
            for page in pages[shown:]:
                data = page.data
                typer.echo(
                    f"{page.webhook_id}  {data['responder_id']}  level {data['level']} {data['reason']}: "
                    f"{data['alert']['title']}"
                )
            shown = len(pages)

"""`alir simulator`: WhatsApp for one machine, alone."""

from __future__ import annotations

from typing import Annotated

import typer


def simulator(
    callback_url: Annotated[
        str | None,
        typer.Option(help="Where callbacks go, such as http://127.0.0.1:9000/callbacks/cloud."),
    ] = None,
    routemobile_callback_url: Annotated[
        str | None,
        typer.Option(
            help="Where Route Mobile's callbacks go, such as"
            " http://127.0.0.1:9000/callbacks/routemobile/SECRET."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any that is free.")
    ] = 8081,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="How many messages are remembered.  [default: all]"),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="A network that may use it; repeatable.  [default: this machine]"),
    ] = None,
) -> None:
    """Run the simulator alone, to try other WhatsApp software.

    It needs no account. Set the software's Graph URL to http://HOST:PORT/simulator/graph and its
    access token to "simulator". Callbacks are signed with the app secret "simulator". For software
    that speaks to Route Mobile, set its base URL to http://HOST:PORT/simulator/routemobile, and
    user and password to "simulator".
    """
    from alir.cli.failures import explained

    with explained():
        urls = (callback_url, routemobile_callback_url)
        _run(urls, host, port, keep, tuple(allow) if allow else None)


def _run(
    callback_urls: tuple[str | None, str | None],
    host: str,
    port: int,
    keep: int | None,
    networks: tuple[str, ...] | None,
) -> None:
    import asyncio

    import uvloop

    from alir.cli.address import base_url
    from alir.cli.failures import cannot_listen
    from alir.clock import SystemClock
    from alir.errors import SettingsInvalid
    from alir.observe import configure_logging
    from alir.outbound.http import PooledHttpClient
    from alir.simulator.alone import serve_alone
    from alir.simulator.peers import THIS_MACHINE
    from alir.simulator.simulator import Simulator

    configure_logging(level="warning")

    def ready(actual: int) -> None:
        url = f"{base_url(host, actual)}/simulator"
        typer.echo(
            f"The simulator is ready at {url}, its Graph API at {url}/graph,"
            f" Route Mobile at {url}/routemobile"
        )

    async def run() -> None:
        async with PooledHttpClient() as http:
            whatsapp = Simulator(
                clock=SystemClock(),
                http=http,
                keep=keep,
                callback_url=callback_urls[0],
                routemobile_callback_url=callback_urls[1],
            )
            await serve_alone(
                whatsapp,
                host=host,
                port=port,
                allow_networks=networks or THIS_MACHINE,
                ready=ready,
            )

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    except OSError as error:
        raise cannot_listen(host, port, error, elsewhere="--host and --port") from error
    except ValueError as error:
        raise SettingsInvalid([str(error)]) from error

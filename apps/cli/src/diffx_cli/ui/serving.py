"""The server, from the port that it is given to the Ctrl-C that ends it."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from diffx_cli.line.console import complain
from diffx_cli.line.interrupting import INTERRUPTED
from diffx_cli.ui.studio import Studio
from diffx_core.errors import ConfigError

HERE = "127.0.0.1"
PATIENCE = 0.3
"""Seconds that a step has to end in once the program was told to."""


def bound(port: int) -> socket.socket:
    """A socket on this machine alone.

    Args:
        port: which; any that is free if 0.

    Raises:
        ConfigError: it cannot be had.
    """
    try:
        return socket.create_server((HERE, port))
    except OSError as error:
        raise ConfigError(
            f"--port: {port} cannot be had on {HERE}: {os.strerror(error.errno or 0)}; name"
            " another, or 0 for any that is free"
        ) from error


class Server(uvicorn.Server):
    """Stops the drawing that is under way when it is told to end.

    Args:
        app: what answers.
        stop: stops the drawing.
    """

    def __init__(self, app: ASGIApp, stop: Callable[[], None]) -> None:
        # Nothing is logged of requests, however odd; what goes wrong is, to stderr. At the end
        # nobody is waited for: the page has been told, and others may never end their request.
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=0,
        )
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        super().__init__(config)
        self._stop = stop
        self.interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal has come."""
        # What is cut off now was meant to be.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._stop()
        self.interrupted = self.interrupted or sig == signal.SIGINT
        super().handle_exit(sig, frame)


def serve(
    app: ASGIApp, studio: Studio, listening: socket.socket, ready: Callable[[], None]
) -> None:
    """Answer until a signal ends it.

    Args:
        app: what answers.
        studio: what draws.
        listening: where requests come in.
        ready: called once they are answered.

    Raises:
        KeyboardInterrupt: it was Ctrl-C.
    """
    server = Server(app, studio.stop)

    async def run() -> None:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not (server.started or serving.done()):
            await asyncio.sleep(0.01)
        if server.started and not server.should_exit:
            ready()
        await serving

    try:
        asyncio.run(run())
        if server.interrupted:  # also in the background, where Ctrl-C is ignored by default
            raise KeyboardInterrupt
    finally:
        studio.stop()
        if not studio.has_ended(PATIENCE):  # in a long step: torch cannot be left in any other way
            complain("diffx: error: interrupted")
            os._exit(INTERRUPTED)

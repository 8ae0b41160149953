"""Serves an exported network over HTTP: `python -m export.serve --help` lists the options."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading

from export.server.options import ServeOptions
from keras_fcn.errors import UserError, argument
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.packages import require_packages


def bind(host: str, port: int) -> socket.socket:
    """Returns a socket bound to an address, so that a busy port is found before a model is loaded.

    Raises:
        UserError: If the address cannot be bound.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        raise UserError(
            f"{host}:{port}: cannot be bound ({error.strerror}); choose another {argument('port')}"
        ) from None
    return bound


def end_process() -> None:
    """Ends the process at once if a thread is still at work, for which Python would wait: its request has an answer."""
    others = set(threading.enumerate()) - {threading.main_thread()}
    if any(not thread.daemon for thread in others):
        sys.stderr.flush()
        os._exit(0)


def main() -> None:
    """Serves until a signal."""
    options = parse_options(ServeOptions, sys.argv[1:])
    require_packages("serving", "serve", "starlette", "uvicorn", "httptools", "prometheus_client")
    for folder in options.folders.values():
        if not folder.exists():
            raise UserError(f"{folder}: no such folder; give the DIR of python -m export.saved_model RUN DIR")
    with bind(options.host, options.port) as listener:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
        logging.getLogger("uvicorn").setLevel(logging.ERROR)  # warnings are of requests, which anybody can send
        from export.server.process import serve

        serve(options, listener)
        print("ended: all requests are answered", flush=True)
    end_process()


def console() -> None:
    """Runs the server as the console script `keras-fcn-serve`."""
    run_command(main)


if __name__ == "__main__":
    console()

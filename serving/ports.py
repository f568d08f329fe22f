"""Opens the server's ports; told before anything heavy loads if one is taken."""

from __future__ import annotations

import errno
import socket

from serving.options import Options

# Clients that connect while models load wait instead of being turned away.
_BACKLOG = 1024


def listen(host: str, port: int, flag: str) -> socket.socket:
    """Returns a listening socket; `flag` is the option that chose the port.

    Raises:
        OSError: the port is taken, or the host is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio recognises TCP by this protocol number, and then sends small answers at once. They
    # would otherwise wait some 40 ms for the client's acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise taken(host, port, flag) from None
        raise OSError(f"{flag}: {port} on {host}: {error.strerror}") from None
    return listening


def taken(host: str, port: int, flag: str) -> OSError:
    """Returns the error that a port is not free, with a way out."""
    return OSError(f"{flag}: {port} on {host} is taken; choose another, or 0 for a free one")


def check(options: Options) -> None:
    """Checks that the ports are free.

    Raises:
        OSError: see `listen`.
    """
    for port, flag in ((options.port, "--port"), (options.grpc_port, "--grpc-port")):
        listen(options.host, port, flag).close()

"""Uvicorn's HTTP protocol with a time limit for a request's headers.

Uvicorn alone waits for ever for headers that arrive a byte at a time, so a few hundred such clients
could hold all file descriptors of the process.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def protocol(seconds: float) -> type[H11Protocol]:
    """Returns a protocol class that closes a connection whose headers take over `seconds`."""

    class Impatient(H11Protocol):
        _headers_due: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._headers_due is not None:
                self._headers_due.cancel()
            super().connection_lost(exc)

        def _watch(self) -> None:
            """Starts the clock if no request is being answered, and stops it otherwise."""
            if self.cycle is not None and not self.cycle.response_complete:
                if self._headers_due is not None:
                    self._headers_due.cancel()
                    self._headers_due = None
            elif self._headers_due is None and not self.transport.is_closing():
                self._headers_due = self.loop.call_later(seconds, self._give_up)

        def _give_up(self) -> None:
            self._headers_due = None
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

    return Impatient

"""The HTTP protocol with a limit on how long a request's headers may take.

Uvicorn waits for ever for headers that come a byte at a time, so a few hundred such clients would
hold all of the process's file descriptors.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def protocol(seconds: float) -> type[H11Protocol]:
    """Returns the protocol class with this limit in seconds."""

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
            """Starts the clock while no request is under way, and stops it while one is."""
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

"""What the command line shows: any text, on any terminal, without doing what the text says.

What is hostile in it, and letters that the terminal's encoding lacks, are shown as Python escapes.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

from pipeline.data.escaping import printable

if TYPE_CHECKING:
    from rich.console import Console


def prepare() -> None:
    """Lets standard output and standard error escape what their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: object, *, error: bool = False) -> None:
    """Prints a line at once, on standard output or standard error."""
    print(printable(str(text)), file=sys.stderr if error else sys.stdout, flush=True)


def console(file: TextIO | None = None, **options: Any) -> Console:
    """Returns a rich console that shows text as `printable` does; `options` are those of rich."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class Safe(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            # Here too, as tables measure what is written in their cells.
            return super().render_str(printable(text), **options)

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                control = segment.control
                yield segment if control else segment._replace(text=printable(segment.text))

    return Safe(file=file, **options)

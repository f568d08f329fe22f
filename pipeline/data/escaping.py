"""Text from files and configs of others, made harmless for a terminal and for a spreadsheet.

A name may have an escape sequence that rewrites the screen, or start like a formula.
"""

from __future__ import annotations

import unicodedata

# OWASP, "CSV injection". The last four are the wide forms that some spreadsheets take, too.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
"""How a cell starts that a spreadsheet computes."""
# Control, format and private characters, lone surrogates, and separators of lines.
_HOSTILE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Joiners: Persian words and many emoji need them.
_HARMLESS = "\n\u200c\u200d"


def printable(text: str) -> str:
    """Returns a text with its control characters, line feeds aside, as Python escapes."""
    if text.isprintable():
        return text
    return "".join(
        each.encode("unicode_escape").decode("ascii")
        if each not in _HARMLESS and unicodedata.category(each) in _HOSTILE
        else each
        for each in text
    )


def one_line(text: str) -> str:
    """Returns a text as `printable` does, its line feeds escaped, too: names have no lines."""
    return printable(text).replace("\n", "\\n")


def path_cell(path: str) -> str:
    """Returns a path that no spreadsheet takes for a formula, and that leads to the same file."""
    return f"./{path}" if path.startswith(FORMULAS) else path

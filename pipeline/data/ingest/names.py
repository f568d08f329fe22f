"""The normal form of a class name."""

import unicodedata


def normal(name: str) -> str:
    """Returns a class name in Unicode's form NFC, without white space around it.

    Two names that look alike on the screen then are one class: macOS writes "é" as two characters,
    and a spreadsheet keeps a no-break space.
    """
    return unicodedata.normalize("NFC", name).strip()

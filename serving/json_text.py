"""JSON as TF Serving reads and writes it; pure functions.

Source: tensorflow/serving, util/json_tensor.cc.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from serving.errors import invalid

_SHOWN_CHARACTERS = 256


def parse(body: bytes) -> dict[str, Any]:
    """Parses the body of a request, a JSON object.

    As in TF Serving, text after the object is ignored, NaN and Infinity are numbers, and bytes
    that are not UTF-8 are kept (as surrogate escapes).

    Raises:
        ServingError: the body is not JSON, or its value is not an object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    text = body.decode("utf-8-sig", "surrogateescape")
    start = len(text) - len(text.lstrip(" \t\r\n"))
    try:
        document, _ = json.JSONDecoder().raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except RecursionError:
        raise invalid("JSON Parse error: The document is nested too deeply") from None
    except ValueError:
        raise invalid("JSON Parse error: Number too big to be stored") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {shown(document)} Is not object")
    return document


def signature_name(document: Mapping[str, Any]) -> str:
    """Returns the signature that a parsed body names; empty if it names none.

    Raises:
        ServingError: the name is not a string.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {shown(document)} not formatted correctly."
            " 'signature_name' key must be a string value."
        )
    return name


def written(document: Any) -> bytes:
    """Returns a document as JSON in UTF-8, with NaN, Infinity and the bytes that `parse` kept."""
    text = json.dumps(document, ensure_ascii=False)
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def shown(value: Any) -> str:
    """Returns the first characters of a value's JSON, for a message."""
    text = ""
    try:
        for part in json.JSONEncoder(ensure_ascii=False).iterencode(value):
            text += part[:_SHOWN_CHARACTERS]
            if len(text) >= _SHOWN_CHARACTERS:
                break
    except RecursionError:
        pass
    return text[:_SHOWN_CHARACTERS]


def json_type(value: Any) -> str:
    """Returns the name of a value's JSON type in TF Serving's messages."""
    if isinstance(value, bool):
        return str(value)
    names = {dict: "Object", list: "Array", str: "String", type(None): "Null"}
    return names.get(type(value), "Number")


def is_base64(value: Any) -> bool:
    """Returns whether a value is binary data: an object with a string `b64` and nothing else."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def bytes_of(value: Any) -> bytes:
    """Returns the bytes of a JSON string (in UTF-8) or of a base64 object (decoded).

    Raises:
        ServingError: the object is not base64 data, or the string cannot be encoded.
    """
    try:
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if not is_base64(value):
            raise invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
        return _unbase64(value["b64"])
    except UnicodeEncodeError:
        raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from None


def _unbase64(text: str) -> bytes:
    try:
        encoded = text.encode("ascii")
        # A client may omit the padding and break lines anywhere.
        if len(encoded) % 4 or b"\n" in encoded or b" " in encoded:
            encoded = re.sub(rb"\s+", b"", encoded).rstrip(b"=")
            encoded += b"=" * (-len(encoded) % 4)
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise invalid("Unable to base64 decode") from None

"""What a request can end with other than an answer: TensorFlow's codes, as gRPC and HTTP see them.

Source: tensorflow/serving, model_servers/http_server.cc, ToHTTPStatusCode.
"""

from __future__ import annotations

import enum


class Code(enum.IntEnum):
    """The canonical codes; their numbers are the same in TensorFlow, Abseil and gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


_HTTP = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}


class RefusedError(Exception):
    """A request that gets no answer, with the code and the message that the caller sees."""

    def __init__(self, code: Code, message: str) -> None:
        """Keeps both; `str` of the error is the message."""
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> RefusedError:
    """Returns the error for a request that is wrong whatever the server's state."""
    return RefusedError(Code.INVALID_ARGUMENT, message)


def http_status(code: Code) -> int:
    """Returns the HTTP status for a code."""
    return _HTTP.get(code, 500)


def refused(error: BaseException) -> RefusedError:
    """Turns any error into one that a caller may see.

    Args:
        error: of TensorFlow (its code stays), of NumPy or TensorFlow's own checks of arguments
            (invalid), or anything else (internal).
    """
    if isinstance(error, RefusedError):
        return error
    code = getattr(error, "error_code", None)
    if isinstance(code, int) and code in Code.__members__.values():
        # TensorFlow's Python layer wraps the kernel's message into a trace of this process's
        # files, which are none of the caller's business; the first error has the bare message.
        first = error.__context__ if type(error.__context__) is type(error) else error
        return RefusedError(Code(code), str(getattr(first, "message", first)))
    if isinstance(error, (ValueError, TypeError, OverflowError)):
        return invalid(str(error))
    if isinstance(error, MemoryError):
        return RefusedError(Code.RESOURCE_EXHAUSTED, "Not enough memory for the request")
    if isinstance(error, OSError):
        return RefusedError(Code.NOT_FOUND, str(error))
    return RefusedError(Code.INTERNAL, f"{type(error).__name__}: {error}")

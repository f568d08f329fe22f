"""The error with which a request fails, and its gRPC and HTTP status.

Source: tensorflow/serving, model_servers/http_server.cc, ToHTTPStatusCode.
"""

from __future__ import annotations

import errno

from grpc import StatusCode

from serving.kernel_message import sentence

NO_REGRESSION = "This server does not answer Regress, because its models are classifiers"
TIMED_OUT = "Timed out waiting for notification"

# The numbers are the same in TensorFlow, Abseil and gRPC.
_BY_NUMBER = {code.value[0]: code for code in StatusCode}
# What the machine ran out of: disk, memory, files.
_EXHAUSTED = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_HTTP = {
    StatusCode.CANCELLED: 499,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.UNAUTHENTICATED: 401,
}


class ServingError(Exception):
    """A request failed; the client receives the code and the message."""

    def __init__(self, code: StatusCode, message: str) -> None:
        """Sets the code and the message, which is also the `str` of the error."""
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        """The HTTP status for the code; 500 if TF Serving's table lacks the code."""
        return _HTTP.get(self.code, 500)


def invalid(message: str) -> ServingError:
    """Returns an INVALID_ARGUMENT error: the request is wrong, whatever the server's state."""
    return ServingError(StatusCode.INVALID_ARGUMENT, message)


def serving_error(error: BaseException) -> ServingError:
    """Converts any error to one that a client may see.

    TensorFlow's errors keep their code, and lose the names of graph nodes. A ValueError, TypeError
    or OverflowError becomes INVALID_ARGUMENT, and an error of unknown kind INTERNAL.
    """
    if isinstance(error, ServingError):
        return error
    code = getattr(error, "error_code", None)
    if code in _BY_NUMBER:
        # TensorFlow's Python layer wraps the kernel's message into a trace of this process's
        # files, which do not concern the caller. The first error has the bare message.
        first = error.__context__ if type(error.__context__) is type(error) else error
        return ServingError(_BY_NUMBER[code], sentence(str(getattr(first, "message", first))))
    if isinstance(error, (ValueError, TypeError, OverflowError)):
        return invalid(str(error))
    if isinstance(error, MemoryError):
        return ServingError(StatusCode.RESOURCE_EXHAUSTED, "The request needs too much memory")
    if isinstance(error, OSError):
        exhausted = error.errno in _EXHAUSTED
        code = StatusCode.RESOURCE_EXHAUSTED if exhausted else StatusCode.NOT_FOUND
        return ServingError(code, str(error))
    return ServingError(StatusCode.INTERNAL, f"{type(error).__name__}: {error}")

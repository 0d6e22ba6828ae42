"""The service's loop: reads requests one after the other and answers each one.

Docs/project-service.md tells the rules of the exchange.
"""

import contextlib
import ctypes
import logging
import os
import sys
from collections.abc import Iterator

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.service_messages import (
    SERVICE_PROTOCOL_VERSION,
    UNKNOWN_REQUEST,
    Answered,
    InvalidRequestError,
    RequestProgress,
    ServiceMessage,
    ServiceReady,
    decode_request,
    encode_message,
)
from PseudoLabelCLLib.process.standard_streams import take_over_standard_streams
from PseudoLabelCLLib.project_service.handle_request import handle
from PseudoLabelCLLib.project_service.project_session import ProjectSession
from PseudoLabelCLLib.project_service.refusal import refusal_of

_READ_BYTES = 65_536
_log = logging.getLogger(__name__)


def main() -> int:
    """Serve the standard streams until the parent closes its line; return the exit code."""
    requests, pipe = take_over_standard_streams()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.captureWarnings(capture=True)
    serve(requests, pipe)
    return 0


def serve(requests: int, pipe: int) -> None:
    """Answer requests in order until the parent closes its line, then close the project.

    Args:
        requests: File descriptor of the parent's line.
        pipe: File descriptor of the line to the parent.
    """
    _send(pipe, ServiceReady(SERVICE_PROTOCOL_VERSION, os.getpid()))
    with contextlib.closing(ProjectSession()) as session:
        for line in _lines(requests):
            _send_response(pipe, *response_to(session, line, pipe))
            _give_memory_back()


def response_to(session: ProjectSession, line: bytes, pipe: int) -> tuple[int, ServiceMessage]:
    """Handle the request in a line.

    Args:
        session: The open project, if any.
        line: The line.
        pipe: File descriptor of the line to the parent, for progress.

    Returns:
        The request's number, and the `Answered` or `Refused` to send.
    """
    seq = UNKNOWN_REQUEST
    try:
        seq, request = decode_request(line)

        def progress(stage: Text, step: int, num_steps: int) -> None:
            _send(pipe, RequestProgress(seq, Progress(stage, step, num_steps)))

        return seq, Answered(seq, handle(session, request, progress))
    except InvalidRequestError as error:
        return error.seq, refusal_of(error.seq, error)
    except PseudoLabelCLError as error:
        _log.info("Refused: %s", error)
        return seq, refusal_of(seq, error)
    except Exception as error:  # noqa: BLE001 - one request must not end the service
        _log.exception("Unexpected error while handling a request.")
        return seq, refusal_of(seq, error)


def _send_response(pipe: int, seq: int, message: ServiceMessage) -> None:
    try:
        _send(pipe, message)
    except (TypeError, ValueError) as error:  # the answer has no JSON form
        _log.exception("An answer cannot be sent.")
        _send(pipe, refusal_of(seq, error))


def _give_memory_back() -> None:
    # While a request runs, freed memory is kept (`process_tree.kept_memory`), which makes reading
    # volumes faster; between requests others shall have it.
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # a C library other than glibc
            ctypes.CDLL(None).malloc_trim(0)


def _lines(requests: int) -> Iterator[bytes]:
    rest = b""
    while chunk := _read(requests):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _READ_BYTES)
    except OSError:
        return b""


def _send(pipe: int, message: ServiceMessage) -> None:
    data = memoryview(encode_message(message))
    # A parent that is gone hears nothing; what it asked for before is still done.
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(pipe, data) :]

"""What an exception means to the person who asked."""

from pathlib import Path

from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.service_messages import Refused
from PseudoLabelCLLib.process.failure import failure_of
from PseudoLabelCLLib.storage.files.atomic_files import storage_error

_REMEDIES = {
    "OutOfMemoryError": Text("Close other programs, then try again."),
    "InternalError": Text("Please report it, with the log of the helper process."),
}


def refusal_of(to: int, error: BaseException) -> Refused:
    """Return the refusal that an exception means.

    Args:
        to: The request's number.
        error: What was raised.
    """
    if isinstance(error, OSError):
        error = storage_error(Path(error.filename or "A file"), error, action="used")
    failure = failure_of(error)
    remedy = _REMEDIES.get(failure.error_type, failure.remedy)
    return Refused(to, failure.error_type, failure.message, remedy)

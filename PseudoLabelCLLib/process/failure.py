"""What a job's exception means to a person."""

import errno
import traceback
from pathlib import Path

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.question import QuestionError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.job_messages import JobFailed
from PseudoLabelCLLib.storage.files.atomic_files import storage_error

_DISK_REFUSES = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
}  # fmt: skip


class ToldFailureError(PseudoLabelCLError):
    """What another process of the same job has told as its end.

    Args:
        failed: What it told.
    """

    def __init__(self, failed: JobFailed) -> None:
        super().__init__(failed.message, failed.remedy)
        self.failed = failed


def failure_of(error: BaseException) -> JobFailed:
    """Return the terminal event for the exception that ended a job.

    Only a defect of the program carries its traceback.
    """
    if isinstance(error, ToldFailureError):
        return error.failed
    if isinstance(error, PseudoLabelCLError):
        questions = error.questions if isinstance(error, QuestionError) else ()
        return JobFailed(type(error).__name__, error.message, error.remedy, questions=questions)
    if _is_out_of_memory(error):
        return JobFailed(
            "OutOfMemoryError",
            Text("The computer ran out of memory: {reason}.", reason=_first_line(error)),
            Text("Close other programs or choose smaller settings, then start the job again."),
        )
    if isinstance(error, OSError) and error.errno in _DISK_REFUSES:
        path = Path(error.filename or "A file")
        refused = storage_error(path, error, action="read or written")
        return JobFailed(type(refused).__name__, refused.message, refused.remedy)
    return JobFailed(
        "InternalError",
        Text(
            "An unexpected error occurred: {error}: {reason}.",
            error=type(error).__name__,
            reason=_first_line(error),
        ),
        Text("Please report it, with the file log.txt of the job's folder."),
        "".join(traceback.format_exception(error)),
    )


def _is_out_of_memory(error: BaseException) -> bool:
    # torch's own class is a RuntimeError; its CPU allocator raises a bare RuntimeError.
    is_torchs = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    if isinstance(error, MemoryError) or is_torchs:
        return True
    text = str(error).lower()
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, RuntimeError) and any(word in text for word in words)


def _first_line(error: BaseException) -> Text:
    text = str(error).strip()
    line = text.splitlines()[0].rstrip(".") if text else ""
    return Text("{said}", said=line) if line else Text("no further details")

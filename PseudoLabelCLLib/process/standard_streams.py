"""A child process keeps its standard streams for messages alone; every print goes elsewhere."""

import contextlib
import faulthandler
import io
import os
import sys
from typing import Any


def take_over_standard_streams() -> tuple[int, int]:
    """Return the descriptors of the parent's line and of the line to the parent.

    From then on the standard input is empty, and what is printed, from Python, from C or from a
    child, goes to the standard error.
    """
    sys.stdout.flush()
    orders, pipe = os.dup(0), os.dup(1)
    # Nothing else may read the orders; and a library that looks at the standard input while it
    # loads (numpy issue 24290) must not meet a pipe that another thread is reading.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    faulthandler.enable(file=2)
    sys.stdout = sys.stderr = io.TextIOWrapper(
        _UnbreakableStderr(), encoding="utf-8", errors="backslashreplace", write_through=True
    )
    return orders, pipe


class _UnbreakableStderr(io.BufferedIOBase):
    """The standard error; what nobody reads any more is lost, and no print ends the work for it."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(2, rest) :]
        return memoryview(data).nbytes

"""Stand-ins for Qt as PythonQt gives it, for CTK, and for Slicer's widgets and application."""

import ctypes
import sys

# PySide6 6.12 gives references to True, False and None away with every signal and event that
# Python hears or sends; before Python 3.12, which counts them no more, the interpreter would end
# with an error once all are gone. The count is the first field of an object.
if sys.version_info < (3, 12):
    for _one in (True, False, None):
        ctypes.c_ssize_t.from_address(id(_one)).value += 1 << 30

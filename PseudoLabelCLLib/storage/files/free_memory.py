"""How much memory a process may still use, so that a file is refused instead of filling it."""

import contextlib
import ctypes
import os
import sys
from pathlib import Path

_MEMORY_INFO = Path("/proc/meminfo")
# What a container may use in all, and what it uses; "max" is no limit.
_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_GROUP_USE = Path("/sys/fs/cgroup/memory.current")


def free_memory_bytes() -> int | None:
    """Return how much memory is free or can be made free at once; None if the system does not say.

    Where the system tells the memory of the computer alone, as macOS does, it is that.
    """
    if sys.platform == "win32":
        # GlobalMemoryStatusEx: two numbers of 32 bits, then 7 of 64 bits, the free one second
        status = (ctypes.c_ulonglong * 8)()
        ctypes.cast(status, ctypes.POINTER(ctypes.c_ulong))[0] = ctypes.sizeof(status)
        is_told = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status[2]) if is_told else None
    known = [size for size in (_of_computer(), _of_group()) if size is not None]
    return min(known, default=None)


def _of_computer() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _MEMORY_INFO.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _of_group() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        limit, used = (int(path.read_text("ascii")) for path in (_GROUP_LIMIT, _GROUP_USE))
        return max(0, limit - used)
    return None

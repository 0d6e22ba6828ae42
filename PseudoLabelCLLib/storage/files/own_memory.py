"""How much memory this process uses, and the most that it has used."""

import contextlib
import ctypes
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class _WindowsCounters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of the Windows API."""

    _fields_ = (
        ("size", ctypes.c_ulong),
        ("faults", ctypes.c_ulong),
        ("peak", ctypes.c_size_t),
        ("resident", ctypes.c_size_t),
        ("others", ctypes.c_size_t * 6),
    )


def resident_bytes() -> int | None:
    """Return how much memory this process has now; None if the system does not say."""
    if sys.platform == "win32":
        return _of_windows().resident or None
    return _of_status("VmRSS:")


def peak_resident_bytes() -> int | None:
    """Return the most memory that this process has had since `forget_peak`, or since its start.

    None if the system does not say.
    """
    if sys.platform == "win32":
        return _of_windows().peak or None
    if sys.platform == "linux":
        return _of_status("VmHWM:")
    import resource  # noqa: PLC0415 - Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def forget_peak() -> None:
    """Let the peak begin again at what is used now, where the system can: on Linux."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5", "ascii")


def _of_status(name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _STATUS.read_text("ascii", errors="replace").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return None


def _of_windows() -> _WindowsCounters:
    counters = _WindowsCounters(size=ctypes.sizeof(_WindowsCounters))
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - the type checker of others lacks it
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    process = ctypes.c_void_p(kernel.GetCurrentProcess())
    kernel.K32GetProcessMemoryInfo(process, ctypes.byref(counters), counters.size)
    return counters

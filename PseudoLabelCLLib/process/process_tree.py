"""Starting a Python process that uses this library, and ending it with all that it started."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_LIBRARY_FOLDER = Path(__file__).resolve().parents[2]
_TASKKILL_PATIENCE_S = 10.0
# Freed memory is kept up to the second limit, but for blocks beyond the first, such as a large
# volume's: they go back to the system at once. One training step frees 1 to 4 GB and needs as
# much again; the largest tensors have half a gigabyte.
_KEPT_MEMORY = {
    "glibc.malloc.hugetlb": "1",  # huge pages, where the system lets a program ask for them
    "glibc.malloc.mmap_threshold": str(1 << 30),
    "glibc.malloc.trim_threshold": str(4 << 30),
}
# The waits of the OpenMP libraries that PyTorch comes with: GNU's on Linux, LLVM's on macOS and
# Intel's on Windows, which read the second name. Each ignores what is not its own.
_SHORT_WAITS = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}  # turns of a loop; milliseconds
# Whoever sets one of these has chosen how threads wait.
_NAMES_OF_WAITS = ("OMP_WAIT_POLICY", "KMP_LIBRARY", *_SHORT_WAITS)
# The same settings by their older names.
_OLDER_NAMES = {
    "glibc.malloc.mmap_threshold": "MALLOC_MMAP_THRESHOLD_",
    "glibc.malloc.trim_threshold": "MALLOC_TRIM_THRESHOLD_",
}


def start_tree(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start a process with pipes for its standard streams, as the root of a tree of its own.

    Args:
        command: The program and its arguments; no shell sees them.
        environment: Variables to set beside those of this process.

    Raises:
        OSError: The program cannot be started.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(environment),
        start_new_session=sys.platform != "win32",
        creationflags=_creation_flags(),
    )


def kill_tree(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process of `start_tree` and all that it started, now."""
    if sys.platform == "win32":
        kill_windows_tree(process)
        return
    # The worker leads a session of its own, so its group is the tree. On macOS a group of
    # processes that have all ended gives a PermissionError.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def kill_windows_tree(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and all that it started as Windows does it: with a program of its own.

    That takes some tenths of a second. A window cannot wait so long, so a thread does.
    """
    if process.returncode is not None:
        return  # the tree can be found only from a living root
    nowhere = subprocess.DEVNULL
    try:
        killer = subprocess.Popen(
            ["taskkill", "/T", "/F", "/PID", str(process.pid)],
            stdin=nowhere,
            stdout=nowhere,
            stderr=nowhere,
            creationflags=_creation_flags(),
        )
    except OSError:
        process.kill()
        return
    threading.Thread(target=_see_it_killed, args=(killer, process), daemon=True).start()


def merged_environment(
    own: Mapping[str, str], extra: Mapping[str, str], *, ignores_case: bool
) -> dict[str, str]:
    """Return variables with others put over them.

    Args:
        own: The variables of this process.
        extra: What is put over them.
        ignores_case: Whether "Path" is "PATH", as on Windows, where Python gives names in capitals
            and Qt as they were written; a child that gets both may take the wrong one.
    """
    if not ignores_case:
        return {**own, **extra}
    return {name.upper(): value for part in (own, extra) for name, value in part.items()}


def kept_memory(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that let a process on Linux use freed memory again.

    Otherwise glibc gives every large tensor back to the system, and the next one pays for fresh
    pages, each of which is cleared first: 15 to 25 % of the time of a training step on a CPU. The
    results stay the same; the largest use of memory grows by 13 % at the most, as kept memory has
    gaps. A C library other than glibc does not look.

    Args:
        environment: The variables of the process; what they say of these settings stays.

    Source: The GNU C Library, "Memory Allocation Tunables".
    """
    if sys.platform != "linux":
        return {}
    said = [part for part in environment.get("GLIBC_TUNABLES", "").split(":") if part]
    names = {part.partition("=")[0] for part in said}
    added = [
        f"{name}={value}"
        for name, value in _KEPT_MEMORY.items()
        if name not in names and _OLDER_NAMES.get(name, "") not in environment
    ]
    return {"GLIBC_TUNABLES": ":".join((*said, *added))}


def short_waits(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that keep a process's idle threads from taking the cores of others.

    A thread of an OpenMP library that waits for the next piece of work loops, by default 300,000
    turns (GNU) or 200 ms (LLVM, Intel), before it yields its core. Beside another busy program
    the thread that has the work then waits for the one that has none: training slows down to a
    third, and two trainings at once to less than a tenth each (Docs/benchmarks.md). A library
    reads these variables when it is loaded, so they must be there before the process starts.

    Args:
        environment: The variables of the process; if they say how threads wait, that stays.

    Source: The GNU libgomp manual, GOMP_SPINCOUNT; the LLVM/OpenMP runtime's environment
        variables, KMP_BLOCKTIME.
    """
    return {} if any(name in environment for name in _NAMES_OF_WAITS) else dict(_SHORT_WAITS)


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    base = merged_environment(os.environ, extra, ignores_case=sys.platform == "win32")
    search_path = (str(_LIBRARY_FOLDER), base.get("PYTHONPATH", ""))
    return {
        **base,
        **kept_memory(base),
        **short_waits(base),
        "PYTHONPATH": os.pathsep.join(filter(None, search_path)),
        # The folder that the user happens to stand in is no place to import from.
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTORCH_ENABLE_MPS_FALLBACK": "1",
    }


def _see_it_killed(killer: "subprocess.Popen[bytes]", process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        killer.wait(_TASKKILL_PATIENCE_S)
    killer.kill()
    process.kill()


def _creation_flags() -> int:
    if sys.platform == "win32":
        return (
            subprocess.CREATE_NEW_PROCESS_GROUP
            | subprocess.CREATE_NO_WINDOW
            | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        )
    return 0

"""What the probe runs in a child of the interpreter in question; the standard library suffices.

Run by its path, never imported by the program: `python probe_steps.py STEP ARGUMENT...`. Each
finding is a line of JSON behind a mark; every other line is talk of the packages that are tried.
A step says what it is about to try, so that the last line tells where a crash happened.
"""

from __future__ import annotations  # an interpreter that is too old shall still say how old it is

import contextlib
import ctypes
import importlib
import json
import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = "@probe "
# A filter of ones on images of ones, without a border: every output is the filter's size.
_NUM_IMAGES, _IMAGE_SIZE, _FILTER_SIZE = 2, 8, 3


def main(step: str, *arguments: str) -> None:
    """Do one step: system FOLDER NAME..., packages NAME=MODULE..., torch, speed."""
    steps: dict[str, Callable[..., None]] = {
        "system": _system,
        "packages": _packages,
        "torch": _torch,
        "speed": _speed,
    }
    steps[step](*arguments)


def _say(**finding: object) -> None:
    sys.stdout.write(f"{MARK}{json.dumps(finding)}\n")
    sys.stdout.flush()


def _system(folder: str, *names: str) -> None:
    _say(version=platform.python_version())
    _say(installed={name: _version_of(name) for name in names})
    _say(memory_bytes=_memory_bytes(), free_disk_bytes=_free_disk_bytes(Path(folder)))


def _packages(*wanted: str) -> None:
    for name, _, module in (one.partition("=") for one in wanted):
        _say(trying=name)
        error, version = _try_import(module), _version_of(name)
        _say(package=name, version=version, error=error)


def _torch() -> None:
    _say(trying="torch")
    error, version = _try_import("torch"), _version_of("torch")
    _say(package="torch", version=version, error=error)
    if error:
        return
    torch = importlib.import_module("torch")
    if not hasattr(torch, "nn"):
        _say(incomplete=True)
        return
    refusals: list[str] = []
    for kind in ("cuda", "mps", "cpu"):
        refusal = _why_not(torch, kind)
        if not refusal:
            _say(device_kind=kind, refusals=refusals, **_described(torch, kind))
            return
        refusals.append(f"{kind}: {refusal}")
    _say(refusals=refusals)


def _speed() -> None:
    doctor = importlib.import_module("PseudoLabelCLLib.pipeline.doctor")
    jobs = importlib.import_module("PseudoLabelCLLib.messages.jobs")
    found = doctor.examine(jobs.DoctorJob(), _Silent())
    _say(minutes_per_round=found["minutes_for_quick_joint_round"])


class _Silent:
    """A listener to a job who tells nobody."""

    def progress(self, stage: str, step: int, num_steps: int) -> None:
        pass

    def notice(self, text: str, *, warning: bool = False) -> None:
        pass


def _try_import(module: str) -> str:
    """Return why a module cannot be imported, or nothing."""
    try:
        importlib.import_module(module)
    except SystemExit as error:
        return f"it ended the interpreter (SystemExit: {error})"
    except Exception as error:  # noqa: BLE001 - a broken package may raise anything; all of it is reported
        return f"{type(error).__name__}: {error}"
    return ""


def _version_of(name: str) -> str | None:
    """Return the version of an installed package; of a folder that pip does not know, its own."""
    with contextlib.suppress(Exception):
        return metadata.version(name)
    module = sys.modules.get(name)
    version = getattr(module, "__version__", None)
    return str(version) if version else None


def _why_not(torch: Any, kind: str) -> str:
    """Return why a device cannot compute, or nothing after it computed something right."""
    try:
        if kind == "cuda" and not torch.cuda.is_available():
            return "no usable NVIDIA GPU found"
        if kind == "mps" and not torch.backends.mps.is_available():
            return "no usable Apple GPU found"
        return _why_wrong(torch, kind)
    except Exception as error:  # noqa: BLE001 - a broken package may raise anything; all of it is reported
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _why_wrong(torch: Any, kind: str) -> str:
    """Compute a convolution and its gradient, for which the truth is known."""
    image = torch.ones((_NUM_IMAGES, 1, _IMAGE_SIZE, _IMAGE_SIZE), device=kind)
    weights = torch.ones((1, 1, _FILTER_SIZE, _FILTER_SIZE), device=kind, requires_grad=True)
    output = torch.nn.functional.conv2d(image, weights)
    output.sum().backward()
    num_outputs = _NUM_IMAGES * (_IMAGE_SIZE - _FILTER_SIZE + 1) ** 2
    is_right = bool((output.detach().cpu().numpy() == _FILTER_SIZE**2).all())
    is_right &= bool((weights.grad.cpu().numpy() == num_outputs).all())
    return "" if is_right else "it computed a convolution wrong"


def _described(torch: Any, kind: str) -> dict[str, object]:
    if kind == "cuda":
        properties = torch.cuda.get_device_properties(0)
        return {
            "device": str(properties.name),
            "device_memory_bytes": properties.total_memory,
            "num_gpus": torch.cuda.device_count(),
        }
    if kind == "mps":
        return {"device": f"Apple GPU ({platform.machine()})"}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"device": f"CPU ({cores} cores)"}


def _memory_bytes() -> int | None:
    if sys.platform == "win32":
        # GlobalMemoryStatusEx: two numbers of 32 bits, the total first of 7 of 64 bits
        status = (ctypes.c_ulonglong * 8)()
        ctypes.cast(status, ctypes.POINTER(ctypes.c_ulong))[0] = ctypes.sizeof(status)
        is_told = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status[1]) if is_told else None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _free_disk_bytes(folder: Path) -> int:
    """Return the free space at a folder, or where it would be made."""
    for place in (folder, *folder.parents, Path.home()):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free
    return 0


if __name__ == "__main__":
    # beside this file lie modules of the program, whose names others may use too
    sys.path[:] = [path for path in sys.path if Path(path or ".") != Path(__file__).parent]
    main(*sys.argv[1:])

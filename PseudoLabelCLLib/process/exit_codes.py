"""What the exit code of a dead worker means, in plain words."""

import signal

_LOOK_AT_LOG = "Look at the worker's last lines and at log.txt in the job's folder."
_GO_ON = "Start the job again: it continues from its last checkpoint."
_LESS_MEMORY = (
    "Close other programs or choose smaller settings, then start the job again: it continues "
    "from its last checkpoint."
)

_BY_SIGNAL_NAME = {
    "SIGKILL": (
        "The worker was killed from outside, most often because the computer's memory ran out",
        _LESS_MEMORY,
    ),
    "SIGTERM": ("The worker was asked to end by another program", _GO_ON),
    "SIGHUP": ("The worker was ended because its terminal was closed", _GO_ON),
    "SIGINT": ("The worker was interrupted from the keyboard", _GO_ON),
    "SIGSEGV": ("The worker crashed: it accessed memory that it does not own", _LOOK_AT_LOG),
    "SIGBUS": ("The worker crashed: it accessed memory that does not exist", _LOOK_AT_LOG),
    "SIGABRT": ("The worker crashed: a library stopped it", _LOOK_AT_LOG),
    "SIGFPE": ("The worker crashed in a calculation", _LOOK_AT_LOG),
    "SIGILL": (
        "The worker crashed: a library uses instructions that this processor lacks",
        "Install a build of PyTorch for this processor.",
    ),
    "SIGXCPU": ("The worker used up the computing time it was allowed", _GO_ON),
}
# NTSTATUS values that Windows gives as exit codes.
_BY_WINDOWS_STATUS = {
    0xC0000005: _BY_SIGNAL_NAME["SIGSEGV"],
    0xC0000017: ("The worker ended because the computer's memory ran out", _LESS_MEMORY),
    0xC000012D: ("The worker ended because the computer's memory ran out", _LESS_MEMORY),
    0xC000001D: _BY_SIGNAL_NAME["SIGILL"],
    0xC0000094: _BY_SIGNAL_NAME["SIGFPE"],
    0xC00000FD: ("The worker crashed: its call stack overflowed", _LOOK_AT_LOG),
    0xC0000135: (
        "The worker could not start: a library (DLL) is missing",
        "Install the Python packages and the Microsoft Visual C++ runtime again.",
    ),
    0xC000013A: _BY_SIGNAL_NAME["SIGINT"],
    0xC0000142: ("The worker could not start: a library (DLL) failed", _LOOK_AT_LOG),
    0xC0000374: ("The worker crashed: its memory was damaged", _LOOK_AT_LOG),
    0xC0000409: ("The worker crashed: a library stopped it", _LOOK_AT_LOG),
}
_SHELL_SIGNAL_BASE = 128
# What the launcher around Slicer's Python says when that died of a signal or a crash; it then ends
# with exit code 1 itself, whatever the reason was.
_LAUNCHER_SAYS = "exit abnormally"
_BEHIND_LAUNCHER = (
    "The worker crashed or was killed from outside, most often because the computer's memory ran "
    "out",
    _LESS_MEMORY,
)


def exit_code_in_words(exit_code: int, last_words: str = "") -> tuple[str, str]:
    """Return what happened to the worker and what to do next.

    Args:
        exit_code: As `subprocess` gives it: negative is a POSIX signal. A launcher between the
            program and the worker may have made 128 + signal of it.
        last_words: The last that came from its standard error; Slicer's launcher tells there, and
            only there, that the worker behind it did not end by itself.
    """
    status = exit_code & 0xFFFFFFFF
    if status in _BY_WINDOWS_STATUS:
        what, remedy = _BY_WINDOWS_STATUS[status]
        return f"{what} (exit code 0x{status:08X}).", remedy
    number = -exit_code if exit_code < 0 else exit_code - _SHELL_SIGNAL_BASE
    name = _signal_name(number)
    if name:
        what, remedy = _BY_SIGNAL_NAME.get(name, ("The worker was ended by a signal", _LOOK_AT_LOG))
        return f"{what} ({name}).", remedy
    if exit_code == 0:
        return "The worker ended without reporting the result of its job.", _LOOK_AT_LOG
    if _LAUNCHER_SAYS in last_words:
        what, remedy = _BEHIND_LAUNCHER
        return f"{what} (exit code {exit_code}).", remedy
    return f"The worker ended before its job was done (exit code {exit_code}).", _LOOK_AT_LOG


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""

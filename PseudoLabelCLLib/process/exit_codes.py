"""What the exit code of a dead worker means, in plain words."""

import signal

from PseudoLabelCLLib.domain.text import Text, pattern

# What a sentence calls the process that ended.
WORKER = Text("The worker")

_LOOK_AT_LOG = Text("Look at the worker's last lines and at log.txt in the job's folder.")
_GO_ON = Text("Start the job again: it continues from its last checkpoint.")
_LESS_MEMORY = Text(
    "Close other programs or choose smaller settings, then start the job again: it continues "
    "from its last checkpoint."
)

_BY_SIGNAL_NAME = {
    "SIGKILL": (
        pattern(
            "{subject} was killed from outside, most often because the computer's memory ran out"
        ),
        _LESS_MEMORY,
    ),
    "SIGTERM": (pattern("{subject} was asked to end by another program"), _GO_ON),
    "SIGHUP": (pattern("{subject} was ended because its terminal was closed"), _GO_ON),
    "SIGINT": (pattern("{subject} was interrupted from the keyboard"), _GO_ON),
    "SIGSEGV": (
        pattern("{subject} crashed: it accessed memory that it does not own"),
        _LOOK_AT_LOG,
    ),
    "SIGBUS": (pattern("{subject} crashed: it accessed memory that does not exist"), _LOOK_AT_LOG),
    "SIGABRT": (pattern("{subject} crashed: a library stopped it"), _LOOK_AT_LOG),
    "SIGFPE": (pattern("{subject} crashed in a calculation"), _LOOK_AT_LOG),
    "SIGILL": (
        pattern("{subject} crashed: a library uses instructions that this processor lacks"),
        Text("Install a build of PyTorch for this processor."),
    ),
    "SIGXCPU": (pattern("{subject} used up the computing time it was allowed"), _GO_ON),
}
# NTSTATUS values that Windows gives as exit codes.
_BY_WINDOWS_STATUS = {
    0xC0000005: _BY_SIGNAL_NAME["SIGSEGV"],
    0xC0000017: (pattern("{subject} ended because the computer's memory ran out"), _LESS_MEMORY),
    0xC000012D: (pattern("{subject} ended because the computer's memory ran out"), _LESS_MEMORY),
    0xC000001D: _BY_SIGNAL_NAME["SIGILL"],
    0xC0000094: _BY_SIGNAL_NAME["SIGFPE"],
    0xC00000FD: (pattern("{subject} crashed: its call stack overflowed"), _LOOK_AT_LOG),
    0xC0000135: (
        pattern("{subject} could not start: a library (DLL) is missing"),
        Text("Install the Python packages and the Microsoft Visual C++ runtime again."),
    ),
    0xC000013A: _BY_SIGNAL_NAME["SIGINT"],
    0xC0000142: (pattern("{subject} could not start: a library (DLL) failed"), _LOOK_AT_LOG),
    0xC0000374: (pattern("{subject} crashed: its memory was damaged"), _LOOK_AT_LOG),
    0xC0000409: (pattern("{subject} crashed: a library stopped it"), _LOOK_AT_LOG),
}
_BY_OTHER_SIGNAL = (pattern("{subject} was ended by a signal"), _LOOK_AT_LOG)
_BEFORE_THE_END = pattern("{subject} ended before its job was done")
_SHELL_SIGNAL_BASE = 128
# What the launcher around Slicer's Python says when that died of a signal or a crash; it then ends
# with exit code 1 itself, whatever the reason was.
_LAUNCHER_SAYS = "exit abnormally"
_BEHIND_LAUNCHER = (
    pattern(
        "{subject} crashed or was killed from outside, most often because the computer's memory "
        "ran out"
    ),
    _LESS_MEMORY,
)


def exit_code_in_words(
    exit_code: int, last_words: str = "", subject: Text = WORKER
) -> tuple[Text, Text]:
    """Return what happened to a process, a sentence, and what to do next.

    Args:
        exit_code: As `subprocess` gives it: negative is a POSIX signal. A launcher between the
            program and the process may have made 128 + signal of it.
        last_words: The last that came from its standard error; Slicer's launcher tells there, and
            only there, that the process behind it did not end by itself.
        subject: What a sentence calls it.
    """
    ending, remedy = ending_in_words(exit_code, last_words, subject)
    return Text("{what}.", what=ending), remedy


def ending_in_words(
    exit_code: int, last_words: str = "", subject: Text = WORKER
) -> tuple[Text, Text]:
    """Return the same without a full stop, to stand within a sentence."""
    status = exit_code & 0xFFFFFFFF
    if status in _BY_WINDOWS_STATUS:
        what, remedy = _BY_WINDOWS_STATUS[status]
        return _with_code(what, subject, f"0x{status:08X}"), remedy
    number = -exit_code if exit_code < 0 else exit_code - _SHELL_SIGNAL_BASE
    name = _signal_name(number)
    if name:
        what, remedy = _BY_SIGNAL_NAME.get(name, _BY_OTHER_SIGNAL)
        told = Text(what, subject=subject)
        return Text("{what} ({signal})", what=told, signal=name), remedy
    if exit_code == 0:
        told = Text("{subject} ended without reporting the result of its job", subject=subject)
        return told, _LOOK_AT_LOG
    if _LAUNCHER_SAYS in last_words:
        what, remedy = _BEHIND_LAUNCHER
        return _with_code(what, subject, str(exit_code)), remedy
    return _with_code(_BEFORE_THE_END, subject, str(exit_code)), _LOOK_AT_LOG


def _with_code(what: str, subject: Text, code: str) -> Text:
    return Text("{what} (exit code {code})", what=Text(what, subject=subject), code=code)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""

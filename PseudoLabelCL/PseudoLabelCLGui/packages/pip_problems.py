"""Why an installation failed, read from what pip said, with what to do about it."""

from collections.abc import Sequence

from PseudoLabelCLGui.translation import _


def explain_pip_failure(lines: Sequence[str]) -> tuple[str, str]:
    """Return what went wrong and what to do next, each in one or two sentences.

    Args:
        lines: What pip said, oldest first.
    """
    text = "\n".join(lines).lower()
    for marks, explanation in _explanations():
        if any(mark in text for mark in marks):
            return explanation
    errors = [line.strip() for line in lines if line.strip().lower().startswith("error")]
    last = (errors or [line.strip() for line in lines if line.strip()] or [_("pip said nothing")])[
        -1
    ]
    return (
        _("The packages could not be installed: {reason}").format(reason=last),
        _("Check again; if the problem remains, copy the report and ask for help with it."),
    )


def _explanations() -> tuple[tuple[tuple[str, ...], tuple[str, str]], ...]:
    """Return marks in pip's words (lower case) and what they mean, the surest first."""
    return (*_disk_explanations(), *_network_explanations(), *_package_explanations())


def _disk_explanations() -> tuple[tuple[tuple[str, ...], tuple[str, str]], ...]:
    return (
        (
            ("winerror 206", "filename or extension is too long", "file name too long"),
            (
                _("A file of the package has a longer path than Windows allows."),
                _(
                    "Turn on long paths in Windows (LongPathsEnabled), or install Slicer in a "
                    "short folder such as C:\\Slicer; then press Install again."
                ),
            ),
        ),
        (
            ("no space left", "errno 28", "not enough space", "winerror 112", "disk quota"),
            (
                _("The disk is full."),
                _("Free some space (PyTorch needs up to 8 GB), then press Install again."),
            ),
        ),
        (
            ("read-only file system", "permission denied", "access is denied", "winerror 5]"),
            (
                _("A file could not be written: it is in use or protected."),
                _(
                    "Restart Slicer and press Install before anything else; if that does not "
                    "help, install Slicer in a folder that you can write to."
                ),
            ),
        ),
    )


def _network_explanations() -> tuple[tuple[tuple[str, ...], tuple[str, str]], ...]:
    without_network = _(
        "Ask your IT department, or download the wheel files on another computer and choose "
        "their folder under Project > This computer."
    )
    return (
        (
            ("certificate_verify_failed", "certificate verify failed", "sslerror"),
            (
                _("The network inspects encrypted connections, and pip does not trust it."),
                _("Give pip your institution's certificate (pip config set global.cert FILE). ")
                + without_network,
            ),
        ),
        (
            ("proxyerror", "407 proxy", "cannot connect to proxy", "proxy authentication"),
            (
                _("The network's proxy refused the connection."),
                _("Give pip the proxy (pip config set global.proxy URL). ") + without_network,
            ),
        ),
        (
            (
                "failed to establish a new connection",
                "getaddrinfo failed",
                "name or service not known",
                "temporary failure in name resolution",
                "read timed out",
                "connection reset",
                "connection refused",
                "network is unreachable",
            ),
            (
                _("The package server cannot be reached."),
                _("Check the network, then press Install again. ") + without_network,
            ),
        ),
    )


def _package_explanations() -> tuple[tuple[tuple[str, ...], tuple[str, str]], ...]:
    return (
        (
            ("resolutionimpossible", "conflicting dependencies"),
            (
                _("Other extensions need different versions of these packages than training does."),
                _("Choose another Python interpreter that only this extension uses."),
            ),
        ),
        (
            ("no matching distribution found", "could not find a version"),
            (
                _("No version of a package is available for this Python."),
                _(
                    "With a folder of wheel files, check that it holds those for this system and "
                    "this Python; otherwise choose another Python interpreter."
                ),
            ),
        ),
        (
            ("no module named pip",),
            (
                _("This Python has no pip, so nothing can be installed in it."),
                _("Install pip in it (python -m ensurepip), or choose another interpreter."),
            ),
        ),
    )

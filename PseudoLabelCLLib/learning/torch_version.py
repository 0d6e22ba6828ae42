"""The oldest PyTorch that is allowed to open a file."""

import torch

from PseudoLabelCLLib.domain.errors import PackageError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.readiness import REQUIREMENTS


def refuse_old_torch() -> None:
    """Refuse to work with a PyTorch that is older than `REQUIREMENTS` say.

    In older ones a file of an earlier version of this program could run a program although
    PyTorch was set to read tensors only.

    Raises:
        PackageError: It is too old.
    """
    (needed,) = (one for one in REQUIREMENTS if one.name == "torch")
    found = str(torch.__version__)
    if not needed.is_met_by(found):
        raise PackageError(
            Text(
                "PyTorch {found} is too old: {oldest} or later is needed, because older "
                "versions are unsafe with files from others.",
                found=found,
                oldest=needed.at_least,
            ),
            Text(
                'Install PyTorch {oldest} or later, for example with pip install "{needed}".',
                oldest=needed.at_least,
                needed=needed,
            ),
        )

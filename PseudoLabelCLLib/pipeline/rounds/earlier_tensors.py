"""Files with weights that an earlier version of the program pickled become raw tensors."""

from dataclasses import replace
from pathlib import Path

import torch

from PseudoLabelCLLib.domain.errors import ModelFileError
from PseudoLabelCLLib.domain.reporting import Report
from PseudoLabelCLLib.domain.text import Text, as_clause
from PseudoLabelCLLib.learning.tensor_files import (
    is_of_earlier_version,
    read_tensor_file,
    write_tensor_file,
)
from PseudoLabelCLLib.pipeline.prediction.model_file import (
    read_model,
    write_model,
)
from PseudoLabelCLLib.storage.project.model_archive import CARD_VERSION, holds_earlier_weights
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.safetensors_header import TensorFileError


def rewrite_earlier_tensors(root: Path, report: Report) -> None:
    """Write every model, checkpoint and other file of tensors of a project in today's form.

    The numbers stay the same to the bit. A file that is damaged stays as it is, with a warning.

    Raises:
        StorageError: The disk refuses.
        PackageError: PyTorch is too old to open such a file.
    """
    layout = ProjectLayout(root)
    folders = (layout.rounds, layout.pretrained_weights.parent)
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in files:
        _rewrite(path, report)


def _rewrite(path: Path, report: Report) -> None:
    try:
        if path.suffix == ".plcl":
            _rewrite_model(path)
        elif path.suffix == ".pt":
            _rewrite_tensors(path)
    except ValueError as error:
        found = error.found if isinstance(error, TensorFileError) else error
        report.notice(
            Text("'{file}' stays in its earlier form: {found}.", file=path.name, found=found),
            warning=True,
        )


def _rewrite_model(path: Path) -> None:
    try:
        if not holds_earlier_weights(path):
            return
        model = read_model(path)
    except ModelFileError as error:
        raise TensorFileError(as_clause(error.message)) from error
    write_model(path, model.network, replace(model.card, schema_version=CARD_VERSION))


def _rewrite_tensors(path: Path) -> None:
    if is_of_earlier_version(path):
        write_tensor_file(path, read_tensor_file(path, torch.device("cpu")))

"""Reading what is to count as human truth: never on another grid than that of its case."""

from pathlib import Path

from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation


def read_on_grid(path: Path, schema: LabelSchema, case: Case) -> LabelVolume:
    """Read a segmentation of the project: an annotation, a verdict's, a proposal.

    Args:
        path: The file.
        schema: The labels of the project.
        case: Whose it is.

    Raises:
        AnnotationError: It does not fit the labels.
        VolumeError: It is damaged, has another grid than the case, or lies elsewhere.
        StorageError: The disk refuses.
    """
    labels = read_segmentation(path, schema)[0]
    require_grid_of_case(labels.geometry, case, Text("segmentation '{file}'", file=path.name))
    return labels


def require_grid_of_case(found: Geometry, case: Case, what: Text) -> None:
    """Refuse what does not lie where a case lies.

    Raises:
        VolumeError: It has another grid, or lies elsewhere.
    """
    if not found.is_close_to(case.geometry):
        raise VolumeError(
            Text(
                "The {what} of case '{case}' is not the one that was added: it has "
                "{found}, expected {expected}, or lies elsewhere.",
                what=what,
                case=case.id,
                found=found.describe(),
                expected=case.geometry.describe(),
            ),
            Text("Restore the file from a backup, or review or add the case again."),
        )

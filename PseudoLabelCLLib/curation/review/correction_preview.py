"""What of a correction would count as human truth, computed while a person is still drawing."""

from pathlib import Path

import numpy as np

from PseudoLabelCLLib.curation.grids.stored_files import read_labels
from PseudoLabelCLLib.curation.review.corrections import changed_voxels, on_grid_of_case
from PseudoLabelCLLib.curation.review.display_files import CaseArrays, stamp_of
from PseudoLabelCLLib.curation.review.left_out import structures_to_leave_out
from PseudoLabelCLLib.curation.review.proposals import require_proposal
from PseudoLabelCLLib.curation.review.truth_mask import near_changed, slices_of_mask
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import ProposalIdentity
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import CorrectionPreview
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


def preview_correction(
    root: Path,
    project: Project,
    proposal: ProposalIdentity,
    file: Path,
    left_out: tuple[int, ...] = (),
) -> CorrectionPreview:
    """Tell what of a correction would count, for each extent; the project stays as it is.

    Args:
        root: The project folder.
        project: The project as it is now.
        proposal: What the person changes.
        file: The segmentation as it is now, on the case's grid or cropped from it.
        left_out: Label values of structures that the person rejects.

    Raises:
        ReviewError: It is not the newest proposal of the case, no round is in review, or the file
            has another grid.
        AnnotationError: The file has labels outside the schema or lies elsewhere.
        VolumeError: The file cannot be read.
        StorageError: The disk refuses.
    """
    require_proposal(root, project, proposal)
    case = project.case(proposal.case_id)
    rejected = structures_to_leave_out(project.schema, case.id, left_out)
    corrected = on_grid_of_case(read_labels(file, project.schema), case, file.name)
    arrays = CaseArrays(root, project, case)
    shown = arrays.labels(f"proposal_{proposal.round_index:02d}", proposal.round_index)
    if shown is None:  # it was there a moment ago
        path = ProjectLayout(root).proposal(proposal.round_index, case.id)
        raise ReviewError(
            Text("The proposal '{path}' is gone.", path=path), Text("Show the case again.")
        )
    changed = changed_voxels(np.load(shown, mmap_mode="r"), corrected.array, rejected)
    num_changed = int(np.count_nonzero(changed))
    if not num_changed:
        return CorrectionPreview(proposal, (), 0, 0, None)
    near = near_changed(changed, case.geometry.spacing_mm)
    made_of: list[JsonValue] = [proposal.fingerprint, stamp_of(file), list(rejected)]
    return CorrectionPreview(
        proposal=proposal,
        changed_slices=slices_of_mask(changed, project.slicing_axis_of(case.id)),
        num_changed_voxels=num_changed,
        num_near_voxels=int(np.count_nonzero(near)),
        near=arrays.kept("near", made_of, lambda: near.view(np.uint8)),
    )

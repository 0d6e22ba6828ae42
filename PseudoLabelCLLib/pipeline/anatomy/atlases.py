"""The atlases of a project: annotated, corrected and accepted volumes, as a round knows them."""

from collections import Counter
from pathlib import Path

from PseudoLabelCLLib.curation.grids.human_truth import read_on_grid
from PseudoLabelCLLib.curation.review.plan_round import RoundPlan, TruthSource
from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.pipeline.anatomy.carried_anatomy import (
    Atlas,
    CarriedAnatomy,
    carry_anatomy,
    make_atlas,
)
from PseudoLabelCLLib.pipeline.slices.case_slices import case_volume, class_indices
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

# So many are compared with a case at the most: annotated volumes first, in the project's order.
MOST_COMPARED = 10


def whole_truth(plan: RoundPlan) -> tuple[TruthSource, ...]:
    """Return the human truth of a round that may serve as atlas: a segmentation of all slices.

    Validation and test volumes are never among it. A case whose truth is put together from several
    verdicts, or counts on single slices or voxels, is none.
    """
    parts = Counter(source.case_id for source in plan.human)
    return tuple(
        source
        for source in plan.human
        if source.truth_slices is None and source.truth_mask is None and parts[source.case_id] == 1
    )


class ProjectAtlases:
    """The atlases of a round, each read when it is first needed.

    Args:
        root: The project folder.
        project: Its state.
        plan: What the round has learned from.
    """

    def __init__(self, root: Path, project: Project, plan: RoundPlan) -> None:
        self._root, self._project = root, project
        self._sources = whole_truth(plan)
        self._read: dict[str, Atlas] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def carry_to(self, case: Case) -> CarriedAnatomy | None:
        """Return what the others say of a case, or None if there is none or it is no volume.

        Raises:
            PseudoLabelCLError: An image or a segmentation cannot be read.
        """
        others = [source for source in self._sources if source.case_id != case.id]
        atlases = [self._atlas(source) for source in others[:MOST_COMPARED]]
        most = self._project.config.pseudo_label.anatomy_prior.most_atlases
        return carry_anatomy(self._volume(case), atlases, most) if atlases else None

    def _atlas(self, source: TruthSource) -> Atlas:
        if source.case_id not in self._read:
            case, schema = self._project.case(source.case_id), self._project.schema
            path = ProjectLayout(self._root).own(source.segmentation)
            classes = class_indices(read_on_grid(path, schema, case).array, schema)
            known = [value not in source.left_out for value in schema.values]
            self._read[case.id] = make_atlas(self._volume(case), classes, len(schema), known)
        return self._read[source.case_id]

    def _volume(self, case: Case) -> Volume:
        return case_volume(self._root, case)

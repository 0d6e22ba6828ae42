"""The slices that a round learns from: human truth, pseudo-labels, and validation cases."""

from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.curation.review.plan_round import RoundPlan
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import TrainingConfig
from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.method_config import Mirror
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.domain.round_work import Work, image_voxels
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, joined
from PseudoLabelCLLib.learning.process_group import ALONE, ProcessGroup
from PseudoLabelCLLib.learning.training.patches import Patches
from PseudoLabelCLLib.learning.training.sampling import (
    IGNORED_CLASS,
    LabelledSlices,
    RoundData,
    SlicePool,
)
from PseudoLabelCLLib.pipeline.rounds.round_watch import RoundWatch
from PseudoLabelCLLib.pipeline.slices.case_slices import (
    CaseSlices,
    ClassCache,
    TruthPart,
    annotation_of,
    chosen_slices,
    left_out_of_parts,
    load_case_slices,
)
from PseudoLabelCLLib.pipeline.slices.slice_grid import in_plane_extent_mm
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

# A slice whose sides differ by less counts as square, and tells nothing.
CLEARLY_LONGER = 1.05


@dataclass(frozen=True)
class RoundInputs:
    """What a round is trained on.

    Args:
        root: The project folder.
        project: Its state.
        plan: Which case does what.
        preprocess: The settled grid of the network.
        training: How to train, with nothing left to "auto" (`settle_training`).
        watch: Times what is done; None where nobody asks.
        group: The processes that do it together.
    """

    root: Path
    project: Project
    plan: RoundPlan
    preprocess: PreprocessConfig
    training: TrainingConfig
    watch: RoundWatch | None = None
    group: ProcessGroup = ALONE

    def timed(self, work: Work, amount: float) -> AbstractContextManager[None]:
        """Return a context whose time is noted, if anybody asks."""
        return nullcontext() if self.watch is None else self.watch.timed(work, amount)

    def elsewhere(self) -> AbstractContextManager[None]:
        """Return a context whose time is left out of what a round is expected to take."""
        return nullcontext() if self.watch is None else self.watch.elsewhere()


def for_another_process(inputs: RoundInputs) -> RoundInputs:
    """Return inputs without what belongs to this process, to be sent to another one."""
    return replace(inputs, watch=None, group=ALONE)


def settle_training(project: Project, preprocess: PreprocessConfig) -> TrainingConfig:
    """Decide what the settings leave open: whether slices are mirrored.

    They are, along both axes, where some cases have slices that are higher than wide and others
    slices that are wider than high, after turning: then patients lie in more than one way.

    Args:
        project: The project.
        preprocess: The settled plan.
    """
    training = project.config.training
    if training.augmentation.mirror is not Mirror.AUTO:
        return training
    shapes = [
        in_plane_extent_mm(case.geometry, preprocess)
        for case in project.cases
        if case.role is not CaseRole.IGNORED
    ]
    ratios = [rows / columns for rows, columns in shapes]
    lie_in_many_ways = max(ratios) >= CLEARLY_LONGER and min(ratios) <= 1 / CLEARLY_LONGER
    mirror = Mirror.BOTH if lie_in_many_ways else Mirror.NEVER
    return replace(training, augmentation=replace(training.augmentation, mirror=mirror))


def load_validation(
    inputs: RoundInputs, report: Report
) -> list[tuple[CaseSlices, npt.NDArray[np.int16]]]:
    """The process's share of the validation cases, with references as slices of label values.

    The references stay in memory, on the volumes' own grids: two bytes for each of their voxels.
    """
    loaded = []
    cases = inputs.project.cases_with_role(CaseRole.VALIDATION)
    for case in cases[inputs.group.own_share(len(cases))]:
        slices = slices_of(inputs, case)
        reference = annotation_of(inputs.root, case, inputs.project.schema)
        loaded.append((slices, slices.grid.slices_of(reference.array)))
    if not cases and inputs.plan.index == 0:
        report.notice(
            Text(
                "There is no validation case: the last weights of each round are used, and "
                "no Dice can be measured until corrections come in."
            )
        )
    return loaded


def load_round_data(inputs: RoundInputs, report: Report) -> RoundData:
    """Find the slices of the plan: truth where a person confirmed it, proposals elsewhere.

    Images and labels are mapped from the files under `preprocessed/`, so the memory of a round
    does not grow with its cases; labels that this round does not use are deleted there.

    The proposals that the plan leaves out as too doubtful are named; without any other proposal
    the round learns from human truth alone. Where a person left structures out of a
    proposal, all voxels but those of the others are background or what was left out. Where a
    person confirmed single voxels,
    those alone are truth on their slices; the others stay pseudo-label there as on slices that no
    person confirmed.

    Raises:
        TrainingError: No slice of the human segmentations teaches anything.
    """
    _tell_too_doubtful(inputs, report)
    cache = ClassCache(inputs.root, inputs.project.schema)
    truth = _load_truth(inputs, cache, report)
    pseudo = _load_pseudo(inputs, cache, report)
    cache.remove_others()
    num_classes = inputs.project.schema.num_classes
    patches = _patches(inputs)
    data = RoundData(
        SlicePool(truth, num_classes, patches),
        SlicePool(pseudo, num_classes, patches),
        inputs.preprocess.slices_at_once,
    )
    if not data.truth.most_classes_in_a_slice:
        raise TrainingError(
            Text(
                "No slice of the human segmentations shows a structure that counts as human truth."
            ),
            Text("Annotate a volume, or accept a proposal without leaving structures out."),
        )
    return data


def _patches(inputs: RoundInputs) -> Patches | None:
    """Return how patches are drawn; None where a step sees the whole window."""
    shape = inputs.preprocess.patch_size
    return None if shape is None else Patches(shape, inputs.training.structure_share)


def slices_of(inputs: RoundInputs, case: Case) -> CaseSlices:
    """Return a case's slices, made now if they are not on disk; that is timed.

    Raises:
        VolumeError: An image is missing, or its grid is not the one it had when it was added.
    """
    watch, start_s = inputs.watch, 0.0 if inputs.watch is None else inputs.watch.now()
    slices = load_case_slices(inputs.root, case, inputs.preprocess, inputs.project.channels)
    if watch is not None and slices.is_new:
        watch.add(Work.PREPARING, watch.now() - start_s, image_voxels(case, inputs.project))
    return slices


def _tell_too_doubtful(inputs: RoundInputs, report: Report) -> None:
    """Name the cases whose proposals the plan leaves out as too doubtful."""
    plan = inputs.plan
    if plan.too_doubtful:
        names = ", ".join(f"'{case_id}'" for case_id in plan.too_doubtful)
        text = Text(
            "Round {index} does not use the pseudo-labels of {cases}: their copies agree less than "
            "{percent:g} % (pseudo_label.min_agreement).",
            index=plan.index,
            cases=names,
            percent=100 * inputs.project.config.pseudo_label.min_agreement,
        )
        none_left = NO_TEXT
        if not plan.pseudo:
            none_left = Text("No pseudo-label is left: it learns from human segmentations alone.")
        report.notice(joined(text, none_left), warning=not plan.pseudo)


def _load_truth(inputs: RoundInputs, cache: ClassCache, report: Report) -> list[LabelledSlices]:
    layout = ProjectLayout(inputs.root)
    newest_first = list(reversed(inputs.plan.human))
    # blocks hold slices of several verdicts, so that in 3-D these lie in one array
    counted = Counter(source.case_id for source in newest_first)
    is_3d = inputs.preprocess.dimension == 3
    by_voxels = {
        source.case_id
        for source in newest_first
        if source.truth_mask is not None or (is_3d and counted[source.case_id] > 1)
    }
    taken: dict[str, npt.NDArray[np.bool_]] = {}
    loaded = [_merged_truth(inputs, cache, case_id) for case_id in sorted(by_voxels)]
    for number, source in enumerate(newest_first, start=1):
        _tell_loading(inputs, report, Text("human segmentations"), number, len(newest_first))
        if source.case_id in by_voxels:
            continue
        case = inputs.project.case(source.case_id)
        slices = slices_of(inputs, case)
        part = TruthPart(layout.own(source.segmentation), source.truth_slices, source.left_out)
        classes = cache.load(slices, part.segmentation, part.left_out)
        mine = chosen_slices(slices.grid, source.truth_slices)
        before = taken.get(case.id, np.zeros(len(classes), dtype=np.bool_))
        mine &= ~before
        taken[case.id] = before | mine
        if mine.any():
            left_out = left_out_of_parts((part,), inputs.project.schema, slices.grid)
            numbers = np.flatnonzero(mine)
            loaded.append(LabelledSlices(slices.images, classes, numbers, left_out))
    return [one for one in loaded if len(one)]


def _merged_truth(inputs: RoundInputs, cache: ClassCache, case_id: str) -> LabelledSlices:
    """Return all that a person said of a case of which single voxels count."""
    layout = ProjectLayout(inputs.root)
    slices = slices_of(inputs, inputs.project.case(case_id))
    parts = [
        TruthPart(
            layout.own(source.segmentation),
            source.truth_slices,
            source.left_out,
            None if source.truth_mask is None else layout.own(source.truth_mask),
        )
        for source in inputs.plan.human
        if source.case_id == case_id
    ]
    classes = cache.merge(slices, parts)
    is_known = np.array([(one != IGNORED_CLASS).any() for one in classes], dtype=np.bool_)
    left_out = left_out_of_parts(parts, inputs.project.schema, slices.grid)
    return LabelledSlices(slices.images, classes, np.flatnonzero(is_known), left_out)


def _load_pseudo(inputs: RoundInputs, cache: ClassCache, report: Report) -> list[LabelledSlices]:
    layout = ProjectLayout(inputs.root)
    loaded = []
    for number, case_id in enumerate(inputs.plan.pseudo, start=1):
        case = inputs.project.case(case_id)
        slices = slices_of(inputs, case)
        path = layout.proposal(inputs.plan.index - 1, case_id)
        if not path.exists():
            report.notice(
                Text(
                    "Case '{case}' has no proposal from round {index}, as when it was added "
                    "since; it is used from the next round on.",
                    case=case_id,
                    index=inputs.plan.index - 1,
                ),
                warning=True,
            )
            continue
        reviews = inputs.project.truth_reviews_of(case_id)
        masks = [layout.own(one.truth_mask) for one in reviews if one.truth_mask is not None]
        part = TruthPart(path, None, _rejected_in_proposal(inputs, case_id))
        classes = cache.load(slices, path, part.left_out, masks)
        rest = np.ones(len(classes), dtype=np.bool_)
        if case.is_partly_drawn:
            rest &= ~chosen_slices(slices.grid, case.drawn_slices)
        for review in reviews:
            if review.truth_mask is None:
                rest &= ~chosen_slices(slices.grid, review.truth_slices)
        if rest.any():
            left_out = left_out_of_parts((part,), inputs.project.schema, slices.grid)
            numbers = np.flatnonzero(rest)
            loaded.append(LabelledSlices(slices.images, classes, numbers, left_out))
        _tell_loading(inputs, report, Text("pseudo-labels"), number, len(inputs.plan.pseudo))
    return loaded


def _rejected_in_proposal(inputs: RoundInputs, case_id: str) -> tuple[int, ...]:
    """Structures that a person rejected in the proposal from which the round learns."""
    reviews = inputs.project.reviews_of(case_id)
    return next((r.left_out for r in reviews if r.round_index == inputs.plan.index - 1), ())


def _tell_loading(inputs: RoundInputs, report: Report, what: Text, done: int, of: int) -> None:
    report.progress(
        Text("Round {index}: reading {what}", index=inputs.plan.index, what=what), done, of
    )
    if report.is_cancelled():
        raise Cancelled

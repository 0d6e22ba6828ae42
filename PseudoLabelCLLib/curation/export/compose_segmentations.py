"""Segmentations put together: a base, and what a person confirmed laid over it in order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from PseudoLabelCLLib.curation.export.export_source import ExportSource
from PseudoLabelCLLib.curation.grids.human_truth import read_on_grid
from PseudoLabelCLLib.curation.review.left_out import without_structures
from PseudoLabelCLLib.curation.review.plan_round import TruthSource, truth_sources_of
from PseudoLabelCLLib.curation.review.truth_mask import read_truth_mask
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Verdict, fully_confirmed_slices
from PseudoLabelCLLib.domain.segmentation import LabelClass, SegmentStatus
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume, array_axis
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


@dataclass(frozen=True)
class SegmentationRecipe:
    """How the segmentation of a case is put together: a base, and truth laid over it in order.

    Args:
        case: The case.
        source: Who confirmed it.
        round_index: The newest round with a part in it.
        human_fraction: Share of the slices on which a person confirmed every structure.
        base: The file below the layers.
        rejected_in_base: Label values of structures that are not taken from the base.
        layers: What a person confirmed, oldest first.
        fills_gaps: Whether the base says where the structures lie that a layer leaves out.
    """

    case: Case
    source: ExportSource
    round_index: int | None
    human_fraction: float
    base: Path
    rejected_in_base: tuple[int, ...] = ()
    layers: tuple[TruthSource, ...] = ()
    fills_gaps: bool = False

    @property
    def case_id(self) -> str:
        """The case."""
        return self.case.id

    @property
    def file_stem(self) -> str:
        """The name of its file without suffix, which says where no person confirmed all of it."""
        mark = "" if self.human_fraction == 1 else ".partly-reviewed"
        mark = mark if self.layers or not mark else ".unreviewed"
        return f"{self.case.id}{mark}"

    @property
    def has_single_voxels(self) -> bool:
        """Whether of some layer single voxels count."""
        return any(layer.truth_mask is not None for layer in self.layers)

    def left_out(self, labels: Iterable[LabelClass]) -> tuple[str, ...]:
        """Return the names of those structures that a verdict leaves out."""
        values = {value for layer in self.layers for value in layer.left_out}
        return tuple(label.name for label in labels if label.value in values)


def recipes_of(
    root: Path, project: Project, case_ids: Sequence[str] | None, *, include_unreviewed: bool
) -> list[SegmentationRecipe]:
    """Return how the segmentations of cases are put together.

    Args:
        root: The project folder.
        project: The project as it is now.
        case_ids: Which cases; None takes all that take part.
        include_unreviewed: Whether proposals that nobody judged count, too.

    Raises:
        ProjectError: There is nothing to export, or an unknown case.
    """
    cases: Iterable[Case] = [case for case in project.cases if case.role is not CaseRole.IGNORED]
    if case_ids is not None:
        cases = {case.id: case for case in map(project.case, case_ids)}.values()
    recipes = []
    for case in cases:
        recipe = _recipe(root, project, case, include_unreviewed=include_unreviewed)
        if recipe is not None:
            recipes.append(recipe)
        elif case_ids is not None:
            raise ProjectError(
                Text(
                    "Case '{case}' has no segmentation that a person drew, corrected or accepted.",
                    case=case.id,
                ),
                Text("Review its proposal, or ask for unreviewed proposals too."),
            )
    if not recipes:
        raise ProjectError(
            Text(
                "There is no segmentation to export: no case is annotated, accepted or corrected."
            ),
            Text("Review some proposals, or ask for unreviewed proposals too."),
        )
    return recipes


def _recipe(
    root: Path, project: Project, case: Case, *, include_unreviewed: bool
) -> SegmentationRecipe | None:
    layout = ProjectLayout(root)
    if not case.gets_proposals:
        if case.annotation is None:
            return None
        return SegmentationRecipe(case, "annotated", None, 1.0, layout.own(case.annotation))
    layers = truth_sources_of(project, case.id, len(project.rounds))
    proposal = _newest_proposal(layout, project, case.id)
    if not layers:
        if proposal is None or not include_unreviewed:
            return None
        file = layout.proposal(proposal, case.id)
        return SegmentationRecipe(case, "proposal, unreviewed", proposal, 0.0, file)

    reviews = [r for r in project.truth_reviews_of(case.id) if _is_among(r.segmentation, layers)]
    corrected = any(review.verdict is Verdict.CORRECTED for review in reviews)
    num_slices = project.num_slices_of(case.id)
    true = len(fully_confirmed_slices(layers, num_slices)) / num_slices
    last = max((review.round_index for review in reviews), default=-1)
    fills_gaps = include_unreviewed and true < 1
    # Where the proposals are gone, the last corrected file serves: it is whole.
    base, rejected = layout.own(layers[-1].segmentation), layers[-1].left_out
    if (
        (fills_gaps or not _cover_all(layers, num_slices))
        and proposal is not None
        and proposal >= last
    ):
        base, last = layout.proposal(proposal, case.id), proposal
        rejected = _rejected_in(project, case.id, proposal)
    source: ExportSource = "corrected" if corrected else "accepted" if reviews else "annotated"
    newest = None if last < 0 else last
    return SegmentationRecipe(case, source, newest, true, base, rejected, layers, fills_gaps)


def _rejected_in(project: Project, case_id: str, proposal: int) -> tuple[int, ...]:
    """Return the label values of the structures that a person rejected in a proposal."""
    reviews = project.reviews_of(case_id)
    return next((review.left_out for review in reviews if review.round_index == proposal), ())


def _newest_proposal(layout: ProjectLayout, project: Project, case_id: str) -> int | None:
    """Return the round of the newest proposal that nobody rejected."""
    rejected = {
        review.round_index
        for review in project.reviews_of(case_id)
        if review.verdict is Verdict.REJECTED
    }
    found = [
        round_.index
        for round_ in project.rounds
        if round_.index not in rejected and layout.proposal(round_.index, case_id).exists()
    ]
    return found[-1] if found else None


def _is_among(segmentation: str | None, layers: tuple[TruthSource, ...]) -> bool:
    return any(layer.segmentation == segmentation for layer in layers)


def _cover_all(layers: tuple[TruthSource, ...], num_slices: int) -> bool:
    named = [layer.truth_slices for layer in layers if layer.truth_mask is None]
    return None in named or len({n for slices in named for n in slices or ()}) == num_slices


def _statuses(
    recipe: SegmentationRecipe, base: LabelVolume, project: Project
) -> Mapping[int, SegmentStatus]:
    """Return what the review said of each structure; of a drawing, what its own file said."""
    if recipe.source == "annotated":
        return base.statuses
    num_slices = project.num_slices_of(recipe.case.id)
    return {value: _reviewed(recipe.layers, value, num_slices) for value in project.schema.values}


def _reviewed(layers: tuple[TruthSource, ...], value: int, num_slices: int) -> SegmentStatus:
    """Return how far the review of a structure is: completed where a person confirmed all of it."""
    if not layers:
        return SegmentStatus.NOT_STARTED
    own = tuple(layer for layer in layers if value not in layer.left_out)
    if not own:
        return SegmentStatus.FLAGGED
    is_whole = _cover_all(own, num_slices)
    return SegmentStatus.COMPLETED if is_whole else SegmentStatus.IN_PROGRESS


def compose(root: Path, project: Project, recipe: SegmentationRecipe) -> LabelVolume:
    """Return a segmentation, on the grid of its case, with the status of every structure.

    Raises:
        PseudoLabelCLError: A file of the project cannot be read.
    """
    layout = ProjectLayout(root)
    base = read_on_grid(recipe.base, project.schema, recipe.case)
    base = without_structures(base, recipe.rejected_in_base)
    array, axis = base.array.copy(), array_axis(project.slicing_axis_of(recipe.case.id))
    slices = np.moveaxis(array, axis, 0)
    for layer in recipe.layers:
        labels = read_on_grid(layout.own(layer.segmentation), project.schema, recipe.case)
        own = without_structures(labels, layer.left_out).array
        if recipe.fills_gaps and layer.left_out:
            is_gap = (own == 0) & np.isin(base.array, layer.left_out)
            own = np.where(is_gap, base.array, own)
        if layer.truth_mask is not None:
            mask = read_truth_mask(layout.own(layer.truth_mask), recipe.case.geometry)
            array[mask] = own[mask]
            continue
        chosen = range(len(slices)) if layer.truth_slices is None else layer.truth_slices
        for number in chosen:
            if number < len(slices):  # they are checked before training, not before an export
                slices[number] = np.moveaxis(own, axis, 0)[number]
    statuses = _statuses(recipe, base, project)
    return LabelVolume(array, recipe.case.geometry, statuses)

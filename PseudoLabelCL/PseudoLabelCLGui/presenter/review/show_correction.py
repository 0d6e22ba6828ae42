"""What of a correction would count as human truth, as it is shown before the verdict."""

from functools import partial

from PseudoLabelCLGui.panel_state import Action, ExtentChoice
from PseudoLabelCLGui.presenter.cases.show_cases import action
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.reasons import no_accept, no_judging
from PseudoLabelCLGui.presenter.words import counted
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.review import TruthExtent
from PseudoLabelCLLib.messages.answers import CaseFiles, CorrectionPreview

_AXES = "ijk"


def accept_action(facts: Facts) -> Action:
    """Return the button that takes what is in the views."""
    review = facts.review
    if not review.is_edited or review.files is None:
        tip = _("Accepts the proposal as shown and confirms all of it.")
        return action(no_accept(facts), tip, _("Accept"))
    text = _extent_words(review.extent, review.files, review.fresh_preview)
    tip = _("Saves the segmentation as shown. Confirmed by it: {extent}.").format(extent=text)
    return action(no_accept(facts), tip, _("Save correction"))


def extent_choices(facts: Facts) -> tuple[ExtentChoice, ...]:
    """Return what of the person's changes can count; nothing where there are none to save."""
    review = facts.review
    if not review.is_edited or review.files is None or no_judging(facts):
        return ()
    files, preview = review.files, review.fresh_preview
    return tuple(ExtentChoice(one, _extent_words(one, files, preview)) for one in TruthExtent)


def _extent_words(extent: TruthExtent, files: CaseFiles, preview: CorrectionPreview | None) -> str:
    if extent is TruthExtent.CHANGED_SLICES:
        return _slice_words(preview, files)
    if extent is TruthExtent.CHANGED_VOXELS:
        if preview is None:
            return _("only the voxels that I changed and 3 mm around them")
        return counted(
            preview.num_near_voxels,
            _("only the voxels that I changed and 3 mm around them (1 voxel)"),
            _("only the voxels that I changed and 3 mm around them ({count} voxels)"),
        )
    num_slices = files.geometry.size[files.slicing_axis]
    return counted(num_slices, _("the whole slice"), _("all {count} slices"))


def _slice_words(preview: CorrectionPreview | None, files: CaseFiles) -> str:
    if preview is None:
        return _("the slices that I changed")
    if not preview.changed_slices:
        return _("the slices that I changed (none differs from the proposal)")
    number_of = partial(files.geometry.number_in_slicer, files.slicing_axis)
    slices = sorted(map(number_of, preview.changed_slices))
    axis = _AXES[files.slicing_axis]
    if len(slices) == 1:
        text = _("the slice that I changed ({axis} = {number})")
        return text.format(axis=axis, number=slices[0])
    text = _("the {count} slices that I changed ({axis} = {first} to {last})")
    return text.format(count=len(slices), axis=axis, first=slices[0], last=slices[-1])

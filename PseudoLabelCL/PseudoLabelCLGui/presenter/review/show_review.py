"""The review as it is shown, and what of a correction would count as human truth."""

from functools import partial

from PseudoLabelCLGui.panel_state import Action, ExtentChoice, QueueRow, ReviewState
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.reasons import (
    action,
    no_accept,
    no_judging,
    no_review,
    no_verdict,
)
from PseudoLabelCLGui.presenter.words import counted, percent, time_left, verdict_of_case
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.review import TruthExtent
from PseudoLabelCLLib.messages.answers import CaseFiles, CorrectionPreview
from PseudoLabelCLLib.messages.project_view import CaseView, ProjectView

_AXES = "ijk"


def review_state(facts: Facts) -> ReviewState:
    """Return step "review"."""
    review, view = facts.review, facts.view
    cases = queue(view)
    judge = no_verdict(facts)
    shown = view.case(review.shown) if view and review.shown else None
    no_back = judge or ("" if shown and shown.verdict else _("There is no verdict to take back."))
    preview = review.fresh_preview
    return ReviewState(
        queue=tuple(
            QueueRow(case.id, percent(case.doubt), translated(case.reason), verdict_of_case(case))
            for case in cases
        ),
        case_id=review.shown,
        is_loading=bool(review.wanted) or (bool(review.shown) and not review.is_on_screen),
        progress=_progress(facts, cases),
        reason=translated(shown.reason) if shown else "",
        identity=review.identity,
        accept=accept_action(facts),
        extents=extent_choices(facts),
        extent=review.extent,
        near=preview.near if preview else None,
        reject=action(judge, _("Leaves this proposal out of the next round.")),
        take_back=action(no_back, _("Undoes the verdict on this case.")),
        previous_case=action(_no_neighbour(facts, -1), _("Shows the previous case.")),
        next_case=action(_no_neighbour(facts, 1), _("Shows the next case.")),
        next_doubt=action(_no_doubt(facts), _("Jumps to the next doubtful slice.")),
        compare=action(_no_comparison(facts), _("Outlines what the previous round proposed.")),
    )


def queue(view: ProjectView | None) -> list[CaseView]:
    """Return the cases in review, most doubtful first."""
    found = [view.case(case_id) for case_id in view.review_order] if view else []
    return [case for case in found if case is not None]


def _progress(facts: Facts, cases: list[CaseView]) -> str:
    if not cases:
        return ""
    num_done = sum(case.verdict is not None for case in cases)
    text = _("{done} of {total} reviewed").format(done=num_done, total=len(cases))
    if facts.view is not None and facts.view.is_proposing:
        return f"{text}. {translated(facts.view.so_far)}"
    pace_s = facts.review.pace.mean_s
    if pace_s is None or num_done == len(cases):
        return text
    return f"{text}, {time_left(pace_s * (len(cases) - num_done))}"


def _no_neighbour(facts: Facts, by: int) -> str:
    reason = no_review(facts)
    if reason or facts.view is None:
        return reason
    order = facts.view.review_order
    here = facts.review.wanted or facts.review.shown
    if here not in order:
        return ""
    index = order.index(here) + by
    if index < 0:
        return _("This is the first case in the list.")
    return "" if index < len(order) else _("This is the last case in the list.")


def _no_doubt(facts: Facts) -> str:
    files = facts.review.files
    if files is None:
        return _("Choose a case first.")
    return "" if files.doubtful_slices else _("The network is confident about every slice.")


def _no_comparison(facts: Facts) -> str:
    files = facts.review.files
    if files is None:
        return _("Choose a case first.")
    return "" if files.previous else _("The previous round has no proposal for this case.")


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

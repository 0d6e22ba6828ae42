"""A case under review in the panel, and what a person does to it, for the tests."""

import time

import panel_states as states
import slicer


def wait_until(panel, is_so):
    for _ in range(300):
        panel.tick()
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within three seconds")


def show(panel, folder, case_id="heart 4"):
    panel.presenter.listeners.on_case_files(states.phantom_files(folder, case_id))
    review = panel.panel._review
    wait_until(panel, lambda: review.proposal.case and review.proposal.case.case_id == case_id)


def proposal_of(panel):
    return panel.panel._review.proposal.case.proposal


def draw(panel, value=1):
    """Paint one voxel of the first structure, as the Segment Editor would."""
    case = panel.panel._review.proposal.case
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(case.proposal, "Segment_1", case.volume)
    voxels = voxels.copy()
    voxels[0, 0, 0] = value
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        voxels, case.proposal, "Segment_1", case.volume
    )
    panel.tick()


def leave(panel, *, discard=False):
    """Leave the case, and let the panel tidy up."""
    panel.presenter.listeners.on_case_left("heart 4", discard)
    panel.tick()


def pause(panel):
    """Let as much time pass as makes a stroke finished, and what follows be done."""
    time.sleep(0.45)
    panel.tick()
    wait_until(panel, lambda: not panel.panel._work.isBusy)


def corrected(panel):
    """Press the one button after a stroke; return what the presenter got."""
    panel.show(states.EDITED)
    panel.click("acceptButton")
    assert panel.calls[-1][0] == "review.accept"
    panel.presenter.listeners.on_correction_wanted(panel.calls[-1][1])
    wait_until(panel, lambda: panel.calls[-1][0] == "review.correct")
    return panel.calls[-1]

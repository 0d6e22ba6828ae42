"""The part of the self-test in Slicer on rounds in the panel: one ends while a case is shown."""

from pathlib import Path

from PseudoLabelCLGui.mrml_bridge import ShownCase
from PseudoLabelCLGui.panel_state import PanelState
from PseudoLabelCLGui.self_test.curves import check_curves
from PseudoLabelCLGui.self_test.layout import LayoutTest
from PseudoLabelCLGui.self_test.shared import (
    SLOW_S,
    SMALL_ROUND,
    PanelUnderTest,
    check,
    paint_block,
)
from PseudoLabelCLGui.self_test.stored import Seen, check_stored, look_at
from PseudoLabelCLLib.domain.review import ProposalIdentity, Verdict


class RoundsTest:
    """Two rounds in the panel; the second ends while a proposal of the first is shown.

    Args:
        tested: The panel, whose interpreter has PyTorch.
        layout: Looks at steps that other parts do not come to.
    """

    def __init__(self, tested: PanelUnderTest, layout: LayoutTest) -> None:
        self._tested, self._layout = tested, layout
        self._folder = tested.folder / "rounds"

    def run(self) -> None:
        """Go through it; each step checks what it brought."""
        self._make_project()
        self._train(0)
        self._look_at_curves(num_rounds=1)
        self._show(self._tested.state.review.queue[0].case_id)
        self._layout.look_at_steps()
        self._end_round_over_shown_case()
        self._look_at_curves(num_rounds=2)
        self._accept()
        self._correct()

    def _make_project(self) -> None:
        tested = self._tested
        tested.say("The panel makes a project from phantoms and trains a round.")
        tested.presenter.project.make_sample(str(self._folder))
        tested.until("the sample volumes were added", lambda s: len(s.cases.rows) >= 5)
        for name, value in SMALL_ROUND.items():
            tested.presenter.train.change_setting(name, value)
            self._until_setting(name, value)
        tested.until("a round can be trained", lambda s: s.train.train.enabled)

    def _until_setting(self, name: str, value: str) -> None:
        what = f"the setting {name} was changed"
        self._tested.until(what, lambda s: s.train.settings.get(name) == value)

    def _train(self, index: int) -> None:
        self._begin(index)
        if self._tested.is_seen:
            self._layout.look(f"training round {index}")
        self._until_trained(index)

    def _begin(self, index: int) -> None:
        self._tested.press("trainStepButton")
        self._tested.press("trainButton")
        self._tested.until(f"round {index} is trained", lambda s: s.train.is_running)

    def _until_trained(self, index: int) -> None:
        def is_there(state: PanelState) -> bool:
            is_over = not state.train.is_running and len(state.rounds.rows) > index
            return is_over and len(state.review.queue) >= 3

        self._tested.until(
            f"round {index} can be reviewed", is_there, SLOW_S,
            at_all_times=self._check_no_stale_verdict,
        )  # fmt: skip

    def _look_at_curves(self, num_rounds: int) -> None:
        self._tested.let_settle()
        num_points = check_curves(self._tested.ui.trainingPlot, "The curve of the training")
        check(num_points > 0, "The curve of the training has no point after a round.")
        num_points = check_curves(self._tested.ui.qualityPlot, "The curve of the rounds")
        expected = len(self._tested.state.rounds.quality.x)
        told = f"The curve of the rounds shows {num_points} points of {expected}"
        check(num_points == expected == num_rounds, f"{told} after {num_rounds} rounds.")

    def _show(self, case_id: str) -> ShownCase:
        self._tested.press("reviewStepButton")
        self._tested.presenter.review.show_case(case_id)

        def is_shown(state: PanelState) -> bool:
            shown = self._tested.shown
            return shown is not None and shown.case_id == case_id and not state.review.is_loading

        self._tested.until(f"'{case_id}' is shown", is_shown)
        shown = self._tested.shown
        assert shown is not None  # the line above waited for it
        return shown

    def _end_round_over_shown_case(self) -> None:
        """Round 1 ends while round 0's proposal is shown: no verdict on that is possible."""
        tested = self._tested
        tested.say("A round ends while a case is shown.")
        old = self._identity(tested.shown)
        self._begin(1)
        self._check_no_stale_verdict()
        tested.until("the case was left when the round began", lambda _: tested.shown is None)
        self._show(old.case_id)
        is_early = tested.state.train.is_running and self._identity(tested.shown) == old
        tested.say(
            f"Round 0's proposal of '{old.case_id}' is shown while round 1 is trained."
            if is_early
            else "Round 1 ended before a case was shown."
        )
        self._until_trained(1)
        tested.until("round 0's proposal was left", lambda _: self._is_not(old))

    def _is_not(self, old: ProposalIdentity) -> bool:
        return self._tested.shown is None or self._identity(self._tested.shown) != old

    def _identity(self, shown: ShownCase | None) -> ProposalIdentity:
        if shown is None or shown.files.identity is None:
            raise AssertionError("No proposal is shown.")
        return shown.files.identity

    def _check_no_stale_verdict(self) -> None:
        """Check that a verdict is possible on nothing but what the views show, and not too late."""
        tested, ui, review = self._tested, self._tested.ui, self._tested.state.review
        # a button follows the state a moment later, and what is pressed meanwhile is refused
        may_accept = ui.acceptButton.enabled and review.accept.enabled
        if not may_accept and not (ui.rejectButton.enabled and review.reject.enabled):
            return
        check(not tested.state.train.is_running, "A verdict is possible while a round is trained.")
        seen, told = self._identity(tested.shown), review.identity
        check(seen == told, f"The views show {seen}, and the verdict would be on {told}.")
        newest = tested.state.rounds.rows[-1].index
        late = f"A verdict is possible on {seen}, and the newest round is {newest}."
        check(seen.round_index == newest, late)

    def _accept(self) -> None:
        case_id = self._tested.state.review.queue[0].case_id
        seen = self._look(case_id)
        self._judge(seen, Verdict.ACCEPTED)

    def _correct(self) -> None:
        case_id = self._tested.state.review.queue[1].case_id
        before = self._look(case_id)
        shown = self._tested.shown
        assert shown is not None  # the line above showed it
        accept = self._tested.ui.acceptButton.text
        paint_block(shown)
        self._tested.until(
            "what was painted was noticed", lambda _: self._tested.ui.acceptButton.text != accept
        )
        seen = look_at(shown)
        # where another structure was, the voxels of all together stay as many
        check(seen.sizes != before.sizes, "Painting changed nothing.")
        self._judge(seen, Verdict.CORRECTED)

    def _look(self, case_id: str) -> Seen:
        shown = self._show(case_id)
        self._tested.until(
            f"'{case_id}' can be accepted", lambda _: bool(self._tested.ui.acceptButton.enabled)
        )
        self._check_no_stale_verdict()
        return look_at(shown)

    def _judge(self, seen: Seen, verdict: Verdict) -> None:
        case_id = seen.identity.case_id
        self._tested.press("acceptButton")
        self._tested.until(
            f"the verdict on '{case_id}' was saved",
            lambda s: any(row.case_id == case_id and row.verdict for row in s.review.queue),
        )
        check_stored(Path(self._tested.state.project.root), seen, verdict)
        self._tested.say(f"'{case_id}' is stored as it was shown ({seen.num_voxels} voxels).")

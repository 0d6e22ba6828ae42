"""What is known of the review: what is shown, what was changed, how long a case takes."""

from collections.abc import Callable
from dataclasses import dataclass, field

from PseudoLabelCLLib.domain.review import ProposalIdentity, TruthExtent
from PseudoLabelCLLib.messages.answers import CaseFiles, CorrectionPreview

# Whoever looks at a case for longer was called away.
LONGEST_S = 900.0
NUM_KEPT = 10

# The newest round and whether it is in review, and the newest proposal of a case.
RoundKey = tuple[int | None, bool, ProposalIdentity | None]


@dataclass
class Pace:
    """A stopwatch that runs while a case is in the views and the panel is shown.

    Args:
        times_s: The newest times from showing a case to its verdict, oldest first.
        spent_s: On the case at hand, up to the last pause.
        since_s: When the watch began to run again, by the presenter's clock; None while it rests.
        is_away: Whether another module is shown.
    """

    times_s: list[float] = field(default_factory=list)
    spent_s: float = 0.0
    since_s: float | None = None
    is_away: bool = False

    @property
    def mean_s(self) -> float | None:
        """Seconds for a case, or None before the first verdict."""
        return sum(self.times_s) / len(self.times_s) if self.times_s else None

    def begin(self, now_s: float) -> None:
        """A case has come into the views."""
        self.spent_s = 0.0
        self.since_s = None if self.is_away else now_s

    def rest(self, now_s: float) -> None:
        """Something else than the case is looked at."""
        if self.since_s is not None:
            self.spent_s += now_s - self.since_s
        self.since_s = None

    def leave_module(self, now_s: float) -> None:
        """Another module is shown."""
        self.rest(now_s)
        self.is_away = True

    def enter_module(self, now_s: float, *, is_looking: bool) -> None:
        """The panel is shown again.

        Args:
            now_s: By the presenter's clock.
            is_looking: Whether a case is in the views.
        """
        self.is_away = False
        if is_looking and self.since_s is None:
            self.since_s = now_s

    def judged(self, now_s: float) -> None:
        """A verdict was given on the case at hand; a second one on it counts anew."""
        self.rest(now_s)
        if 0.0 < self.spent_s <= LONGEST_S:
            self.times_s = [*self.times_s, self.spent_s][-NUM_KEPT:]
        self.begin(now_s)


@dataclass(frozen=True)
class Writing:
    """A correction that the panel is writing to a file.

    Args:
        identity: The proposal that was changed.
        edit: Which change is written; what is drawn later is another one.
    """

    identity: ProposalIdentity
    edit: int


@dataclass
class ReviewFacts:
    """Where the review stands.

    Args:
        shown: The case whose files were handed to the panel, or empty.
        is_on_screen: Whether the panel has said that it is in the views.
        files: From which the shown case is shown.
        round_key: The round that was the newest when it was shown.
        wanted: The case that is being made ready, or empty.
        asked: The case whose files the service is making now, or empty.
        asked_round: The round that was asked for with it.
        round_index: The round that is looked at; None for the newest.
        is_edited: Whether what is shown was changed and not saved.
        edit: Grows with every change that was told.
        has_correction: Whether a saved correction is on the screen in place of the proposal.
        writing: The correction that the panel is writing, or None.
        after_saving: What the person wants to do once the verdict is on disk, or None.
        extent: What of a correction shall count.
        preview: What of the changes would count, or None.
        preview_edit: The change that `preview` looked at.
        preview_wanted: The newest file to look at while an older one is looked at, or None.
        is_previewing: Whether the service is looking at a file.
        looked_at: The proposals that were in the views in this session.
        saving: Cases whose verdict is not yet confirmed.
        goes_on: Whether the next case is shown by itself after a verdict.
        pace: How long people look at a case here.
    """

    shown: str = ""
    is_on_screen: bool = False
    files: CaseFiles | None = None
    round_key: RoundKey = (None, False, None)
    wanted: str = ""
    asked: str = ""
    asked_round: int | None = None
    round_index: int | None = None
    is_edited: bool = False
    edit: int = 0
    has_correction: bool = False
    writing: Writing | None = None
    after_saving: Callable[[], None] | None = None
    extent: TruthExtent = TruthExtent.CHANGED_SLICES
    preview: CorrectionPreview | None = None
    preview_edit: int = -1
    preview_wanted: tuple[str, tuple[int, ...], int] | None = None
    is_previewing: bool = False
    looked_at: set[ProposalIdentity] = field(default_factory=set)
    saving: set[str] = field(default_factory=set)
    goes_on: bool = True
    pace: Pace = field(default_factory=Pace)

    @property
    def identity(self) -> ProposalIdentity | None:
        """The proposal that is shown, or None."""
        return self.files.identity if self.files else None

    @property
    def fresh_preview(self) -> CorrectionPreview | None:
        """What of the changes would count, if that is about what is on the screen now."""
        is_fresh = (
            self.preview is not None
            and self.is_edited
            and self.preview.proposal == self.identity
            and self.preview_edit == self.edit
        )
        return self.preview if is_fresh else None

    def let_go(self) -> str:
        """Show no case any more; return the one that was shown, or an empty text."""
        left, self.shown = self.shown, ""
        self.files, self.is_on_screen, self.round_key = None, False, (None, False, None)
        self.is_edited = self.has_correction = False
        self.edit += 1  # nothing that was said about the case before is about the next one
        self.writing = self.after_saving = self.preview = self.preview_wanted = None
        self.extent = TruthExtent.CHANGED_SLICES
        return left

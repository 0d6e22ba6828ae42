"""Times, sizes, doubts and states as a person reads them."""

import json
from dataclasses import fields, is_dataclass
from enum import Enum

from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.project_view import CaseState, CaseView

GIGABYTE = 1e9


def about_time(seconds: float) -> str:
    """Return "less than a minute", "about 3 min" or "about 2 h 10 min"."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return _("less than a minute")
    if minutes < 60:
        return _("about {minutes} min").format(minutes=minutes)
    return _("about {hours} h {minutes} min").format(hours=minutes // 60, minutes=minutes % 60)


def time_left(seconds: float | None) -> str:
    """Return "about 3 min left", or nothing while there is no estimate."""
    return "" if seconds is None else _("{time} left").format(time=about_time(seconds))


def counted(number: int, one: str, many: str) -> str:
    """Return the text for one thing, or that for several with their number as {count}."""
    return one if number == 1 else many.format(count=f"{number:,}")


def gigabytes(num_bytes: int) -> str:
    """Return a size in GB."""
    size = num_bytes / GIGABYTE
    return _("{size} GB").format(size=f"{size:.0f}" if size >= 10 else f"{size:.1f}")


def printable(text: str) -> str:
    """Return a text from elsewhere with "?" for what is not seen or turns the direction of text."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def percent(fraction: float | None) -> str:
    """Return a fraction as "42 %", or nothing."""
    return "" if fraction is None else f"{100 * fraction:.0f} %"


def dice(value: float | None) -> str:
    """Return a Dice as "0.873", or nothing."""
    return "" if value is None else f"{value:.3f}"


def state_words(state: CaseState) -> str:
    """Return how far a case has come."""
    return {
        CaseState.ANNOTATED: _("annotated"),
        CaseState.VALIDATING: _("validation"),
        CaseState.IGNORED: _("ignored"),
        CaseState.WAITING: _("not segmented yet"),
        CaseState.PROPOSED: _("to review"),
        CaseState.REJECTED: _("rejected"),
        CaseState.PARTLY_REVIEWED: _("partly reviewed"),
        CaseState.ACCEPTED: _("accepted"),
        CaseState.CORRECTED: _("corrected"),
    }[state]


def role_words(role: CaseRole) -> str:
    """Return what a case is used for."""
    return {
        CaseRole.ANNOTATED: _("annotated"),
        CaseRole.UNLABELLED: _("unlabelled"),
        CaseRole.VALIDATION: _("validation"),
        CaseRole.IGNORED: _("ignored"),
    }[role]


def verdict_words(verdict: Verdict | None) -> str:
    """Return a verdict, or nothing."""
    words = {
        Verdict.ACCEPTED: _("accepted"),
        Verdict.CORRECTED: _("corrected"),
        Verdict.REJECTED: _("rejected"),
    }
    return words[verdict] if verdict is not None else ""


def verdict_of_case(case: CaseView) -> str:
    """Return the verdict on the newest proposal, or else that of an earlier round with its number.

    What was drawn or accepted in an earlier round still counts.
    """
    if case.verdict is not None or case.last_verdict is None or case.last_verdict_round is None:
        return verdict_words(case.verdict)
    words = {
        Verdict.ACCEPTED: _("accepted in round {index}"),
        Verdict.CORRECTED: _("corrected in round {index}"),
        Verdict.REJECTED: _("rejected in round {index}"),
    }
    return words[case.last_verdict].format(index=case.last_verdict_round)


def round_words(state: RoundState, *, is_at_work: bool = False) -> str:
    """Return how far a round has come.

    Args:
        state: Its state.
        is_at_work: Whether a worker is at it.
    """
    at_work = {
        RoundState.TRAINING: _("being trained"),
        RoundState.PSEUDO_LABELLING: _("making proposals"),
    }
    if is_at_work and state in at_work:
        return at_work[state]
    return {
        RoundState.TRAINING: _("interrupted in training"),
        RoundState.PSEUDO_LABELLING: _("interrupted while proposing"),
        RoundState.IN_REVIEW: _("in review"),
        RoundState.CLOSED: _("done"),
    }[state]


def named_settings(config: object, prefix: str = "") -> dict[str, str]:
    """Return every setting under its full name, such as "training.seed", as a text."""
    named: dict[str, str] = {}
    assert is_dataclass(config)
    for setting in fields(config):
        value = getattr(config, setting.name)
        name = prefix + setting.name
        if is_dataclass(value):
            named |= named_settings(value, f"{name}.")
        else:
            named[name] = _as_text(value)
    return named


def _as_text(value: object) -> str:
    """Return a setting as it can be given back to `change_setting`."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        return value
    listed = (
        [item.value if isinstance(item, Enum) else item for item in value]
        if isinstance(value, tuple)
        else value
    )
    return json.dumps(listed, ensure_ascii=False)


def format_words(format_: SegmentationFormat) -> str:
    """Return what a format of segmentations is called."""
    return {
        SegmentationFormat.SEG_NRRD: _("Slicer segmentation (.seg.nrrd)"),
        SegmentationFormat.NIFTI: _("NIfTI label map (.nii.gz)"),
    }[format_]

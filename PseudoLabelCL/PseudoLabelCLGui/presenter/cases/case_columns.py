"""The columns of the table of cases, and what is said over its lines."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PseudoLabelCLGui.presenter.words import (
    counted,
    percent,
    role_words,
    state_words,
    verdict_of_case,
)
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.messages.project_view import CaseView


@dataclass(frozen=True)
class CaseColumn:
    """One column: its title, and its text for a case."""

    title: str
    text: Callable[[CaseView], str]


def case_columns(channels: tuple[str, ...] = ()) -> tuple[CaseColumn, ...]:
    """Return the columns from left to right; one without any text is not shown.

    Args:
        channels: What the images of each case are called; empty for one unnamed image.
    """
    return (
        CaseColumn(_("Volume"), lambda case: case.id),
        CaseColumn(_("Role"), _role),
        CaseColumn(_("State"), _state),
        CaseColumn(_("Doubt"), lambda case: percent(case.doubt)),
        CaseColumn(_("Images"), lambda case: _images(case, channels)),
    )


def case_tip(case: CaseView) -> str:
    """Return what is said over the line of a case."""
    size = " x ".join(f"{mm:.3g}" for mm in case.case.geometry.spacing_mm)
    voxels = _("voxels of {size} mm").format(size=size)
    lines = [case.image, f"{_num_slices(case)}, {voxels}"]
    if case.image_is_missing:
        lines.append(_("The volume cannot be found: is its drive connected?"))
    lines += [f"{one.channel}: {one.image}" for one in case.case.further_images]
    if case.missing_channels:
        words = _("Missing: the {channels} image. Add it with a right click.")
        lines.append(words.format(channels=", ".join(case.missing_channels)))
    if not case.is_from_dicom:
        lines.append(_("Not from DICOM: export it as NRRD, NIfTI or a new DICOM series."))
    if case.case.is_partly_drawn:
        words = _("Only the drawn slices count ({counting}); the others get proposals.")
        lines.append(words.format(counting=_num_drawn_slices(case)))
    if case.reason:
        lines.append(translated(case.reason))
    if case.annotation:
        lines.append(_("Segmentation: {file}").format(file=Path(case.annotation).name))
    return "\n".join(lines)


def _images(case: CaseView, channels: tuple[str, ...]) -> str:
    """Return which images a case has, and which it lacks; nothing for one unnamed image."""
    there = ", ".join(name for name in channels if name not in case.missing_channels)
    if not case.missing_channels:
        return there
    missing = ", ".join(case.missing_channels)
    return _("{images}; {missing} missing").format(images=there, missing=missing)


def _role(case: CaseView) -> str:
    role = role_words(case.role)
    return f"{role}: {_num_drawn_slices(case)}" if case.case.is_partly_drawn else role


def _state(case: CaseView) -> str:
    """Return the verdict on a case, or its state, unless that only repeats its role."""
    state = _("volume is missing") if case.image_is_missing else state_words(case.state)
    state = verdict_of_case(case) or state
    return "" if state == role_words(case.role) else state


def _num_slices(case: CaseView) -> str:
    return counted(case.num_slices, _("1 slice"), _("{count} slices"))


def _num_drawn_slices(case: CaseView) -> str:
    drawn = len(case.case.drawn_slices or ())
    return _("{drawn} of {slices}").format(drawn=drawn, slices=_num_slices(case))

"""What would stop or surprise a DICOM export, found before anything is written, with its remedy."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.curation.export.dicom_series_of_case import is_from_dicom
from PseudoLabelCLLib.curation.export.dicom_source_grid import OnSourceGrid
from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError, VolumeError
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.segmentation import Code, LabelClass, LabelSchema, Terminology
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.messages.answers import ExportFix
from PseudoLabelCLLib.storage.dicom.segment import LONGEST_LABEL, clean_text
from PseudoLabelCLLib.storage.segments.terminology_list import in_words, propose_terminology

_MOST_PROPOSED = 3
# The identifiers of DICOM's coding schemes; the value of a code is one word.
_SCHEME = re.compile(r"[0-9A-Za-z_.-]{1,16}")
_CODE = re.compile(r"[^\s\\]{1,64}")


@dataclass(frozen=True)
class ExportFinding:
    """One thing that a person should know or fix before an export.

    Args:
        case_id: Which case; None where it concerns all.
        problem: What was found, in a sentence.
        remedy: What to do, or empty.
        stops: Whether nothing is written for the case (or at all) until it is fixed.
        fix: What a button of a user interface can do about it.
        label_value: Which label it concerns, or None.
    """

    case_id: str | None
    problem: Text
    remedy: Text = NO_TEXT
    stops: bool = True
    fix: ExportFix = ExportFix.NONE
    label_value: int | None = None


def label_findings(schema: LabelSchema) -> tuple[ExportFinding, ...]:
    """Return what is wrong with the labels of a project for DICOM."""
    own = tuple(
        replace(finding, label_value=label.value)
        for label in schema
        for finding in _label_findings(label)
    )
    return (*own, *_alike(schema))


def grid_findings(
    case_id: str, placed: OnSourceGrid, schema: LabelSchema, *, accept_losses: bool
) -> tuple[ExportFinding, ...]:
    """Return what is lost on the grid of the series, and which structures are empty."""
    if not any(placed.num_voxels):
        return (
            ExportFinding(
                case_id,
                Text(
                    "The segmentation of case '{case}' is empty; a DICOM segmentation cannot be.",
                    case=case_id,
                ),
                Text("Leave this case out."),
            ),
        )
    found = [
        ExportFinding(
            case_id,
            Text("Case '{case}': {found}", case=case_id, found=loss),
            NO_TEXT
            if accept_losses
            else Text("Confirm that these voxels may change, or segment the series itself."),
            stops=not accept_losses,
            fix=ExportFix.NONE if accept_losses else ExportFix.ACCEPT_LOSSES,
        )
        for loss in placed.losses
    ]
    found += [
        ExportFinding(
            case_id,
            Note.EMPTY_IN_OBJECT.say(case=case_id, label=name),
            stops=False,
        )
        for name in placed.empty_segments(schema)
    ]
    return tuple(found)


def error_finding(root: Path, case: Case, error: PseudoLabelCLError) -> ExportFinding:
    """Return what it means for an export that a case or its series cannot be used."""
    fix = ExportFix.NONE
    if isinstance(error, VolumeError):
        fix = ExportFix.FIND_SERIES if is_from_dicom(root, case) else ExportFix.NOT_FROM_DICOM
    return ExportFinding(case.id, error.message, error.remedy, fix=fix)


def _alike(schema: LabelSchema) -> Iterator[ExportFinding]:
    """Find labels whose names become one in DICOM."""
    by_name: dict[str, list[LabelClass]] = {}
    for label in schema:
        by_name.setdefault(clean_text(label.name).casefold(), []).append(label)
    for alike in by_name.values():
        if len(alike) > 1:
            names = ", ".join(f"'{label.name}'" for label in alike)
            yield ExportFinding(
                None,
                Text(
                    "The structures {names} would all be called '{short}': DICOM keeps "
                    "one line of {most} characters of a name, and theirs are the "
                    "same.",
                    names=names,
                    short=clean_text(alike[0].name),
                    most=LONGEST_LABEL,
                ),
                Text("Shorten or change their names so that these characters differ."),
                label_value=alike[0].value,
            )


def _label_findings(label: LabelClass) -> Iterator[ExportFinding]:
    if not clean_text(label.name):
        yield ExportFinding(
            None,
            Text(
                "The name of the structure with label value {value} has no readable character.",
                value=label.value,
            ),
        )
    elif clean_text(label.name) != label.name:
        yield ExportFinding(
            None,
            Text(
                "The structure '{structure}' will be called '{short}': DICOM allows "
                "one line of at most {most} characters without a backslash.",
                structure=label.name,
                short=clean_text(label.name),
                most=LONGEST_LABEL,
            ),
            Text("Shorten its name if you prefer another one."),
            stops=False,
        )
    terms = label.chosen_terms
    if terms is None:
        default = (
            Text(": Slicer gives 'Tissue' to every new segment") if label.terminology else NO_TEXT
        )
        yield ExportFinding(
            None,
            Text(
                "The structure '{structure}' has no terminology codes{more}.",
                structure=label.name,
                more=default,
            ),
            _proposed(label),
            fix=ExportFix.CHOOSE_CODES,
        )
    else:
        yield from _code_findings(label.name, terms)


def _code_findings(name: str, terms: Terminology) -> Iterator[ExportFinding]:
    for code in _codes_of(terms):
        if problem := _code_problem(code):
            yield ExportFinding(
                None,
                Text(
                    "The structure '{structure}' has the code '{code}', which {problem}.",
                    structure=name,
                    code=code.meaning,
                    problem=problem,
                ),
                Text("Choose its terminology again."),
                fix=ExportFix.CHOOSE_CODES,
            )


def _proposed(label: LabelClass) -> Text:
    words = [in_words(terms) for terms in propose_terminology(label.name)[:_MOST_PROPOSED]]
    if not words:
        return Text("Choose its terminology in the project's structures.")
    return Text(
        "Choose its terminology in the project's structures; similar terms: {terms}.",
        terms="; ".join(words),
    )


def _codes_of(terms: Terminology) -> Iterator[Code]:
    codes = (terms.category, terms.type, terms.type_modifier, terms.region, terms.region_modifier)
    return (code for code in codes if code is not None)


def _code_problem(code: Code) -> Text:
    if not _SCHEME.fullmatch(code.scheme):
        return Text("names no coding scheme that DICOM can hold ({scheme!r})", scheme=code.scheme)
    if not _CODE.fullmatch(code.value):
        return Text("has no value that DICOM can hold ({code!r})", code=code.value)
    if not code.meaning or clean_text(code.meaning) != code.meaning:
        return Text(
            "has no meaning of 1 to {most} plain characters",
            most=LONGEST_LABEL,
        )
    return NO_TEXT

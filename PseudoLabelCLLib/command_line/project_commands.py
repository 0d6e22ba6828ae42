"""Commands that change or show a project without a worker: create, add, status, review, export."""

import argparse
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PseudoLabelCLLib.command_line.case_arguments import case_rows
from PseudoLabelCLLib.command_line.channel_arguments import show_channels
from PseudoLabelCLLib.command_line.console import Console, for_shell, waiting_proposals
from PseudoLabelCLLib.command_line.settings import config_from_arguments, schema_from_arguments
from PseudoLabelCLLib.command_line.with_noun import with_noun
from PseudoLabelCLLib.curation.cases.add_or_annotate import (
    add_or_annotate,
    files_to_come,
    undo_adding,
)
from PseudoLabelCLLib.curation.cases.counting_slices import choose_counting_slices
from PseudoLabelCLLib.curation.cases.new_project import made_aside
from PseudoLabelCLLib.curation.cases.starting_model import start_from_model
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.export.export_segmentations import export_segmentations
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.curation.review.proposals import cases_awaiting_review, proposals_so_far
from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.errors import ProjectError, ProjectInUseError
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import LeftOutError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import JsonValue, to_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import (
    COMMAND_LINE,
    TRAINING_COMMAND,
    is_held_by,
    project_lock,
)
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project

_SLICE_LIST = re.compile("([0-9]{1,9})(?:-([0-9]{1,9}))?")


def create(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Make a project with its cases; nothing is left behind if a case is unfit."""
    root = Path(arguments.project)
    project = make_project(root, arguments, console)
    console.say(f"Created '{root}' with {_counted_roles(project)}.")
    for line in _next_steps(root, project):
        console.say(line)
    return status_of(root, project)


def make_project(root: Path, arguments: argparse.Namespace, console: Console) -> Project:
    """Make the project that arguments describe, whole or not at all."""
    rows = case_rows(arguments, console)
    if not any(row.role in (CaseRole.ANNOTATED, CaseRole.UNLABELLED) for row in rows):
        raise ProjectError(
            Text(
                "The project has no annotated volume and no unlabelled one; there is "
                "nothing to learn from."
            ),
            Text("Name volumes with --annotated VOLUME SEGMENTATION or --unlabelled VOLUME."),
        )
    project = Project(
        name=arguments.name or root.absolute().name,
        schema=schema_from_arguments(arguments.labels, rows, arguments.answers),
        config=config_from_arguments(arguments.profile, arguments.settings, arguments.preset),
        channels=arguments.channels,
    )
    with made_aside(root) as aside:
        create_project(aside, project)
        project = _add_all(aside, project, rows, console)
        if arguments.start_from is not None:
            project = start_from_model(aside, project, Path(arguments.start_from))
    return project


def add(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Add cases to a project."""
    root = Path(arguments.project)
    rows = case_rows(arguments, console, load_project(root))
    if not rows:
        raise ProjectError(
            Text("No volume was given."),
            Text("Use --annotated, --validation, --unlabelled or --table."),
        )
    with opened(root) as before:
        new_files = files_to_come(ProjectLayout(root), before, rows)
        try:
            project = _add_all(root, before, rows, console)
        except BaseException:
            undo_adding(root, before, new_files)
            raise
    console.say(f"'{root}' now has {_counted_roles(project)}.")
    for line in _next_steps(root, project) if project.latest_round is None else ():
        console.say(line)
    return status_of(root, project)


def status(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Show cases, rounds and what comes next."""
    root = Path(arguments.project)
    project = load_project(root)
    console.say(f"{project.name}: {_counted_roles(project)}")
    console.say(f"Structures: {', '.join(project.schema.names)}")
    for line in show_channels(project):
        console.say(line)
    if project.start is not None:
        console.say(project.start.sentence(project.schema))
    for round_ in project.rounds:
        console.say(
            f"Round {round_.index}: {round_.state.value}; {round_.num_truth_cases} human, "
            f"{round_.num_pseudo_cases} pseudo-labelled, {round_.num_left_out_cases} left out"
        )
    for line in _waiting_lines(root, project):
        console.say(line)
    console.say(plan_next_round(project).sentence)
    told = status_of(root, project)
    if arguments.check:
        findings = check_cases(root, project)
        for finding in findings:
            console.say(f"  {finding.severity}: {finding.sentence}")
        if not findings:
            console.say("Every volume looks fit for training.")
        told["findings"] = [to_json(finding) for finding in findings]
    return told


def _waiting_lines(root: Path, project: Project) -> list[str]:
    so_far, waiting = proposals_so_far(root, project), cases_awaiting_review(root, project)
    lines = [] if so_far is None else [str(so_far.sentence)]
    return [*lines, waiting_proposals(len(waiting), root)] if waiting else lines


def slices(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Choose which slices of annotated cases count."""
    root = Path(arguments.project)
    with opened(root) as project:
        changed = choose_counting_slices(root, project, arguments.cases, only_drawn=arguments.drawn)
    told: list[JsonValue] = []
    for case_id in arguments.cases:
        case, number = changed.case(case_id), changed.num_slices_of(case_id)
        drawn = number if case.drawn_slices is None else len(case.drawn_slices)
        console.say(f"Case '{case.id}': {drawn} of {with_noun(number, 'slice')} count.")
        told.append({"case": case.id, "slices": None if drawn == number else drawn})
    return told


def export(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Write the segmentations a person confirmed."""
    root = Path(arguments.project)
    exported = export_segmentations(
        root,
        load_project(root),
        Path(arguments.output),
        SegmentationFormat(arguments.format),
        case_ids=arguments.cases,
        include_unreviewed=arguments.include_unreviewed,
    )
    rows = [(item.case_id, item.source, item.path.name) for item in exported]
    console.table(("case", "source", "file"), rows)
    console.say(f"{with_noun(len(exported), 'segmentation')} written to '{arguments.output}'.")
    return [{"case": case, "source": source, "file": file} for case, source, file in rows]


@contextmanager
def opened(root: Path) -> Iterator[Project]:
    """The project, while no other user interface may change it."""
    load_project(root)
    with project_lock(ProjectLayout(root).lock, COMMAND_LINE):
        yield load_project(root)


@contextmanager
def opened_for_review(root: Path) -> Iterator[Project]:
    """The same; a command line that trains may have it meanwhile, as it waits for its worker only.

    Raises:
        ProjectInUseError: Another user interface has the project open.
    """
    load_project(root)
    layout = ProjectLayout(root)
    with ExitStack() as held:
        try:
            held.enter_context(project_lock(layout.lock, COMMAND_LINE))
        except ProjectInUseError:
            if not is_held_by(layout.lock, TRAINING_COMMAND):
                raise
        yield load_project(root)


def _add_all(root: Path, project: Project, rows: list[NewCase], console: Console) -> Project:
    for number, row in enumerate(rows, start=1):
        try:
            project, notices = add_or_annotate(root, project, row)
        except LeftOutError as left_out:
            notices = (left_out.message,)
        for notice in notices:
            console.warn(f"{row.case_id}: {notice}")
        console.progress(Text("Reading volumes"), number, len(rows))
    return project


def _next_steps(root: Path, project: Project) -> list[str]:
    """What can be done with a project before round 0."""
    shown = for_shell(root)
    if project.cases_with_role(CaseRole.ANNOTATED):
        return [f"Next: pseudolabelcl train {shown}"]
    steps = []
    if project.config.pretraining.method is not Pretraining.NONE:
        steps.append(f"Pre-training needs no segmentation: pseudolabelcl pretrain {shown}")
    annotate = f"pseudolabelcl add {shown} --annotated VOLUME SEGMENTATION"
    return [*steps, f"Before round 0, segment one of the volumes and add it: {annotate}"]


def _counted_roles(project: Project) -> str:
    counts = [(role, len(project.cases_with_role(role))) for role in CaseRole]
    return ", ".join(f"{number} {role.value}" for role, number in counts if number) or "no cases"


def status_of(root: Path, project: Project) -> dict[str, JsonValue]:
    """Return the description of a project as JSON."""
    latest, so_far = project.latest_round, proposals_so_far(root, project)
    return {
        "project": str(root),
        "name": project.name,
        "labels": list(project.schema.names),
        "cases": {case.id: case.role.value for case in project.cases},
        "channels": list(project.channels),
        "missing_channels": {
            case.id: list(missing)
            for case in project.cases
            if (missing := project.missing_channels(case))
        },
        "rounds": [to_json(round_) for round_ in project.rounds],
        "awaiting_review": [case.id for case in cases_awaiting_review(root, project)],
        "proposals_so_far": None if so_far is None else to_json(so_far),
        "latest_report": str(ProjectLayout(root).report(latest.index)) if latest else None,
        "next": plan_next_round(project).sentence,
    }

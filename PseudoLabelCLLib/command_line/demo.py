"""The whole loop on synthetic hearts: three rounds, a simulated review, an export, a table."""

import argparse
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from PseudoLabelCLLib.command_line.console import Console, format_seconds
from PseudoLabelCLLib.command_line.job_commands import show_quality
from PseudoLabelCLLib.command_line.show_job import run_job_shown
from PseudoLabelCLLib.command_line.with_noun import with_noun
from PseudoLabelCLLib.curation.cases.add_cases import add_case
from PseudoLabelCLLib.curation.export.export_segmentations import export_segmentations
from PseudoLabelCLLib.curation.review.proposals import newest_proposal
from PseudoLabelCLLib.curation.review.review_cases import accept, correct, reject, review_queue
from PseudoLabelCLLib.curation.samples.sample_data import (
    SampleCase,
    phantom_schema,
    write_sample_cases,
)
from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.config import Profile, ProjectConfig
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume, array_axis
from PseudoLabelCLLib.messages.jobs import DeviceChoice, EvaluateJob, EvaluationPair, Job, TrainJob
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.process.job_files import new_job_id
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

NUM_JOINT_ROUNDS = 2
# The simulated clinician has time for so many cases between two rounds.
REVIEWS_PER_ROUND = 3
GOOD_DICE = 0.9
USELESS_DICE = 0.3
# Slices corrected in a case that is neither good nor useless.
CORRECTED_SLICES = 3


def demo(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Run the loop on phantoms and return the table of Dice per round."""
    start = time.monotonic()
    folder = Path(arguments.folder or _free_name()).absolute()
    if folder.exists() and any(folder.iterdir()):
        raise ProjectError(
            Text("'{folder}' exists already and is not empty.", folder=folder),
            Text("Name another folder for the demo."),
        )
    console.say("Making 13 hearts: 1 annotated, 8 unlabelled, 4 with hidden truth for the table.")
    samples = write_sample_cases(folder / "data", arguments.seed)
    root = folder / "project"
    _create(root, samples)
    device = DeviceChoice(arguments.device)
    for round_index in range(NUM_JOINT_ROUNDS + 1):
        _run(root, TrainJob(str(root), device=device), console)
        if round_index < NUM_JOINT_ROUNDS:
            _review(root, samples, console)
    result = _run(root, _evaluation(root, samples, device), console)
    exported = export_segmentations(
        root, load_project(root), folder / "segmentations", include_unreviewed=True
    )
    shutil.copyfile(ProjectLayout(root).model(NUM_JOINT_ROUNDS), folder / "model.plcl")
    console.say(f"\nDice on {len(_of_kind(samples, 'test'))} hearts that no training has seen:")
    show_quality(result, console)
    console.say(f"\n{with_noun(len(exported), 'segmentation')}: {folder / 'segmentations'}")
    console.say(f"Report: {ProjectLayout(root).report(NUM_JOINT_ROUNDS)}")
    console.say(f"Done in {format_seconds(time.monotonic() - start)}.")
    return result


def _free_name() -> str:
    """The first of demo-output, demo-output-2, ... that is not there."""
    names = ("demo-output", *(f"demo-output-{n}" for n in range(2, 1000)))
    return next(name for name in names if not Path(name).exists())


def demo_config() -> ProjectConfig:
    """Return the quick profile, shortened for small synthetic hearts."""
    quick = config_for(Profile.QUICK)
    training = quick.training
    return replace(
        quick,
        preprocess=replace(quick.preprocess, in_plane_spacing_mm=2.0, window_size=(96, 96)),
        training=replace(
            training,
            supervised=replace(training.supervised, num_steps=240),
            joint=replace(training.joint, num_steps=150),
        ),
    )


def _create(root: Path, samples: Sequence[SampleCase]) -> None:
    project = Project("Demo", phantom_schema(), demo_config())
    create_project(root, project)
    for sample in samples:
        if sample.kind != "test":
            role = CaseRole.ANNOTATED if sample.annotation else CaseRole.UNLABELLED
            annotation = str(sample.annotation) if sample.annotation else None
            new = NewCase(sample.case_id, role, str(sample.image), annotation=annotation)
            project, _ = add_case(root, project, new)


def _run(root: Path, job: Job, console: Console) -> dict[str, JsonValue]:
    return run_job_shown(job, ProjectLayout(root).job_folder(new_job_id(job)), console)


def _review(root: Path, samples: Sequence[SampleCase], console: Console) -> None:
    """Judge the most doubtful proposals as a clinician would who knows the truth."""
    project = load_project(root)
    truth = {sample.case_id: sample.truth for sample in samples}
    console.say("Simulated review, most doubtful first:")
    for item in review_queue(root, project)[:REVIEWS_PER_ROUND]:
        proposal, right = _proposal_and_truth(root, project, item.case_id, truth[item.case_id])
        dice = _mean_dice(proposal, right, project)
        shown = newest_proposal(root, project, item.case_id)
        if dice >= GOOD_DICE:
            project = accept(root, project, shown)
        elif dice < USELESS_DICE:
            project = reject(root, project, shown)
        else:
            file = root.parent / "corrections" / f"{item.case_id}.seg.nrrd"
            axis = array_axis(project.slicing_axis_of(item.case_id))
            corrected = _with_worst_slices_corrected(proposal, right, axis)
            write_segmentation(file, corrected, project.schema)
            project = correct(root, project, shown, file)
        review = project.reviews_of(item.case_id)[-1]
        number = len(review.truth_slices or ())
        slices = f" ({number} slice{'' if number == 1 else 's'})" if number else ""
        console.say(
            f"  {item.case_id}: doubt {item.doubt:.2f}, Dice {dice:.2f}: "
            f"{review.verdict.value}{slices}"
        )


def _proposal_and_truth(
    root: Path, project: Project, case_id: str, truth: Path
) -> tuple[LabelVolume, LabelVolume]:
    latest = project.latest_round
    index = latest.index if latest is not None else 0
    proposal = ProjectLayout(root).proposal(index, case_id)
    return (
        read_segmentation(proposal, project.schema)[0],
        read_segmentation(truth, project.schema)[0],
    )


def _mean_dice(proposal: LabelVolume, truth: LabelVolume, project: Project) -> float:
    scores = []
    for value in project.schema.values:
        ours, theirs = proposal.array == value, truth.array == value
        scores.append(2 * int((ours & theirs).sum()) / max(1, int(ours.sum() + theirs.sum())))
    return sum(scores) / len(scores)


def _with_worst_slices_corrected(
    proposal: LabelVolume, truth: LabelVolume, axis: int
) -> LabelVolume:
    """The proposal with the truth on the slices that differ most."""
    wrong = np.moveaxis(proposal.array != truth.array, axis, 0).sum(axis=(1, 2))
    corrected = proposal.array.copy()
    worst = np.argsort(wrong)[-CORRECTED_SLICES:]
    np.moveaxis(corrected, axis, 0)[worst] = np.moveaxis(truth.array, axis, 0)[worst]
    return LabelVolume(corrected, proposal.geometry)


def _evaluation(root: Path, samples: Sequence[SampleCase], device: DeviceChoice) -> EvaluateJob:
    pairs = tuple(
        EvaluationPair(sample.case_id, str(sample.image), str(sample.truth))
        for sample in _of_kind(samples, "test")
    )
    return EvaluateJob(project=str(root), pairs=pairs, device=device)


def _of_kind(samples: Sequence[SampleCase], kind: str) -> list[SampleCase]:
    return [sample for sample in samples if sample.kind == kind]

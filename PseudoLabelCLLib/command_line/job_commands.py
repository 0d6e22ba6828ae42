"""Commands that a worker does: pretrain, train, predict, evaluate, doctor."""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from PseudoLabelCLLib.command_line.channel_arguments import Images, images_of
from PseudoLabelCLLib.command_line.console import (
    Console,
    for_shell,
    format_seconds,
    waiting_proposals,
)
from PseudoLabelCLLib.command_line.show_job import run_job_shown
from PseudoLabelCLLib.curation.cases.case_csv import case_id_from_path, read_case_table
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.errors import ProjectError, StorageError
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import GivenAnswer
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.jobs import (
    DeviceChoice,
    DoctorJob,
    EvaluateJob,
    EvaluationPair,
    Job,
    PredictJob,
    PretrainJob,
    TrainJob,
)
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.process.job_files import JOB_FILE_NAME, new_job_id, write_job
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import (
    COMMAND_LINE,
    TRAINING_COMMAND,
    project_lock,
)
from PseudoLabelCLLib.storage.project.project_store import foreign_parts, load_project
from PseudoLabelCLLib.storage.project.provenance import is_news

# Stands for the series of a volume that needs none.
NO_SERIES = "-"


def pretrain(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Pre-train a project's network on its volumes, without any segmentation."""
    root = Path(arguments.project)
    result = run_pretraining(root, arguments, console)
    project = load_project(root)
    shown = for_shell(arguments.project)
    step = (
        f"pseudolabelcl train {shown}"
        if project.cases_with_role(CaseRole.ANNOTATED)
        else f"segment one of the volumes, then: pseudolabelcl add {shown} --annotated VOLUME "
        "SEGMENTATION"
    )
    console.say(f"Pre-training is done. Next: {step}")
    return result


def run_pretraining(
    folder: Path, arguments: argparse.Namespace, console: Console
) -> dict[str, JsonValue]:
    """Let a worker pre-train the network of the project in a folder."""
    root = folder.absolute()
    project, layout = load_project(root), ProjectLayout(root)
    job = PretrainJob(str(root), DeviceChoice(arguments.device))
    with project_lock(layout.lock, COMMAND_LINE):
        _keep_answers(root, project, arguments.answers)
        return run_job_shown(job, layout.job_folder(new_job_id(job)), console)


def train(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Train the next rounds of a project."""
    root = Path(arguments.project).absolute()
    project = load_project(root)
    foreign = foreign_parts(root, project)
    if is_news(root, foreign):
        console.warn(foreign.sentence)
    layout = ProjectLayout(root)
    job = TrainJob(str(root), arguments.rounds, DeviceChoice(arguments.device), arguments.processes)
    with project_lock(layout.lock, TRAINING_COMMAND):
        _keep_answers(root, project, arguments.answers)
        if arguments.only_write_job:
            return _write_only(job, arguments.only_write_job, console)
        folder = layout.job_folder(new_job_id(job))
        result = run_job_shown(job, folder, console, at_first_proposal=_where_to_review(root))
    console.say(f"Round {result['round']} is ready. Report: {result['report']}")
    if result["awaiting_review"]:
        number = int(str(result["awaiting_review"]))
        console.say(waiting_proposals(number, arguments.project))
    return result


def _where_to_review(root: Path) -> str:
    return (
        "The first proposal is there. Review in another terminal while the others are made: "
        f"pseudolabelcl review {for_shell(root)}"
    )


def predict(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Apply a model to new volumes."""
    patients = _patients(arguments)
    job = PredictJob(
        model=_absolute(arguments.model),
        images=tuple(_absolute(str(one.first)) for one in patients),
        output_folder=_absolute(arguments.output),
        device=DeviceChoice(arguments.device),
        format=SegmentationFormat(arguments.format),
        uncertainty=arguments.uncertainty,
        series_uids=tuple(None if uid == NO_SERIES else uid for uid in arguments.series),
        answers=tuple(arguments.answers),
        further_images=tuple(_absolute_images(one.further) for one in patients),
        processes=arguments.processes,
    )
    if arguments.only_write_job:
        return _write_only(job, arguments.only_write_job, console)
    with _passing_job_folder() as folder:
        result = run_job_shown(job, folder, console)
    for done in _objects(result["segmentations"]):
        console.say(f"{done['output']}  ({done['reason']})")
    return result


def _write_only(job: Job, folder: str, console: Console) -> JsonValue:
    """Write a job that somebody else starts."""
    where = Path(folder).absolute()
    if (where / JOB_FILE_NAME).exists():
        raise StorageError(
            Text("There is a job in '{folder}' already.", folder=where),
            Text("Choose another folder for each job."),
        )
    path = write_job(where, job)
    console.say(f"The job is in {path}. Start it with: torchrun --standalone --nproc-per-node N")
    console.say(f"  -m PseudoLabelCLLib.distributed {for_shell(str(path))}")
    return {"job": str(path)}


def evaluate(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Measure models against references."""
    target = Path(arguments.target)
    if not target.exists():
        raise ProjectError(
            Text("No project folder or model file was found at '{target}'.", target=target),
            Text("Check the path."),
        )
    is_model = target.is_file()
    pairs = _pairs(arguments, _channels_of(target))
    job = EvaluateJob(
        project=None if is_model else _absolute(arguments.target),
        model=_absolute(arguments.target) if is_model else None,
        pairs=tuple(pairs),
        rounds=tuple(arguments.rounds),
        output=_absolute(arguments.output) if arguments.output else None,
        device=DeviceChoice(arguments.device),
        single_prediction=arguments.single,
        answers=tuple(arguments.answers),
    )
    if not is_model:
        load_project(target)
    with _passing_job_folder() as folder:
        result = run_job_shown(job, folder, console)
    show_quality(result, console)
    return result


def _patients(arguments: argparse.Namespace) -> list[Images]:
    """Return the patients that `predict` names, each once."""
    channels = _channels_of(Path(arguments.model))
    found = [images_of(text, channels, arguments.channels) for text in arguments.images]
    if len(channels) < 2:
        return found
    # all images of a patient may have been named, as by p1_*.nii.gz
    return list({one.first.absolute(): one for one in reversed(found)}.values())[::-1]


def _pairs(arguments: argparse.Namespace, channels: tuple[str, ...]) -> list[EvaluationPair]:
    """Return the volumes that `evaluate` names, with their references."""
    pairs = []
    for text, reference in arguments.pair:
        one = images_of(text, channels)
        case_id = one.name or case_id_from_path(one.first)
        pairs.append(_pair(case_id, str(one.first), reference, one.further))
    rows = read_case_table(Path(arguments.table), channels) if arguments.table else ()
    pairs += [
        _pair(row.case_id, row.image, row.annotation, row.further_images)
        for row in rows
        if row.annotation is not None
    ]
    return pairs


def _pair(
    case_id: str, image: str, reference: str, further: Sequence[NamedImage]
) -> EvaluationPair:
    return EvaluationPair(
        case_id,
        _absolute(image),
        _absolute(reference),
        further_images=_absolute_images(further),
    )


def _channels_of(target: Path) -> tuple[str, ...]:
    """Return the channels of a model file or project; none of a file that is not there."""
    if target.is_dir():
        return load_project(target).channels
    if not target.exists():  # the worker says so
        return ()
    # it brings the checks of exports along, which other commands do without
    from PseudoLabelCLLib.curation.export.model_card import read_model_card  # noqa: PLC0415

    return read_model_card(target).channels


def _absolute_images(images: Sequence[NamedImage]) -> tuple[NamedImage, ...]:
    return tuple(replace(image, image=_absolute(image.image)) for image in images)


def doctor(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Tell what this machine can do."""
    with _passing_job_folder() as folder:
        result = run_job_shown(DoctorJob(DeviceChoice(arguments.device)), folder, console)
    versions: Any = result["versions"]
    console.say(f"Python {result['python']} on {result['system']}")
    console.say(", ".join(f"{name} {version}" for name, version in versions.items()))
    console.say(f"Free disk: {result['free_disk_gb']} GB")
    if result["free_device_memory_gb"] is not None:
        console.say(f"Free GPU memory: {result['free_device_memory_gb']} GB")
    round_0, joint = (
        format_seconds(float(str(result[f"minutes_for_quick_{kind}"])) * 60)
        for kind in ("round_0", "joint_round")
    )
    console.say(
        f"Profile 'quick', patches of 128 x 128: about {round_0} for round 0, {joint} for a joint "
        "round."
    )
    return result


def show_quality(result: JsonValue, console: Console) -> None:
    """Show the table of an evaluation: one line a model, Dice of each class and the means."""
    models = _objects(result["models"] if isinstance(result, dict) else None)
    if not models:
        return
    names = [quality["name"] for quality in models[0]["summary"]["classes"]]
    console.table(
        (
            *("model", "cases"),
            *(f"Dice {name}" for name in names),
            *("mean Dice", "sd", "HD95 mm", "ASSD mm", "missed", "invented"),
        ),
        [
            (
                model["name"],
                str(model["summary"]["num_cases"]),
                *(_number(quality["dice"]["mean"], 3) for quality in model["summary"]["classes"]),
                _number(model["summary"]["mean"]["dice"]["mean"], 3),
                _number(model["summary"]["mean"]["dice"]["standard_deviation"], 3),
                _number(model["summary"]["mean"]["hd95_mm"]["mean"], 1),
                _number(model["summary"]["mean"]["assd_mm"]["mean"], 2),
                str(model["summary"]["mean"]["num_missed"]),
                str(model["summary"]["mean"]["num_invented"]),
            )
            for model in models
        ],
    )
    for model in models:
        for quality in model["summary"]["classes"]:
            _say_left_out(model, quality, console)
    definitions: Any = result["definitions"] if isinstance(result, dict) else {}
    for definition in definitions.values():
        console.say(definition)


def _say_left_out(model: dict[str, Any], quality: dict[str, Any], console: Console) -> None:
    """Name a structure that cases missed or invented: its mean distances leave them out."""
    num_missed, num_invented = quality["num_missed"], quality["num_invented"]
    if not num_missed and not num_invented:
        return
    num_cases, num_counted = model["summary"]["num_cases"], quality["hd95_mm"]["num_counted"]
    distances = (
        f"HD95 {_number(quality['hd95_mm']['mean'], 1)} mm, "
        f"ASSD {_number(quality['assd_mm']['mean'], 2)} mm on average of the others"
        if num_counted
        else "no case has a distance"
    )
    console.say(
        f"{model['name']}, {quality['name']}: missed in {num_missed}, invented in {num_invented} "
        f"of {num_cases} case{'' if num_cases == 1 else 's'}; {distances}."
    )


def _objects(value: Any) -> list[dict[str, Any]]:
    return list(value) if isinstance(value, list) else []


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


@contextmanager
def _passing_job_folder() -> Iterator[Path]:
    """A folder for a job that belongs to no project; it goes when the job has ended."""
    with tempfile.TemporaryDirectory(prefix="pseudolabelcl-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "job"


def _keep_answers(root: Path, project: Project, answers: Sequence[GivenAnswer]) -> None:
    """Keep what a person answered about the cases of a project."""
    if answers:
        from PseudoLabelCLLib.curation.cases.answer_questions import (  # noqa: PLC0415 - brings scipy
            keep_answers,
        )

        keep_answers(root, project, answers)

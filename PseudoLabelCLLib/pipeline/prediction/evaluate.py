"""Dice, HD95 and ASSD of every round's model on volumes with a reference."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.curation.cases.choose_frames import ask_about_frames
from PseudoLabelCLLib.curation.check.check_modality import ask_about_modality
from PseudoLabelCLLib.curation.grids.match_grid import is_same_space, matched_to_grid
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.errors import AnnotationError, ProjectError
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer
from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.domain.starting_model import require_segmenting
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_device
from PseudoLabelCLLib.messages.jobs import EvaluateJob, EvaluationPair
from PseudoLabelCLLib.messages.json_codec import JsonValue, to_json
from PseudoLabelCLLib.pipeline.prediction.apply_model import all_images, segment_volume
from PseudoLabelCLLib.pipeline.prediction.measure_quality import (
    DEFINITIONS,
    CaseQuality,
    QualitySummary,
    measure_quality,
    summarise,
)
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel, read_model
from PseudoLabelCLLib.storage.dicom.mark import looks_like_dicom
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, write_json
from PseudoLabelCLLib.storage.images.frames import frames_in, write_frame
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import read_geometry, read_volume


@dataclass(frozen=True)
class MeasuredCase:
    """One volume's agreement with its reference."""

    id: str
    quality: CaseQuality


@dataclass(frozen=True)
class MeasuredModel:
    """One model on all volumes.

    Args:
        name: "round 0", or the model file's name.
        cases: Every volume.
        summary: Mean and spread over them.
    """

    name: str
    cases: tuple[MeasuredCase, ...]
    summary: QualitySummary


def evaluate(job: EvaluateJob, report: Report) -> dict[str, JsonValue]:
    """Measure the job's models and write the table where the job says.

    Raises:
        ProjectError: There is no trained round, or no volume with a reference.
        Cancelled: Asked to stop.
    """
    models = _models(job)
    pairs = job.pairs or _validation_pairs(job)
    answers = job.answers if job.pairs else None
    chosen = choose_device(job.device.value)
    report.notice(chosen.sentence)
    measured = []
    for number, (name, path) in enumerate(models.items()):
        model = read_model(path)
        require_segmenting(path, model.card.num_pretrained_on)
        if job.single_prediction:
            model = _predicting_once(model)
        device = chosen.for_dimension(model.card.preprocess.dimension)
        device.place(model.network)
        cases = []
        for done, pair in enumerate(pairs, start=1):
            if report.is_cancelled():
                raise Cancelled(resumable=False)
            cases.append(MeasuredCase(pair.id, _measure(model, pair, device, answers)))
            report.progress(
                Text("Evaluating"), number * len(pairs) + done, len(models) * len(pairs)
            )
        summary = summarise([case.quality for case in cases])
        measured.append(MeasuredModel(name, tuple(cases), summary))
    told = to_json({"definitions": DEFINITIONS, "models": tuple(measured)})
    if not isinstance(told, dict):
        raise TypeError(f"a mapping becomes a JSON object, got {told!r}")
    if job.output is not None:
        make_folder(Path(job.output).parent)
        write_json(Path(job.output), told)
        report.artifact("evaluation", Path(job.output))
    return told


def _models(job: EvaluateJob) -> dict[str, Path]:
    if job.model is not None:
        return {Path(job.model).name: Path(job.model)}
    root = Path(job.project or "")
    layout = ProjectLayout(root)
    project = load_project(root)
    trained = [r.index for r in project.rounds if layout.model(r.index).exists()]
    wanted = job.rounds or tuple(trained)
    missing = [index for index in wanted if index not in trained]
    if missing or not wanted:
        told = ", ".join(map(str, trained)) or Text("none")
        raise ProjectError(
            Text(
                "This project has no trained round {rounds} (trained: {trained}).",
                rounds=", ".join(map(str, missing)) or Text("yet"),
                trained=told,
            ),
            Text("Run 'train' first, or name another round."),
        )
    return {f"round {index}": layout.model(index) for index in wanted}


def _predicting_once(model: TrainedModel) -> TrainedModel:
    """Return the model without the copies that it averages over."""
    once = replace(model.card.pseudo_label, num_augmented_copies=1)
    return replace(model, card=replace(model.card, pseudo_label=once))


def _validation_pairs(job: EvaluateJob) -> tuple[EvaluationPair, ...]:
    root = Path(job.project or "")
    layout = ProjectLayout(root)
    pairs = tuple(
        EvaluationPair(
            case.id,
            str(layout.resolve(case.image)),
            str(layout.own(case.annotation)),
            case.dicom_series_uid,
            tuple(
                NamedImage(one.channel, str(layout.resolve(one.image)), one.dicom_series_uid)
                for one in case.further_images
            ),
        )
        for case in load_project(root).cases_with_role(CaseRole.VALIDATION)
        if case.annotation is not None
    )
    if not pairs:
        raise ProjectError(
            Text("There is nothing to measure on: the project has no validation case."),
            Text("Name volumes with references, or give a case the role 'validation'."),
        )
    return pairs


def _measure(
    model: TrainedModel,
    pair: EvaluationPair,
    device: ComputeDevice,
    answers: tuple[GivenAnswer, ...] | None,
) -> CaseQuality:
    """Return the agreement with a reference; one of the project (no answers) asks nothing."""
    if answers is None:
        return _measure_volume(model, pair, device, None)
    asking = Asking(pair.id, answers)
    with _one_frame(pair, asking) as single:
        return _measure_volume(model, single, device, asking)


@contextmanager
def _one_frame(pair: EvaluationPair, asking: Asking) -> Iterator[EvaluationPair]:
    """Give the volume that is meant of a file that holds several; its file goes again.

    A reference of as many volumes goes with it.

    Raises:
        VolumeError: A file is damaged.
        QuestionError: A person has to say which is meant.
        LeftOutError: None of them.
    """
    image, reference = Path(pair.image), Path(pair.reference)
    frames = None if pair.series_uid else frames_in(image)
    if frames is None:
        yield pair
        return
    (index,) = ask_about_frames(image, frames, asking, one_only=True, as_cases=False)
    labelled = frames_in(reference)
    with tempfile.TemporaryDirectory(prefix="pseudolabelcl-") as folder:
        image = write_frame(image, index, _new_folder(Path(folder) / "image"))
        if labelled is not None and labelled.number == frames.number:
            reference = write_frame(reference, index, _new_folder(Path(folder) / "reference"))
        yield replace(pair, image=str(image), reference=str(reference))


def _new_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _measure_volume(
    model: TrainedModel, pair: EvaluationPair, device: ComputeDevice, asking: Asking | None
) -> CaseQuality:
    schema = model.card.schema
    image, path = Path(pair.image), Path(pair.reference)
    # objects and structure sets of DICOM need the grid of their image
    near = read_geometry(image, pair.series_uid) if looks_like_dicom(path) else None
    reference, _, _ = read_segmentation(path, schema, near=near, asking=asking)
    volume = read_volume(image, pair.series_uid, reference.geometry)
    if asking is not None:
        ask_about_modality(volume, model.card.preprocess, asking)
    reference = _on_grid(reference, volume, pair, asking)
    volumes, _ = all_images(model, volume, pair.further_images, pair.id)
    prediction = segment_volume(model, volumes, device, case_id=pair.id)
    return measure_quality(prediction.labels, reference, schema)


def _on_grid(
    reference: LabelVolume, volume: Volume, pair: EvaluationPair, asking: Asking | None
) -> LabelVolume:
    """Return a reference on the grid of its volume; it is never resampled."""
    is_asked = asking is not None and reference.geometry.size == volume.geometry.size
    if is_asked or is_same_space(reference.geometry, volume.geometry):
        name = Path(pair.reference).name
        return matched_to_grid(reference, volume.geometry, file_name=name, asking=asking)[0]
    if not reference.geometry.is_close_to(volume.geometry):
        raise AnnotationError(
            Text(
                "The reference '{reference}' has a different grid ({grid1}) from its "
                "volume '{image}' ({grid2}), or lies elsewhere.",
                reference=Path(pair.reference).name,
                grid1=reference.geometry.describe(),
                image=Path(pair.image).name,
                grid2=volume.geometry.describe(),
            ),
            Text("Save the reference again with this volume as its reference image."),
        )
    return reference

"""A trained model applied to new volumes."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.curation.cases.case_csv import case_id_from_path
from PseudoLabelCLLib.curation.cases.choose_frames import ask_about_frames
from PseudoLabelCLLib.curation.check.check_modality import ask_about_modality
from PseudoLabelCLLib.curation.check.image_checks import check_channel, check_image
from PseudoLabelCLLib.curation.find.case_names import fit_name
from PseudoLabelCLLib.curation.find.channel_files import channel_of_file
from PseudoLabelCLLib.curation.grids.case_images import further_on_grid
from PseudoLabelCLLib.curation.grids.image_place import settled_place
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.channels import NamedImage, missing_among, same_channel
from PseudoLabelCLLib.domain.errors import StorageError, VolumeError
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.question import Asking, LeftOutError, Question, QuestionError
from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.domain.starting_model import require_segmenting
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_device
from PseudoLabelCLLib.learning.process_group import ALONE, ProcessGroup
from PseudoLabelCLLib.messages.jobs import (
    PredictJob,
)
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel, read_model
from PseudoLabelCLLib.pipeline.prediction.segment_volume import SegmentedVolume, segment_slices
from PseudoLabelCLLib.pipeline.processes.follow import Task, lead
from PseudoLabelCLLib.pipeline.processes.shared_device import shared_by
from PseudoLabelCLLib.pipeline.processes.shared_work import shared_out
from PseudoLabelCLLib.pipeline.slices.neighbouring_slices import with_neighbours
from PseudoLabelCLLib.pipeline.slices.network_images import network_channels
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.dicom.series_parts import series_and_part
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, remove_leftovers
from PseudoLabelCLLib.storage.images.frames import frames_in, write_frame
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import (
    list_dicom_series,
    read_geometry,
    read_volume,
    write_volume,
)


def apply_model(
    job: PredictJob, report: Report, group: ProcessGroup = ALONE
) -> dict[str, JsonValue]:
    """Segment every volume of the job; nothing that exists is overwritten.

    Raises:
        ModelFileError: The model cannot be used.
        StorageError: A file of that name is there already, or two volumes would take one name.
        VolumeError: A volume cannot be read; if that shows in its voxels only, those before it are
            written.
        QuestionError: A person has to say what is meant; nothing was written.
        Cancelled: Asked to stop between two volumes.
    """
    model = read_model(Path(job.model))
    require_segmenting(Path(job.model), model.card.num_pretrained_on)
    targets = _free_targets(job, model, report, is_begun=group.attempt > 0)
    make_folder(Path(job.output_folder))
    remove_leftovers(Path(job.output_folder), deep=False)
    device = choose_device(job.device.value).for_dimension(model.card.preprocess.dimension)
    device = shared_by(group, device)
    report.notice(device.sentence)
    device.place(model.network)
    kept = _Kept(group)
    left = tuple(target for target in targets if target.output not in kept.results)
    task = SegmentTogether(job, left, device)
    lead(group, task)
    task.segment_own(model, group, report, kept.add)
    return {"segmentations": [kept.results[target.output] for target in targets]}


@dataclass(frozen=True)
class SegmentTogether(Task):
    """The volumes of a job, each segmented by the process that takes it."""

    job: PredictJob
    targets: tuple["_Target", ...]
    device: ComputeDevice

    def follow(self, group: ProcessGroup, report: Report) -> None:
        """Segment those volumes that a process takes which is not the first."""
        model = read_model(Path(self.job.model))
        self.device.place(model.network)
        self.segment_own(model, group, report)

    def segment_own(
        self,
        model: TrainedModel,
        group: ProcessGroup,
        report: Report,
        keep: Callable[[Path, JsonValue], None] = lambda _output, _result: None,
    ) -> None:
        """Segment those volumes that this process takes.

        Raises:
            Cancelled: Asked to stop between two volumes.
        """

        def segment(target: "_Target", report: Report) -> JsonValue:
            return _segment(target, model, self.device, self.job, report)

        def keep_result(number: int, result: JsonValue) -> None:
            keep(self.targets[number].output, result)

        try:
            shared_out(Text("Segmenting"), self.targets, segment, group, report, keep_result)
        except Cancelled:
            raise Cancelled(resumable=False) from None


class _Kept:
    """What is told of each volume that is segmented, kept for the next attempt of a group."""

    def __init__(self, group: ProcessGroup) -> None:
        self.results: dict[Path, JsonValue] = {}
        self._path = None if group.folder is None else group.folder / "segmented.jsonl"
        if self._path is not None and self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                output, result = json.loads(line)
                self.results[Path(output)] = result

    def add(self, output: Path, result: JsonValue) -> None:
        self.results[output] = result
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([str(output), result]) + "\n")


def _segment(
    target: "_Target", model: TrainedModel, device: ComputeDevice, job: PredictJob, report: Report
) -> JsonValue:
    """Segment one volume, write its files, and return what is told of it."""
    with _file_of(Path(target.image), target.frame) as image:
        volume = read_volume(image, target.series_uid, target.near)
        volumes, told = all_images(model, volume, target.further, target.case_id)
        for notice in told:
            report.notice(notice)
        unlike = model.unlike_training(volume.geometry)
        if unlike:
            name = Path(target.image).name
            report.notice(
                Text("'{file}' is unlike the training cases: {reason}.", file=name, reason=unlike),
                warning=True,
            )
        segmented = segment_volume(model, volumes, device, case_id=target.case_id)
        write_segmentation(target.output, segmented.labels, model.card.schema, image)
    report.artifact("frame segmentation" if target.frame else "segmentation", target.output)
    if job.uncertainty:
        write_volume(target.uncertainty, segmented.uncertainty)
        report.artifact("uncertainty", target.uncertainty)
    return {
        "image": target.image, "series_uid": target.series_uid,
        "frame": None if target.frame is None else target.frame + 1,
        "output": str(target.output), "doubt": segmented.doubt.doubt,
        "reason": segmented.doubt.reason,
    }  # fmt: skip


@contextmanager
def _file_of(image: Path, frame: int | None) -> Iterator[Path]:
    """One volume as a file of its own; that file goes again."""
    if frame is None:
        yield image
        return
    with tempfile.TemporaryDirectory(prefix="pseudolabelcl-") as folder:
        yield write_frame(image, frame, Path(folder))


def segment_volume(
    model: TrainedModel, volumes: Sequence[Volume], device: ComputeDevice, *, case_id: str
) -> SegmentedVolume:
    """Segment a patient with a model whose network is on the device.

    Args:
        model: The model.
        volumes: An image for each channel of the model, all on the grid of the first one.
        device: Where the network is.
        case_id: What messages call the image.

    Raises:
        VolumeError: An image is constant, too small, or holds values that are not numbers.
    """
    first, *further = volumes
    settled = model.card.preprocess
    axis = settled.slicing_axis_of(first.geometry)
    check_image(first, case_id=case_id, slicing_axis=axis, role=CaseRole.UNLABELLED)
    for volume, channel in zip(further, model.card.channels[1:], strict=True):
        check_channel(volume, channel, case_id=case_id, axis=axis)
    grid = slice_grid(first, settled, len(volumes))
    kept = network_channels(volumes, grid, settled)
    images = with_neighbours(kept, first.geometry, settled)
    return segment_slices(model, images, grid, first.geometry, device)


def all_images(
    model: TrainedModel, first: Volume, further: Sequence[NamedImage], case_id: str
) -> tuple[tuple[Volume, ...], tuple[Text, ...]]:
    """Read the images of a patient that a model needs, on the grid of the first one.

    Args:
        model: The model.
        first: The first image.
        further: Where the others lie; those that the model does not know are passed over.
        case_id: What messages call the patient.

    Returns:
        One volume for each channel of the model, and what a person should know.

    Raises:
        VolumeError: One is missing, cannot be read, or shows another place.
    """
    channels = model.card.channels
    require_images(model, further, case_id)
    others = []
    for channel in channels[1:]:
        image = next(one for one in further if same_channel(one.channel, channel))
        others.append(read_volume(Path(image.image), image.series_uid))
    placed, notices = further_on_grid(first, others, channels or ("",), case_id)
    return (first, *placed), notices


def require_images(model: TrainedModel, further: Sequence[NamedImage], case_id: str) -> None:
    """Refuse a patient without an image that a model needs.

    Raises:
        VolumeError: One is missing.
    """
    missing = missing_among(model.card.channels[1:], (image.channel for image in further))
    if missing:
        raise VolumeError(
            Text(
                "The model needs {channels} of each patient; of '{case}' there is no {missing} "
                "image.",
                channels=", ".join(model.card.channels),
                case=case_id,
                missing=", ".join(missing),
            ),
            Text("Name that image too."),
        )


@dataclass(frozen=True)
class _Target:
    """A volume of the job, where it lies if its header leaves a choice, and its files.

    The frame counts from 0; None where the file holds one volume.
    """

    image: str
    series_uid: str | None
    case_id: str
    output: Path
    near: Geometry | None = None
    frame: int | None = None
    further: tuple[NamedImage, ...] = ()

    @property
    def uncertainty(self) -> Path:
        return self.output.with_name(f"{self.case_id}_uncertainty.nrrd")


def _free_targets(
    job: PredictJob, model: TrainedModel, report: Report, *, is_begun: bool = False
) -> list[_Target]:
    """Return where each volume's segmentation goes; what a person leaves out has none.

    Of a job that was begun before, files may be there: its own, as all were free at its beginning.

    Raises:
        StorageError: A name is taken, by a file or by another volume of the job.
        VolumeError: A volume is not there or cannot be read.
        QuestionError: A person has to say what is meant.
    """
    folder = Path(job.output_folder)
    if folder.exists() and not folder.is_dir():
        raise StorageError(
            Text("'{folder}' is a file; the segmentations need a folder.", folder=folder),
            Text("Choose another folder."),
        )
    targets: list[_Target] = []
    questions: list[Question] = []
    taken: set[str] = set()
    for (image, series_uid), further in zip(job.volumes, job.further, strict=True):
        try:
            found = _targets_of(job, model, image, series_uid, report)
            for target in found:
                _require_readable(model, further, target)
        except QuestionError as asked:
            questions += asked.questions
            continue
        except LeftOutError as left_out:
            report.notice(left_out.message, warning=True)
            continue
        for target in found:
            _require_free(target, taken, job, is_begun=is_begun)
            taken.add(target.output.name.casefold())
        targets += [replace(target, further=further) for target in found]
    if questions:
        raise QuestionError(questions[0], questions[1:])
    return targets


def _targets_of(
    job: PredictJob, model: TrainedModel, image: str, series_uid: str | None, report: Report
) -> list[_Target]:
    """Return a file's volume, or those of its volumes that a person wants.

    Raises:
        VolumeError: It is not there or cannot be read.
        QuestionError: A person has to say what is meant.
        LeftOutError: A person answered that it takes no part.
    """
    path = Path(image)
    if not path.exists():
        raise VolumeError(
            Text("The volume '{path}' was not found.", path=image), Text("Check the path.")
        )
    case_id = _named(path, series_uid, model.card.channels)
    asking = Asking(case_id, job.answers)
    frames = None if series_uid else frames_in(path)
    wanted: list[int] | None = None
    if frames is not None:
        wanted = ask_about_frames(path, frames, asking, one_only=False, as_cases=False)
    with _file_of(path, wanted[0] if wanted else None) as file:
        # what cannot be read is told before the first is segmented
        read_geometry(file, series_uid)
        near = _place(job, file, path.name, asking)
        if model.card.preprocess.ct_limits_of(0) is not None:
            ask_about_modality(read_volume(file, series_uid, near), model.card.preprocess, asking)
    output = Path(job.output_folder) / f"{case_id}.{job.format.value}"
    target = _Target(image, series_uid, case_id, output, near)
    if frames is None or wanted is None:
        return [target]
    if len(wanted) == 1:
        number = {"number": wanted[0] + 1, "all": frames.number}
        report.notice(Note.FRAME_SEGMENTED.say(file=path.name, **number))
        return [replace(target, frame=wanted[0])]
    digits = len(str(frames.number))
    names = [f"{case_id}_{index + 1:0{digits}d}" for index in wanted]
    return [
        replace(
            target, case_id=name, output=output.with_name(f"{name}.{job.format.value}"), frame=n
        )
        for n, name in zip(wanted, names, strict=True)
    ]


def _require_readable(model: TrainedModel, further: Sequence[NamedImage], target: _Target) -> None:
    """Make sure that the other images of a patient are there before the first is segmented.

    Raises:
        VolumeError: One is missing, or cannot be read.
    """
    require_images(model, further, target.case_id)
    for image in further:
        if not Path(image.image).exists():
            raise VolumeError(
                Text("The volume '{path}' was not found.", path=image.image),
                Text("Check the path."),
            )
        read_geometry(Path(image.image), image.series_uid)


def _named(path: Path, series_uid: str | None, channels: Sequence[str]) -> str:
    """Return what a volume is called: as its file or folder, of several there as series and part.

    The first image of several bears the name of the patient.

    Raises:
        ProjectError: The file has no name that a result could have.
    """
    place = channel_of_file(path, channels) if len(channels) > 1 else None
    if place is not None:
        return fit_name(place[0] or path.absolute().parent.name)
    case_id = case_id_from_path(path)
    uid, part = series_and_part(series_uid)
    if uid is not None and path.is_dir() and len(list_dicom_series(path)) > 1:
        case_id += f"-{uid.rpartition('.')[2]}"
    return case_id if part is None else fit_name(f"{case_id}-{part[0]} {part[1]}")


def _place(job: PredictJob, file: Path, name: str, asking: Asking) -> Geometry | None:
    """Return which place of two is meant; NIfTI takes over both, other formats can have one.

    Raises:
        QuestionError: A person has to say which is meant.
    """
    if job.format is SegmentationFormat.NIFTI and not job.uncertainty:
        return None
    return settled_place(file, asking, name=name)[0]


def _require_free(target: _Target, taken: set[str], job: PredictJob, *, is_begun: bool) -> None:
    if target.output.name.casefold() in taken:
        raise StorageError(
            Text("Two volumes would both be written to '{file}'.", file=target.output.name),
            Text("Segment them into different folders."),
        )
    written = (target.output, *([target.uncertainty] if job.uncertainty else []))
    for path in () if is_begun else written:
        if path.exists():
            raise StorageError(
                Text("'{path}' exists already and is not overwritten.", path=path),
                Text("Choose another output folder, or move the file away."),
            )

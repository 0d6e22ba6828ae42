"""A trained model applied to new volumes."""

from dataclasses import dataclass
from pathlib import Path

from PseudoLabelCLLib.curation.cases.case_csv import case_id_from_path
from PseudoLabelCLLib.curation.check.image_checks import check_image
from PseudoLabelCLLib.curation.grids.image_place import settled_place
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.errors import StorageError, VolumeError
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_device
from PseudoLabelCLLib.messages.jobs import (
    PredictJob,
)
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel, read_model
from PseudoLabelCLLib.pipeline.prediction.segment_volume import SegmentedVolume, segment_slices
from PseudoLabelCLLib.pipeline.slices.preprocess import network_slices, slice_grid
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, remove_leftovers
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import (
    list_dicom_series,
    read_geometry,
    read_volume,
    write_volume,
)


def apply_model(job: PredictJob, report: Report) -> dict[str, JsonValue]:
    """Segment every volume of the job; nothing that exists is overwritten.

    Raises:
        ModelFileError: The model cannot be used.
        StorageError: A file of that name is there already, or two volumes would take one name.
        VolumeError: A volume cannot be read; if that shows in its voxels only, those before it are
            written.
        Cancelled: Asked to stop between two volumes.
    """
    model = read_model(Path(job.model))
    targets = _free_targets(job)
    make_folder(Path(job.output_folder))
    remove_leftovers(Path(job.output_folder), deep=False)
    device = choose_device(job.device.value)
    report.notice(device.sentence)
    device.place(model.network)
    results: list[JsonValue] = []
    for number, target in enumerate(targets, start=1):
        if report.is_cancelled():
            raise Cancelled(resumable=False)
        volume = read_volume(Path(target.image), target.series_uid, target.near)
        unlike = model.unlike_training(volume.geometry)
        if unlike:
            name = Path(target.image).name
            report.notice(
                Text("'{file}' is unlike the training cases: {reason}.", file=name, reason=unlike),
                warning=True,
            )
        segmented = segment_volume(model, volume, device, case_id=target.case_id)
        write_segmentation(target.output, segmented.labels, model.card.schema, Path(target.image))
        report.artifact("segmentation", target.output)
        if job.uncertainty:
            write_volume(target.uncertainty, segmented.uncertainty)
            report.artifact("uncertainty", target.uncertainty)
        results.append(
            {"image": target.image, "series_uid": target.series_uid, "output": str(target.output),
             "doubt": segmented.doubt.doubt, "reason": segmented.doubt.reason}
        )  # fmt: skip
        report.progress(Text("Segmenting"), number, len(targets))
    return {"segmentations": results}


def segment_volume(
    model: TrainedModel, volume: Volume, device: ComputeDevice, *, case_id: str
) -> SegmentedVolume:
    """Segment a volume with a model whose network is on the device.

    Args:
        model: The model.
        volume: The image.
        device: Where the network is.
        case_id: What messages call the image.

    Raises:
        VolumeError: The image is constant, too small, or holds values that are not numbers.
    """
    axis = model.card.preprocess.slicing_axis_of(volume.geometry)
    check_image(volume, case_id=case_id, slicing_axis=axis, role=CaseRole.UNLABELLED)
    grid = slice_grid(volume, model.card.preprocess)
    images = network_slices(volume, grid, model.card.preprocess)
    return segment_slices(model, images, grid, volume.geometry, device)


@dataclass(frozen=True)
class _Target:
    """A volume of the job, where it lies if its header leaves a choice, and its files."""

    image: str
    series_uid: str | None
    case_id: str
    output: Path
    near: Geometry | None = None

    @property
    def uncertainty(self) -> Path:
        return self.output.with_name(f"{self.case_id}_uncertainty.nrrd")


def _free_targets(job: PredictJob) -> list[_Target]:
    """Return where each volume's segmentation goes.

    Raises:
        StorageError: A name is taken, by a file or by another volume of the job.
        VolumeError: A volume is not there or cannot be read.
    """
    folder = Path(job.output_folder)
    if folder.exists() and not folder.is_dir():
        raise StorageError(
            Text("'{folder}' is a file; the segmentations need a folder.", folder=folder),
            Text("Choose another folder."),
        )
    targets: list[_Target] = []
    taken: set[str] = set()
    for image, series_uid in job.volumes:
        if not Path(image).exists():
            raise VolumeError(
                Text("There is no volume '{path}'.", path=image), Text("Check the path.")
            )
        # what cannot be read is told before the first is segmented
        read_geometry(Path(image), series_uid)
        case_id = case_id_from_path(Path(image))
        has_siblings = Path(image).is_dir() and len(list_dicom_series(Path(image))) > 1
        if series_uid is not None and has_siblings:
            case_id += f"-{series_uid.rpartition('.')[2]}"
        target = _Target(
            image,
            series_uid,
            case_id,
            folder / f"{case_id}.{job.format.value}",
            _place(job, image, case_id),
        )
        _require_free(target, taken, with_uncertainty=job.uncertainty)
        taken.add(target.output.name.casefold())
        targets.append(target)
    return targets


def _place(job: PredictJob, image: str, case_id: str) -> Geometry | None:
    """Return which place of two is meant; NIfTI takes over both, other formats can have one.

    Raises:
        QuestionError: A person has to say which is meant.
    """
    if job.format is SegmentationFormat.NIFTI and not job.uncertainty:
        return None
    return settled_place(Path(image), Asking(case_id, job.answers))[0]


def _require_free(target: _Target, taken: set[str], *, with_uncertainty: bool) -> None:
    if target.output.name.casefold() in taken:
        raise StorageError(
            Text("Two volumes would both be written to '{file}'.", file=target.output.name),
            Text("Segment them into different folders."),
        )
    for path in (target.output, *([target.uncertainty] if with_uncertainty else [])):
        if path.exists():
            raise StorageError(
                Text("'{path}' exists already and is not overwritten.", path=path),
                Text("Choose another output folder, or move the file away."),
            )

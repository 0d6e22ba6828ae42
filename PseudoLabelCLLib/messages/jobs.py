"""The jobs that the worker process can do; paths in them are absolute.

The kind of a job names it in its file and in its folder.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.question import GivenAnswer
from PseudoLabelCLLib.domain.text import Text


class DeviceChoice(Enum):
    """What shall run the network."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


# As many processes as there are GPUs; one where there is none.
ALL_GPUS = 0


@dataclass(frozen=True)
class TrainJob:
    """Train rounds of a project, one after the other.

    Args:
        project: The project folder.
        rounds: How many rounds to finish, 1 or more; a round that was interrupted goes on first
            and counts as one.
        device: What shall run the network.
        processes: How many processes of this computer share the work, or `ALL_GPUS`.

    Raises:
        ProjectError: No round is asked for, or a number of processes below 0.
    """

    kind: ClassVar[str] = "train"

    project: str
    rounds: int = 1
    device: DeviceChoice = DeviceChoice.AUTO
    processes: int = 1

    def __post_init__(self) -> None:
        _require_processes(self.processes)
        if self.rounds < 1:
            raise ProjectError(
                Text("At least 1 round must be trained; asked for {rounds}.", rounds=self.rounds),
                Text("Ask for at least 1 round."),
            )


@dataclass(frozen=True)
class PretrainJob:
    """Pre-train a project's network on all volumes, without any segmentation.

    Args:
        project: The project folder.
        device: What shall run the network.
    """

    kind: ClassVar[str] = "pretrain"

    project: str
    device: DeviceChoice = DeviceChoice.AUTO


@dataclass(frozen=True)
class PredictJob:
    """Segment volumes with a model file.

    Args:
        model: The model file.
        images: Volumes: files or folders of DICOM slices.
        output_folder: Where the segmentations go, one for each volume.
        device: What shall run the network.
        format: The kind of file to write.
        uncertainty: Whether a map of the uncertainty (0..1) is written beside each segmentation.
        series_uids: Which DICOM series, one for each volume; None, or no entry at all, where the
            volume is a file or its folder holds one series only.
        answers: What a person answered to questions about the volumes.
        further_images: The other images of each patient, one list for each volume; empty where the
            model sees one image.
        processes: How many processes of this computer share the volumes, or `ALL_GPUS`.

    Raises:
        ProjectError: There is no volume, the series or further images are not one for each, or the
            number of processes is below 0.
    """

    kind: ClassVar[str] = "predict"

    model: str
    images: tuple[str, ...]
    output_folder: str
    device: DeviceChoice = DeviceChoice.AUTO
    format: SegmentationFormat = SegmentationFormat.SEG_NRRD
    uncertainty: bool = False
    series_uids: tuple[str | None, ...] = ()
    answers: tuple[GivenAnswer, ...] = ()
    further_images: tuple[tuple[NamedImage, ...], ...] = ()
    processes: int = 1

    def __post_init__(self) -> None:
        _require_processes(self.processes)
        if not self.images:
            raise ProjectError(
                Text("There is no volume to segment."), Text("Name at least one volume.")
            )
        if self.series_uids and len(self.series_uids) != len(self.images):
            raise ProjectError(
                Text(
                    "{series} series are named for {volumes} volumes.",
                    series=len(self.series_uids),
                    volumes=len(self.images),
                ),
                Text("Name one series for each volume, in the same order, or none at all."),
            )
        if self.further_images and len(self.further_images) != len(self.images):
            raise ProjectError(
                Text(
                    "Further images are named for {found} of {volumes} patients.",
                    found=len(self.further_images),
                    volumes=len(self.images),
                ),
                Text("Name those of each patient, in the same order, or none at all."),
            )

    @property
    def volumes(self) -> tuple[tuple[str, str | None], ...]:
        """Each volume with its series."""
        uids = self.series_uids or (None,) * len(self.images)
        return tuple(zip(self.images, uids, strict=True))

    @property
    def further(self) -> tuple[tuple[NamedImage, ...], ...]:
        """The other images of each patient."""
        return self.further_images or ((),) * len(self.images)


@dataclass(frozen=True)
class EvaluationPair:
    """One volume with its reference segmentation.

    Args:
        id: What the tables call it.
        image: The volume.
        reference: The segmentation to compare with.
        series_uid: Which DICOM series, where the volume's folder holds several.
        further_images: The other images of the patient.
    """

    id: str
    image: str
    reference: str
    series_uid: str | None = None
    further_images: tuple[NamedImage, ...] = ()


@dataclass(frozen=True)
class EvaluateJob:
    """Measure predictions against references.

    Args:
        project: The project folder whose rounds are measured, or None.
        model: The model file that is measured, or None.
        pairs: Volumes with references; empty takes the project's validation cases.
        rounds: The rounds to measure; empty takes all of them.
        output: The file for the table (JSON), or None.
        device: What shall run the network.
        single_prediction: Whether each volume is predicted once, instead of as the mean over
            changed copies that the model asks for.
        answers: What a person answered to questions about the references.

    Raises:
        ProjectError: Neither a project nor a model is named, or both, or a model has no pairs.
    """

    kind: ClassVar[str] = "evaluate"

    project: str | None = None
    model: str | None = None
    pairs: tuple[EvaluationPair, ...] = ()
    rounds: tuple[int, ...] = ()
    output: str | None = None
    device: DeviceChoice = DeviceChoice.AUTO
    single_prediction: bool = False
    answers: tuple[GivenAnswer, ...] = ()

    def __post_init__(self) -> None:
        if (self.project is None) == (self.model is None):
            raise ProjectError(
                Text("An evaluation needs either a project or a model file."),
                Text("Name one of them."),
            )
        if self.model is not None and not self.pairs:
            raise ProjectError(
                Text("There is nothing to measure the model on."),
                Text("Name volumes with their reference segmentations."),
            )


@dataclass(frozen=True)
class DoctorJob:
    """Find out what this machine can do: device, memory, versions, time of a training step.

    Args:
        device: What shall run the network.
    """

    kind: ClassVar[str] = "doctor"

    device: DeviceChoice = DeviceChoice.AUTO


Job = PretrainJob | TrainJob | PredictJob | EvaluateJob | DoctorJob


def _require_processes(number: int) -> None:
    if number < 0:
        raise ProjectError(
            Text("At least 1 process must work; asked for {number}.", number=number),
            Text("Ask for 1 process or more, or for as many as there are GPUs."),
        )

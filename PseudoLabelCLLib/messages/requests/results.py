"""Requests about what leaves the project: segmentations and models."""

from dataclasses import dataclass

from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import Done, Exported, ModelSummary
from PseudoLabelCLLib.messages.requests.request import Request, WritesFiles


@dataclass(frozen=True)
class Export(WritesFiles[Exported]):
    """Write segmentations into a folder.

    Args:
        output_folder: The folder.
        format: The kind of file.
        case_ids: The cases; empty takes all that can be exported.
        include_unreviewed: Whether proposals that nobody has reviewed go out too.
    """

    activity = Text("exporting")

    output_folder: str
    format: SegmentationFormat
    case_ids: tuple[str, ...] = ()
    include_unreviewed: bool = False


@dataclass(frozen=True)
class SaveModel(WritesFiles[ModelSummary]):
    """Copy the model of a round to a file of its own."""

    activity = Text("saving the model")

    round_index: int
    file: str


@dataclass(frozen=True)
class SavePretrainedModel(WritesFiles[Done]):
    """Copy the pre-trained network to a file that other projects can start from."""

    activity = Text("saving the pre-trained network")

    file: str


@dataclass(frozen=True)
class ReadModel(Request[ModelSummary]):
    """Tell what a model file can do."""

    activity = Text("reading a model")

    file: str

"""The trained model as one portable file: weights, labels, preprocessing, and how it was made."""

from dataclasses import dataclass, field
from pathlib import Path

from PseudoLabelCLLib import __version__
from PseudoLabelCLLib.domain.channels import check_channels
from PseudoLabelCLLib.domain.config import PseudoLabelConfig
from PseudoLabelCLLib.domain.errors import ModelFileError, PseudoLabelCLError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.single_pieces import SinglePieces
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.learning.checkpoint import network_from_bytes, weights_to_bytes
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.pipeline.slices.slice_grid import in_plane_spacing, slice_distance
from PseudoLabelCLLib.storage.project.model_archive import (
    CARD_VERSION,
    read_model_archive,
    require_known_version,
    write_model_archive,
)

# Rows and columns; no slice of a scanner has more, and a card may claim any number.
MAX_WINDOW_SIDE = 4096
# Pixels, or distances of neighbouring slices, this many times larger or smaller than in training
# are unlike anything the network saw.
UNLIKE_SPACING_FACTOR = 2.0


@dataclass(frozen=True)
class TrainingSummary:
    """How a model came to be, without a word that could name a patient or a computer.

    Args:
        project: The project's name.
        round_index: The round that trained it.
        num_human_cases: Cases with human truth.
        num_pseudo_cases: Cases with unreviewed pseudo-labels.
        in_plane_spacing_mm: Smallest and largest pixel size among the training cases.
        validation_dice: Mean Dice on the validation cases, or None without any.
        selected_at_step: Which step's weights were kept.
        num_steps: Steps of the round.
        profile: The settings' profile.
        device: What it was trained on, in words.
        finished: When, ISO 8601 with zone.
        program_version: Of PseudoLabelCL.
        num_validation_cases: How many cases the Dice was measured on.
        selection: How the weights were chosen (`training.selection`); empty before version 4.
        num_validations: How often the Dice was measured in the round.
        started_from: What its first weights were, in words; empty if they were random.
        slice_spacing_mm: Smallest and largest distance of slices among the training cases; None
            in earlier files.
    """

    project: str
    round_index: int
    num_human_cases: int
    num_pseudo_cases: int
    in_plane_spacing_mm: tuple[float, float]
    validation_dice: float | None
    selected_at_step: int
    num_steps: int
    profile: str
    device: str
    finished: str
    program_version: str = __version__
    num_validation_cases: int = 0
    selection: str = ""
    num_validations: int = 0
    started_from: str = ""
    slice_spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True)
class ModelCard:
    """All that is needed to apply a network, besides its weights.

    Args:
        schema: The structures.
        preprocess: Settled pixel size, window or patch, and intensity scaling.
        network: Its shape.
        pseudo_label: The copies whose predictions are averaged.
        mirror_copies: Whether copies may be mirrored, as training slices were.
        seed: Of the copies.
        training: How it was made.
        single_pieces: Of what predictions keep a single piece.
        schema_version: Of this card.
        channels: The images of a patient that it sees at once, the first being the one on whose
            grid segmentations lie; empty for one unnamed image.
        num_pretrained_on: Volumes from which it learned without segmentations, and nothing since;
            0 if it was trained to segment.

    Raises:
        ModelFileError: Pixel size or window are not settled, or the window is too large.
    """

    schema: LabelSchema
    preprocess: PreprocessConfig
    network: NetworkConfig
    pseudo_label: PseudoLabelConfig
    mirror_copies: bool
    seed: int
    training: TrainingSummary
    single_pieces: SinglePieces = field(default_factory=SinglePieces)
    schema_version: int = CARD_VERSION
    channels: tuple[str, ...] = ()
    num_pretrained_on: int = 0

    def __post_init__(self) -> None:
        check_channels(self.channels)
        settled = self.preprocess
        is_placed = settled.sees_whole_slices or settled.window_size is not None
        if settled.in_plane_spacing_mm is None or not is_placed:
            raise ModelFileError(
                Text(
                    "The model does not say what its network was trained on (window_size, "
                    "in_plane_spacing_mm)."
                )
            )
        window = settled.window_size or settled.patch_size or (0, 0)
        if max(window) > MAX_WINDOW_SIDE:
            raise ModelFileError(
                Text(
                    "The model's slices are {height} x {width} pixels; at most "
                    "{most} x {most} are possible.",
                    height=window[-2],
                    width=window[-1],
                    most=MAX_WINDOW_SIDE,
                )
            )

    @property
    def num_channels(self) -> int:
        """How many channels the network's input has: images of a patient, and slices of each."""
        return max(1, len(self.channels)) * self.preprocess.slices_at_once


@dataclass(frozen=True)
class TrainedModel:
    """A network with its card."""

    network: SegmentationNetwork
    card: ModelCard

    def unlike_training(self, geometry: Geometry) -> Text:
        """Return why a volume is unlike the training cases, or an empty text."""
        smallest, largest = self.card.training.in_plane_spacing_mm
        rows, columns = in_plane_spacing(geometry, self.card.preprocess)
        factor = UNLIKE_SPACING_FACTOR
        if min(rows, columns) * factor < smallest or max(rows, columns) > largest * factor:
            return Text(
                "its pixels are {rows:.3g} x {columns:.3g} mm, the model was trained on "
                "{least:.3g} to {most:.3g} mm",
                rows=rows,
                columns=columns,
                least=smallest,
                most=largest,
            )
        return self._unlike_neighbours(geometry)

    def _unlike_neighbours(self, geometry: Geometry) -> Text:
        """Return why neighbouring slices are unlike those of the training cases."""
        learned, settled = self.card.training.slice_spacing_mm, self.card.preprocess
        if learned is None or not settled.neighbouring_slices:
            return NO_TEXT
        distance = slice_distance(geometry, settled)
        factor = UNLIKE_SPACING_FACTOR
        if learned[0] <= distance * factor and distance <= learned[1] * factor:
            return NO_TEXT
        return Text(
            "its slices are {distance:.3g} mm apart, and the model, which sees neighbouring slices "
            "together, was trained on {least:.3g} to {most:.3g} mm",
            distance=distance,
            least=learned[0],
            most=learned[1],
        )


def write_model(path: Path, network: SegmentationNetwork, card: ModelCard) -> None:
    """Write a model file.

    Raises:
        StorageError: The disk refuses.
    """
    write_model_archive(path, to_json(card), weights_to_bytes(network))


def read_model(path: Path) -> TrainedModel:
    """Read a model file; nothing in it is ever executed.

    Raises:
        ModelFileError: It is not a model file, is damaged, unsafe, or of a newer version.
    """
    told, weights = read_model_archive(path)
    require_known_version(path, told)
    try:
        card = from_json(ModelCard, told, "model.json")
    except PseudoLabelCLError as error:
        raise ModelFileError(
            Text(
                "The description in '{file}' is damaged: {reason}",
                file=path.name,
                reason=error.message,
            ),
            Text("Get the model file again from where it came."),
        ) from error
    try:
        network = network_from_bytes(
            weights, card.network, card.schema.num_classes, card.num_channels
        )
    except ModelFileError as error:
        raise ModelFileError(
            Text(
                "The model file '{path}' cannot be used. {reason}",
                path=path,
                reason=error.message,
            ),
            error.remedy,
        ) from error
    return TrainedModel(network, card)

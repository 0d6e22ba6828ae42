"""The trained model that round 0 of a project starts from, instead of random weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PseudoLabelCLLib.domain.errors import ModelFileError, ProjectError
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text, counted

# A network sees other things in pixels so many times larger or smaller.
LARGEST_PIXEL_RATIO = 2.0


@dataclass(frozen=True)
class StartingModel:
    """What is known of the model; its file lies in the project.

    Args:
        project: Name of the project in which it was trained.
        round_index: Its round there.
        fingerprint: Of the model file.
        structures: Names of the structures that it segments.
        channels: The images of a patient that it sees; empty for one unnamed image.
        network: Its shape, which the project's network takes.
        preprocess: The grid on which it was trained.
        num_pretrained_on: Volumes from which it learned without segmentations, and nothing since;
            0 if it was trained to segment.
    """

    project: str
    round_index: int
    fingerprint: str
    structures: tuple[str, ...]
    channels: tuple[str, ...]
    network: NetworkConfig
    preprocess: PreprocessConfig
    num_pretrained_on: int = 0

    @property
    def learned_from_ct(self) -> bool | None:
        """Whether its first images were CT; None where its file does not say."""
        if self.preprocess.ct_limits_of(0) is not None:
            return True
        return False if self.preprocess.scale_ct and not self.num_pretrained_on else None

    def segments_the_same(self, schema: LabelSchema) -> bool:
        """Return whether the structures are those of a project, so that its output layer serves."""
        if self.num_pretrained_on:
            return False
        names = [name.casefold() for name in schema.names]
        return [name.casefold() for name in self.structures] == names

    def sentence(self, schema: LabelSchema) -> Text:
        """Return for a person what round 0 of a project takes over.

        Args:
            schema: The structures of the project.
        """
        if self.num_pretrained_on:
            return counted(
                self.num_pretrained_on,
                "Round 0 starts from what '{project}' learned from {count} volume without "
                "segmentations.",
                "Round 0 starts from what '{project}' learned from {count} volumes without "
                "segmentations.",
                project=self.project,
            )
        told = {"index": self.round_index, "project": self.project}
        if self.segments_the_same(schema):
            return Text("Round 0 starts from the model of round {index} of '{project}'.", **told)
        return Text(
            "Round 0 starts from the model of round {index} of '{project}'. Its output layers are "
            "new, since that model segments other structures ({structures}).",
            structures=", ".join(self.structures),
            **told,
        )

    def require_fit(self, channels: Sequence[str], preprocess: PreprocessConfig) -> None:
        """Refuse a model that learned from images of another kind.

        Args:
            channels: Of the project.
            preprocess: Its grid, as far as it is known: a pixel size that is not set fits.

        Raises:
            ProjectError: Channels, dimension, neighbouring slices or pixel size differ.
        """
        if [one.casefold() for one in self.channels] != [one.casefold() for one in channels]:
            raise ProjectError(
                Text(
                    "The model sees {theirs} of each patient, the project has {ours}.",
                    theirs=_in_words(self.channels),
                    ours=_in_words(channels),
                ),
                Text("Choose a model with the same images, or create the project with them."),
            )
        if self.preprocess.dimension != 2 or preprocess.dimension != 2:
            raise ProjectError(
                Text("Only networks in 2-D can start from another model."),
                Text("Choose a model in 2-D for a project in 2-D."),
            )
        self._require_as_many_neighbours(preprocess.neighbouring_slices)
        self._require_similar_pixels(preprocess.in_plane_spacing_mm)

    def _require_as_many_neighbours(self, number: int) -> None:
        learned = self.preprocess.neighbouring_slices
        if learned != number:
            raise ProjectError(
                Text(
                    "The model sees {learned} neighbouring slices on each side of a slice; the "
                    "network of this project sees {own}.",
                    learned=learned,
                    own=number,
                ),
                Text(
                    "Choose another model, or set preprocess.neighbouring_slices to {learned}.",
                    learned=learned,
                ),
            )

    def _require_similar_pixels(self, pixel_mm: float | None) -> None:
        learned_mm = self.preprocess.in_plane_spacing_mm
        if not pixel_mm or not learned_mm:
            return
        if max(pixel_mm / learned_mm, learned_mm / pixel_mm) > LARGEST_PIXEL_RATIO:
            raise ProjectError(
                Text(
                    "The model learned from pixels of {learned:.3g} mm; the network of this "
                    "project sees pixels of {own:.3g} mm. At more than {most:g} times the size, "
                    "what it learned does not help.",
                    learned=learned_mm,
                    own=pixel_mm,
                    most=LARGEST_PIXEL_RATIO,
                ),
                Text(
                    "Choose another model, or set preprocess.in_plane_spacing_mm nearer to "
                    "{mm:.3g}.",
                    mm=learned_mm,
                ),
            )


def require_segmenting(file: Path, num_pretrained_on: int) -> None:
    """Refuse a model that was never trained to segment.

    Args:
        file: The model file.
        num_pretrained_on: As in `StartingModel`.

    Raises:
        ModelFileError: It can only be started from.
    """
    if num_pretrained_on:
        raise ModelFileError(
            Text(
                "The model in '{file}' has learned from volumes without segmentations, so it "
                "segments nothing by itself.",
                file=file.name,
            ),
            Text("Start a project from it, then use a model of that project."),
        )


def _in_words(channels: Sequence[str]) -> Text | str:
    return ", ".join(channels) or Text("one unnamed image")

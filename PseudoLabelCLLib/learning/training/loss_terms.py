"""The losses of a round as terms of one sum: what each draws, shows the network, and asks of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from PseudoLabelCLLib.domain.config import StageConfig, TrainingConfig
from PseudoLabelCLLib.domain.method_config import (
    AugmentationConfig,
    ContrastiveConfig,
    IncompleteSlices,
    PairWeighting,
)
from PseudoLabelCLLib.learning.losses.consistency import consistency_loss
from PseudoLabelCLLib.learning.losses.local_contrast import draw_anchors, local_contrastive_loss
from PseudoLabelCLLib.learning.losses.segmentation import segmentation_loss
from PseudoLabelCLLib.learning.shapes import Float
from PseudoLabelCLLib.learning.to_device import to_device
from PseudoLabelCLLib.learning.training.augmentation import AugmentedBatch, augment
from PseudoLabelCLLib.learning.training.class_channels import foreground_masks
from PseudoLabelCLLib.learning.training.copy_paste import draw_boxes, exchange
from PseudoLabelCLLib.learning.training.mixup import mixup
from PseudoLabelCLLib.learning.training.pairs import draw_pairs
from PseudoLabelCLLib.learning.training.sampling import RoundData, SliceBatch
from PseudoLabelCLLib.learning.training.step_batch import Source, StepBatch
from PseudoLabelCLLib.learning.training.targets import TargetForm
from PseudoLabelCLLib.learning.training.view_intensity import change_intensity

Images = Float[Tensor, "batch channels *space"]
Scalar = Float[Tensor, ""]


class StepPart:
    """The slices that go through the network together, and what several terms ask of them.

    Args:
        batch: The drawn slices.
        form: Of the targets.
        generator: Of all random changes.
        ask_teacher: Returns the class probabilities that the averaged network sees.
        slices_at_once: How many slices of each image the channels are.
    """

    def __init__(
        self,
        batch: StepBatch,
        form: TargetForm,
        generator: torch.Generator,
        ask_teacher: Callable[[Images], Tensor],
        slices_at_once: int = 1,
    ) -> None:
        self.batch = batch
        self.form = form
        self.generator = generator
        self.slices_at_once = slices_at_once
        self._ask_teacher = ask_teacher

    @cached_property
    def truth(self) -> AugmentedBatch:
        """Unchanged slices with human truth."""
        return self.form.of(self.batch[Source.TRUTH])

    @cached_property
    def taught(self) -> AugmentedBatch:
        """Unchanged slices with the class probabilities that the averaged network sees."""
        images = to_device(self.batch[Source.UNLABELLED].images, self.form.device)
        return AugmentedBatch(images, self._ask_teacher(images))

    def changed(self, batch: AugmentedBatch, config: AugmentationConfig) -> AugmentedBatch:
        """Return slices and targets after random changes of both."""
        return augment(*batch, config, self.generator, self.slices_at_once)


class LossTerm(ABC):
    """One loss of the sum that a round minimises.

    Attributes:
        name: As reports and curves call it.
        source: Which slices it draws; terms of one source share them.
    """

    name: str
    source: Source

    @property
    def weight(self) -> float:
        """Its weight in the sum."""
        return 1.0

    @abstractmethod
    def draw(self, data: RoundData, generator: torch.Generator) -> SliceBatch:
        """Draw the slices of a step."""


class LogitsTerm(LossTerm):
    """A loss on the class scores of changed slices."""

    @abstractmethod
    def change(self, part: StepPart) -> AugmentedBatch:
        """Return the slices that the network sees, and their targets."""

    @abstractmethod
    def loss(self, logits: Tensor, targets: Tensor, part: StepPart) -> Scalar:
        """Return the loss."""


class EmbeddingTerm(LossTerm):
    """A loss on the embeddings of changed slices."""

    @abstractmethod
    def views(self, part: StepPart) -> Images:
        """Return the slices that the network sees."""

    @abstractmethod
    def loss(self, embeddings: Tensor, part: StepPart) -> Scalar:
        """Return the loss."""


@dataclass(frozen=True)
class SegmentationTerm(LogitsTerm):
    """Soft Dice and cross-entropy on human truth."""

    config: TrainingConfig
    stage: StageConfig
    name = "segmentation"
    source = Source.TRUTH

    def draw(self, data: RoundData, generator: torch.Generator) -> SliceBatch:
        """Draw slices with human truth."""
        stage = self.stage
        return data.truth.draw(stage.batch_size, generator, min_structures=stage.min_structures)

    def change(self, part: StepPart) -> AugmentedBatch:
        """Change slices and truth together."""
        config = self.config.augmentation
        changed = part.changed(part.truth, config)
        return mixup(changed, config.mixup_alpha, part.generator) if config.mixup_alpha else changed

    def loss(self, logits: Tensor, targets: Tensor, part: StepPart) -> Scalar:
        """Return the segmentation loss over the pixels that count."""
        known, counts = part.form.known(targets)
        return segmentation_loss(
            logits,
            known,
            dice_weight=self.stage.dice_weight,
            cross_entropy_weight=self.stage.cross_entropy_weight,
            counts=counts,
            left_out=part.form.left_out_of(part.batch[self.source]),
        )


@dataclass(frozen=True)
class SelfTrainingTerm(SegmentationTerm):
    """The segmentation loss on pseudo-labels (plain self-training)."""

    name = "self-training"
    source = Source.PSEUDO_LABELLED

    @property
    def weight(self) -> float:
        """Its weight in the sum."""
        return self.config.pseudo_label_weight

    def draw(self, data: RoundData, generator: torch.Generator) -> SliceBatch:
        """Draw slices with pseudo-labels."""
        return data.pseudo.draw(self.stage.batch_size, generator)

    def change(self, part: StepPart) -> AugmentedBatch:
        """Change slices and pseudo-labels together."""
        believed = part.form.of(part.batch[self.source])
        return part.changed(believed, self.config.augmentation)


@dataclass(frozen=True)
class ConsistencyTerm(LogitsTerm):
    """Strongly changed unlabelled slices, as the averaged network sees them unchanged."""

    config: TrainingConfig
    name = "consistency"
    source = Source.UNLABELLED

    @property
    def weight(self) -> float:
        """Its weight in the sum."""
        return self.config.consistency.weight

    def draw(self, data: RoundData, generator: torch.Generator) -> SliceBatch:
        """Draw unlabelled slices."""
        return data.pseudo.draw(self.config.consistency.num_slices, generator)

    def change(self, part: StepPart) -> AugmentedBatch:
        """Change slices and what the teacher says of them together, strongly."""
        return part.changed(part.taught, self.config.consistency.augmentation)

    def loss(self, logits: Tensor, targets: Tensor, part: StepPart) -> Scalar:  # noqa: ARG002
        """Return the loss towards the teacher, where it is sure."""
        confidence = self.config.consistency.min_confidence
        return consistency_loss(logits, targets, min_confidence=confidence)


@dataclass(frozen=True)
class CopyPasteTerm(ConsistencyTerm):
    """Rectangles of slices with human truth on unlabelled ones, and the other way round."""

    name = "copy-paste"

    @property
    def weight(self) -> float:
        """Its weight in the sum."""
        return self.config.copy_paste.weight

    def change(self, part: StepPart) -> AugmentedBatch:
        """Exchange rectangles, then change the slices strongly."""
        config, truth, taught = self.config.copy_paste, part.truth, part.form.as_known(part.taught)
        number = min(config.num_slices, len(truth.images), len(taught.images))
        space = truth.images.shape[2:]
        boxes = draw_boxes(number, space, config.side_fraction, part.generator)
        mixed = exchange(
            AugmentedBatch(truth.images[:number], truth.targets[:number]),
            AugmentedBatch(taught.images[:number], taught.targets[:number]),
            to_device(boxes, part.form.device),
        )
        return part.changed(mixed, self.config.consistency.augmentation)

    def loss(self, logits: Tensor, targets: Tensor, part: StepPart) -> Scalar:
        """Return the loss towards truth or teacher, where one class is known."""
        classes, counts = part.form.one_class(targets)
        confidence = self.config.consistency.min_confidence
        return consistency_loss(logits, classes, min_confidence=confidence, counts=counts)


@dataclass(frozen=True)
class ContrastiveTerm(EmbeddingTerm):
    """The local contrastive loss on pairs of slices."""

    config: ContrastiveConfig
    num_classes: int
    name = "contrastive"
    source = Source.PAIRS

    @property
    def weight(self) -> float:
        """Its weight in the sum."""
        return self.config.weight

    def draw(self, data: RoundData, generator: torch.Generator) -> SliceBatch:
        """Draw pairs of slices."""
        config = self.config
        return draw_pairs(
            data.truth,
            data.pseudo,
            config.num_pairs,
            generator,
            form=config.form,
            authors_order=config.pair_weighting is PairWeighting.LEGACY,
            complete_only=config.incomplete_slices is IncompleteSlices.SKIP,
        )

    def views(self, part: StepPart) -> Images:
        """Return the slices with changed intensities."""
        images = to_device(part.batch[self.source].images, part.form.device)
        return jitter_views(images, self.config, part.generator, part.slices_at_once)

    def loss(self, embeddings: Tensor, part: StepPart) -> Scalar:
        """Return the local contrastive loss."""
        classes = to_device(part.batch[self.source].classes, part.form.device)
        masks = foreground_masks(classes, self.num_classes)
        return local_contrastive_loss(
            embeddings.flatten(2),
            masks,
            draw_anchors(masks, self.config.anchors_per_class, part.generator),
            temperature=self.config.temperature,
            form=self.config.form,
            denominator=self.config.denominator,
            pair_weighting=self.config.pair_weighting,
        )


def loss_terms(
    config: TrainingConfig, stage: StageConfig, num_classes: int, *, is_joint: bool
) -> tuple[LossTerm, ...]:
    """Return the terms of a round's loss, those without weight left out.

    Args:
        config: Weights and settings.
        stage: Of round 0 or of the joint rounds.
        num_classes: Background included.
        is_joint: Whether there are unlabelled slices.
    """
    terms: list[LossTerm] = [SegmentationTerm(config, stage)]
    if is_joint:
        terms += [
            SelfTrainingTerm(config, stage),
            ConsistencyTerm(config),
            CopyPasteTerm(config),
            ContrastiveTerm(config.contrastive, num_classes),
        ]
    return tuple(term for term in terms if term.weight)


def jitter_views(
    images: Images,
    config: ContrastiveConfig,
    generator: torch.Generator,
    slices_at_once: int = 1,
) -> Images:
    """Change brightness, then contrast, of every view; pixels stay in place, as labels must.

    Every view draws its own change, or with `one_change_per_half` each half of the batch.

    Source: Chaitanya et al., MedIA 2023, code.
    """
    shared = config.one_change_per_half
    changed = [
        change_intensity(
            part,
            brightness=config.brightness,
            contrast_fraction=config.contrast_fraction,
            is_shared=shared,
            generator=generator,
            slices_at_once=slices_at_once,
        )
        for part in (images.chunk(2) if shared else (images,))
    ]
    return torch.cat(changed)

"""The losses of one step: one forward pass of all its slices, then each loss on its own slices."""

from dataclasses import dataclass

import torch
from torch import Tensor

from PseudoLabelCLLib.domain.config import StageConfig, TrainingConfig
from PseudoLabelCLLib.domain.method_config import ContrastiveConfig
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.losses.consistency import consistency_loss
from PseudoLabelCLLib.learning.losses.local_contrast import draw_anchors, local_contrastive_loss
from PseudoLabelCLLib.learning.losses.segmentation import segmentation_loss
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.shapes import Bool, Float
from PseudoLabelCLLib.learning.training.augmentation import AugmentedBatch, augment
from PseudoLabelCLLib.learning.training.copy_paste import draw_boxes, exchange
from PseudoLabelCLLib.learning.training.sampling import (
    SliceBatch,
    foreground_masks,
    known_part,
    one_hot,
    one_hot_with_ignored,
)
from PseudoLabelCLLib.learning.training.step_batch import (
    CONSISTENCY,
    CONTRASTIVE,
    COPY_PASTE,
    SEGMENTATION,
    SELF_TRAINING,
    StepBatch,
)
from PseudoLabelCLLib.learning.training.view_intensity import change_intensity

Scalar = Float[Tensor, ""]


@dataclass(frozen=True)
class StepLosses:
    """Computes the losses of a step's batch.

    Args:
        network: What is trained.
        teacher: Its running average, which says what it sees on unlabelled slices.
        config: Weights and settings of the losses.
        stage: Of round 0 or of the joint rounds.
        device: Where to compute.
        generator: Of all random changes.
        has_ignored: Whether the round has pixels of which nothing is known. Targets then carry one
            more channel, which says where; otherwise nothing is computed for them.
        has_left_out: Whether a person left structures out of some slice. Targets then carry a
            channel for `MERGED_CLASS`, and that of ignored pixels.
    """

    network: SegmentationNetwork
    teacher: SegmentationNetwork
    config: TrainingConfig
    stage: StageConfig
    device: ComputeDevice
    generator: torch.Generator
    has_ignored: bool = False
    has_left_out: bool = False

    def weights(self) -> dict[str, float]:
        """Return the weight of each loss in the sum."""
        return {
            SEGMENTATION: 1.0,
            SELF_TRAINING: self.config.pseudo_label_weight,
            CONSISTENCY: self.config.consistency.weight,
            COPY_PASTE: self.config.copy_paste.weight,
            CONTRASTIVE: self.config.contrastive.weight,
        }

    def of(self, batch: StepBatch) -> dict[str, Scalar]:
        """Return each loss of the batch by its name."""
        targets = self._segmentation_targets(batch)
        images = [target.images for target in targets.values()]
        num_segmented = sum(map(len, images))
        if batch.pairs is not None:
            pairs = batch.pairs.images.to(self.device.torch_device)
            images.append(jitter_views(pairs, self.config.contrastive, self.generator))
        together = torch.cat(images).contiguous(memory_format=self.device.memory_format)
        with self.device.autocast():
            logits, embeddings = self.network.segment_and_embed(together, num_segmented)
        sizes = [len(target.images) for target in targets.values()]
        losses = {
            name: self._compare(name, scores, target.targets, self._left_out_of(name, batch))
            for (name, target), scores in zip(targets.items(), logits.split(sizes), strict=True)
        }
        if batch.pairs is not None:
            losses[CONTRASTIVE] = self._contrastive(embeddings, batch.pairs)
        return losses

    def _segmentation_targets(self, batch: StepBatch) -> dict[str, AugmentedBatch]:
        """Changed slices and what the network shall say of them, for each loss on logits."""
        truth = self._with_targets(batch.truth)
        targets = {SEGMENTATION: self._change(truth)}
        if batch.believed is not None:
            targets[SELF_TRAINING] = self._change(self._with_targets(batch.believed))
        if batch.unlabelled is not None:
            taught = self._ask_teacher(batch.unlabelled)
            strong = self.config.consistency.augmentation
            if self.config.consistency.weight:
                targets[CONSISTENCY] = augment(*taught, strong, self.generator)
            if self.config.copy_paste.weight:
                mixed = self._exchange(truth, self._as_known(taught))
                targets[COPY_PASTE] = augment(*mixed, strong, self.generator)
        return targets

    def _with_targets(self, batch: SliceBatch) -> AugmentedBatch:
        device = self.device.torch_device
        classes, number = batch.classes.to(device), self.network.num_classes
        if self._num_more_channels:
            targets = one_hot_with_ignored(classes, number, with_merged=self.has_left_out)
        else:
            targets = one_hot(classes, number)
        return AugmentedBatch(batch.images.to(device), targets)

    @property
    def _num_more_channels(self) -> int:
        """How many channels targets have after those of the classes."""
        return 2 if self.has_left_out else int(self.has_ignored)

    def _left_out_of(self, name: str, batch: StepBatch) -> Bool[Tensor, "batch foreground"] | None:
        """Which structures are left out of the slices of a segmentation loss."""
        slices = {SEGMENTATION: batch.truth, SELF_TRAINING: batch.believed}.get(name)
        if slices is None or not self.has_left_out:
            return None
        if slices.left_out is None:
            none = torch.zeros((len(slices.images), self.network.num_classes - 1), dtype=torch.bool)
            return none.to(self.device.torch_device)
        return slices.left_out.to(self.device.torch_device)

    def _change(self, batch: AugmentedBatch) -> AugmentedBatch:
        return augment(*batch, self.config.augmentation, self.generator)

    @torch.no_grad()
    def _ask_teacher(self, unlabelled: SliceBatch) -> AugmentedBatch:
        """Unchanged slices with the class probabilities that the averaged network sees."""
        images = unlabelled.images.to(self.device.torch_device)
        teacher = self.teacher.eval()
        with self.device.autocast():
            logits = teacher(images.contiguous(memory_format=self.device.memory_format))
        return AugmentedBatch(images, logits.float().softmax(dim=1))

    def _as_known(self, taught: AugmentedBatch) -> AugmentedBatch:
        """Add the channels that the targets of human truth have after the classes."""
        if not self._num_more_channels:
            return taught
        nowhere = torch.zeros_like(taught.targets[:, : self._num_more_channels])
        return AugmentedBatch(taught.images, torch.cat((taught.targets, nowhere), dim=1))

    def _exchange(self, truth: AugmentedBatch, taught: AugmentedBatch) -> AugmentedBatch:
        config = self.config.copy_paste
        number = min(config.num_slices, len(truth.images), len(taught.images))
        rows, columns = truth.images.shape[2:]
        boxes = draw_boxes(number, (rows, columns), config.side_fraction, self.generator)
        return exchange(
            AugmentedBatch(truth.images[:number], truth.targets[:number]),
            AugmentedBatch(taught.images[:number], taught.targets[:number]),
            boxes.to(self.device.torch_device),
        )

    def _compare(
        self, name: str, logits: Tensor, targets: Tensor, left_out: Tensor | None
    ) -> Scalar:
        counts = None
        if self._num_more_channels and name != CONSISTENCY:
            targets, counts = known_part(targets)
            if name == COPY_PASTE and self.has_left_out:  # which class it is, is not known there
                targets, counts = targets[:, :-1], counts & (targets[:, -1] < 0.5)
        if name in (CONSISTENCY, COPY_PASTE):
            confidence = self.config.consistency.min_confidence
            return consistency_loss(logits, targets, min_confidence=confidence, counts=counts)
        return segmentation_loss(
            logits,
            targets,
            dice_weight=self.stage.dice_weight,
            cross_entropy_weight=self.stage.cross_entropy_weight,
            counts=counts,
            left_out=left_out,
        )

    def _contrastive(
        self, embeddings: Float[Tensor, "views embedding rows columns"], pairs: SliceBatch
    ) -> Scalar:
        config = self.config.contrastive
        classes = pairs.classes.to(self.device.torch_device)
        masks = foreground_masks(classes, self.network.num_classes)
        return local_contrastive_loss(
            embeddings.flatten(2),
            masks,
            draw_anchors(masks, config.anchors_per_class, self.generator),
            temperature=config.temperature,
            form=config.form,
            denominator=config.denominator,
            pair_weighting=config.pair_weighting,
        )


def jitter_views(
    images: Float[Tensor, "views 1 rows columns"],
    config: ContrastiveConfig,
    generator: torch.Generator,
) -> Float[Tensor, "views 1 rows columns"]:
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
        )
        for part in (images.chunk(2) if shared else (images,))
    ]
    return torch.cat(changed)

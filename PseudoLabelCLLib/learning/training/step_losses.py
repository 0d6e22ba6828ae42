"""The losses of one step: one forward pass of all its slices, then each term on its own slices."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.training.forward import Forward
from PseudoLabelCLLib.learning.training.loss_terms import (
    EmbeddingTerm,
    Images,
    LogitsTerm,
    LossTerm,
    Scalar,
    StepPart,
)
from PseudoLabelCLLib.learning.training.step_batch import StepBatch
from PseudoLabelCLLib.learning.training.targets import TargetForm


@dataclass(frozen=True)
class StepLosses:
    """Computes the losses of a step's batch.

    Args:
        terms: The losses.
        forward: Shows slices to the network, and to its running average, which says what it sees
            on unlabelled ones.
        form: Of the targets.
        device: Where to compute.
        generator: Of all random changes.
        slices_at_once: How many slices of each image the channels are.
    """

    terms: Sequence[LossTerm]
    forward: Forward
    form: TargetForm
    device: ComputeDevice
    generator: torch.Generator
    slices_at_once: int = 1

    def of(self, batch: StepBatch) -> dict[str, Scalar]:
        """Return each loss of the batch by its name."""
        part = StepPart(batch, self.form, self.generator, self._ask_teacher, self.slices_at_once)
        on_logits = [term for term in self.terms if isinstance(term, LogitsTerm)]
        on_embeddings = [term for term in self.terms if isinstance(term, EmbeddingTerm)]
        changed = [term.change(part) for term in on_logits]
        views = [term.views(part) for term in on_embeddings]
        segmented = [one.images for one in changed]
        together = self.device.laid_out(torch.cat([*segmented, *views]))
        with self.device.autocast():
            logits, embeddings = self.forward.segment_and_embed(together, sum(map(len, segmented)))
        losses = {
            term.name: term.loss(own, one.targets, part)
            for term, one, own in zip(
                on_logits, changed, logits.split([len(s) for s in segmented]), strict=True
            )
        }
        for term, own in zip(on_embeddings, embeddings.split([len(v) for v in views]), strict=True):
            losses[term.name] = term.loss(own, part)
        return losses

    @torch.no_grad()
    def _ask_teacher(self, images: Images) -> Tensor:
        """Return the class probabilities that the averaged network sees."""
        with self.device.autocast():
            logits = self.forward.ask_teacher(self.device.laid_out(images))
        return logits.float().softmax(dim=1)

"""A joint round with one of the contrastive arms beside the product's own losses.

    python Testing/benchmarks/train_with_contrast.py TERM PROJECT

Called by `paired.py`. The product's training is used as it is, but for the losses of a step: the
embeddings of all its slices are computed with them, and the arm's loss is added.
"""

import argparse
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from contrast_arms import ARMS, ContrastArm, Embedded, Step
from contrast_memory import NUM_THIRDS, UNKNOWN, Memory
from torch import Tensor

from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training import training as training_module
from PseudoLabelCLLib.learning.training.forward import Forward
from PseudoLabelCLLib.learning.training.loss_terms import LogitsTerm, StepPart
from PseudoLabelCLLib.learning.training.sampling import SliceBatch, SlicePool
from PseudoLabelCLLib.learning.training.step_batch import Source, StepBatch
from PseudoLabelCLLib.learning.training.step_losses import StepLosses
from PseudoLabelCLLib.messages.jobs import DeviceChoice, TrainJob
from PseudoLabelCLLib.pipeline.run_job import run_job


class WatchedPool(SlicePool):
    """A pool that tells of which case, and from which third of it, each drawn slice is.

    Attributes:
        recent: The last two draws: a step draws from truth first, then from the others.
    """

    recent: ClassVar[deque["Places"]] = deque(maxlen=2)

    def _take(
        self, chosen: Tensor, generator: torch.Generator, wanted: tuple[int, ...] = ()
    ) -> SliceBatch:
        batch = super()._take(chosen, generator, wanted)
        rows = self._place[chosen.numpy()]
        sizes = torch.tensor([len(self._cases[case].images) for case in rows[:, 0]])
        numbers = torch.from_numpy(rows[:, 1]).long()
        thirds = (NUM_THIRDS * numbers // sizes).clamp(max=NUM_THIRDS - 1)
        self.recent.append(Places(thirds, torch.from_numpy(rows[:, 0]).long()))
        return batch


class Places:
    """Where drawn slices are from."""

    def __init__(self, thirds: Tensor, cases: Tensor) -> None:
        self.thirds, self.cases = thirds, cases


class ArmLosses(StepLosses):
    """The losses of a step, and that of an arm.

    Attributes:
        draws: The arm's own random numbers, so that the step's are those without an arm.
    """

    arm: ContrastArm
    draws = torch.Generator().manual_seed(0)
    memory: Memory | None = None
    num_done = 0
    num_steps = 1

    def of(self, batch: StepBatch) -> Mapping[str, Tensor]:  # type: ignore[override]
        """Return each loss of the batch by its name."""
        network, teacher = networks_of(self.forward)
        terms = [term for term in self.terms if isinstance(term, LogitsTerm)]
        if [term.source for term in terms] != [Source.TRUTH, Source.UNLABELLED]:
            raise SystemExit("Arms are measured beside consistency alone.")
        if self.memory is None:
            size = network.config.embedding_size
            type(self).memory = Memory(network.num_classes, size, self.form.device)
        memory = self.memory
        assert memory is not None
        truth_at, unlabelled_at = WatchedPool.recent
        part = StepPart(batch, self.form, self.generator, self._ask_teacher)
        with self.device.autocast():
            embedded = embed(teacher, self.device.laid_out(part.truth.images))
        known, _ = self.form.one_class(part.truth.targets)
        memory.take(embedded, classes_of(known, 0.5), truth_at.thirds, self.draws)
        self._unlabelled_thirds = unlabelled_at.thirds
        changed = [term.change(part) for term in terms]
        together = self.device.laid_out(torch.cat([one.images for one in changed]))
        with self.device.autocast():
            features = network.features(together)
            logits = network.classifier(network.segmentation_head(features))
            embeddings = network.projection_head(features)
        embeddings = embeddings.float()
        split = len(changed[0].images)
        losses = {
            term.name: term.loss(own, one.targets, part)
            for term, one, own in zip(terms, changed, (logits[:split], logits[split:]), strict=True)
        }
        taught = changed[1].targets
        known, _ = self.form.one_class(changed[0].targets)
        step = Step(
            Embedded(
                embeddings[:split], classes_of(known, 0.5), truth_at.thirds, truth_at.cases
            ),
            Embedded(
                embeddings[split:], classes_of(taught, 0.9), unlabelled_at.thirds,
                unlabelled_at.cases,
            ),
            taught, logits[split:].detach().float().softmax(dim=1),
            self.num_done / self.num_steps, memory, self.draws,
        )  # fmt: skip
        type(self).num_done += 1
        # the sum weighs every loss by that of its term
        losses[terms[0].name] = losses[terms[0].name] + self.arm.weight * self.arm.loss(step)
        return losses

    @torch.no_grad()
    def _ask_teacher(self, images: Tensor) -> Tensor:
        """Return what the teacher sees; nothing where the arm believes otherwise."""
        _, teacher = networks_of(self.forward)
        teacher.eval()
        with self.device.autocast():
            features = teacher.features(self.device.laid_out(images))
            said = teacher.classifier(teacher.segmentation_head(features))
            embedded = teacher.projection_head(features)
        said, memory = said.float().softmax(dim=1), self.memory
        assert memory is not None
        believed = self.arm.believes(embedded, self._unlabelled_thirds, memory)
        if believed is None:
            return said
        disagrees = (believed != said.argmax(dim=1))[:, None]
        return torch.where(disagrees, 1 / said.shape[1], said)


def networks_of(forward: Forward) -> tuple[SegmentationNetwork, SegmentationNetwork]:
    """Return the network that is trained, and its running average."""
    return forward._network, forward._teacher


@torch.no_grad()
def embed(teacher: SegmentationNetwork, images: Tensor) -> Tensor:
    """Return the embeddings of the averaged network."""
    teacher.eval()
    found: Tensor = teacher.projection_head(teacher.features(images))
    return found


def classes_of(probabilities: Tensor, least: float) -> Tensor:
    """Return the most likely class of every pixel, `UNKNOWN` where it is less likely than this."""
    confidence, winner = probabilities.max(dim=1)
    return torch.where(confidence >= least, winner, UNKNOWN)


class Told:
    """A listener that prints what a round says."""

    def progress(self, stage: Text, step: int, num_steps: int) -> None:
        """See `Report`."""

    def metrics(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """See `Report`."""
        print(stage, step, {name: round(value, 4) for name, value in values.items()}, flush=True)

    def notice(self, text: Text, *, warning: bool = False) -> None:
        """See `Report`."""
        print("Warning:" if warning else "Note:", text, flush=True)

    def artifact(self, kind: str, path: Path) -> None:
        """See `Report`."""

    def is_cancelled(self) -> bool:
        """See `Report`."""
        return False


def switch_on(term: str, num_steps: int) -> None:
    """Let every round that is trained in this process have the arm."""
    ArmLosses.arm, ArmLosses.num_steps = ARMS[term](), num_steps
    ArmLosses.memory, ArmLosses.num_done = None, 0
    training_module.StepLosses = ArmLosses  # type: ignore[misc]


def main() -> None:
    """Train the next round of the project."""
    from PseudoLabelCLLib.pipeline.rounds import round_data  # noqa: PLC0415
    from PseudoLabelCLLib.storage.project.project_store import load_project  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("term", choices=[*ARMS])
    parser.add_argument("project", type=Path)
    arguments = parser.parse_args()
    round_data.SlicePool = WatchedPool  # type: ignore[misc]
    config = load_project(arguments.project).config.training
    switch_on(arguments.term, config.joint.num_steps)
    run_job(TrainJob(str(arguments.project), 1, DeviceChoice.CPU), Told())


if __name__ == "__main__":
    sys.exit(main())

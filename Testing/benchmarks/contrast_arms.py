"""Five ways to contrast embeddings of the slices that a joint step sees anyway.

Each is a loss beside the product's own; none needs further views. `paired.py --arm NAME term=TERM`
switches one on. What they were worth stands in `Docs/benchmarks.md`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from contrast_memory import UNKNOWN, Memory
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.domain.method_config import Denominator
from PseudoLabelCLLib.learning.losses.cosine import cosines
from PseudoLabelCLLib.learning.losses.local_contrast import draw_anchors, local_contrastive_loss
from PseudoLabelCLLib.learning.shapes import Bool, Float, Int

Embeddings = Float[Tensor, "slices embedding rows columns"]
Classes = Int[Tensor, "slices rows columns"]
Scalar = Float[Tensor, ""]

SURE = 0.9
NUM_QUERIES = 64
NUM_NEGATIVES = 128
BAND_PX = 2


@dataclass(frozen=True)
class Embedded:
    """Changed slices of a step, as the network embeds them.

    Args:
        embeddings: Of every pixel.
        classes: What is believed of it: human truth, or the teacher's most likely class where that
            is sure; `UNKNOWN` elsewhere.
        thirds: In which third of its volume a slice lies.
        cases: Of which case a slice is.
    """

    embeddings: Embeddings
    classes: Classes
    thirds: Int[Tensor, " slices"]
    cases: Int[Tensor, " slices"]


@dataclass(frozen=True)
class Step:
    """What an arm sees of a joint step.

    Args:
        truth: Slices with human truth.
        unlabelled: The others.
        teacher: Class probabilities that the teacher sees on these, changed like them.
        student: What the network says of them.
        done: Share of the round's steps that are done, 0..1.
        memory: Of human truth.
        generator: Of random draws.
    """

    truth: Embedded
    unlabelled: Embedded
    teacher: Float[Tensor, "slices classes rows columns"]
    student: Float[Tensor, "slices classes rows columns"]
    done: float
    memory: Memory
    generator: torch.Generator


class ContrastArm:
    """One loss on embeddings.

    Attributes:
        weight: In the sum of a step.
    """

    weight = 0.1

    def loss(self, step: Step) -> Scalar:
        """Return the loss."""
        raise NotImplementedError

    def believes(
        self, embeddings: Embeddings, thirds: Int[Tensor, " slices"], memory: Memory
    ) -> Classes | None:
        """Return the classes that a pixel must have for the teacher to count; None: any."""
        del embeddings, thirds, memory
        return None


class PrototypeAgreement(ContrastArm):
    """Prototypes learn from truth, and correct the consistency target: both must agree.

    The loss is the cross-entropy of a pixel's cosines with the prototypes (temperature .1) on human
    truth, each class alike.
    """

    def loss(self, step: Step) -> Scalar:
        """Return the loss."""
        truth = step.truth
        scores = step.memory.scores(truth.embeddings, truth.thirds) / 0.1
        known = truth.classes != UNKNOWN
        terms = functional.cross_entropy(scores, truth.classes.clamp(min=0), reduction="none")
        present = [terms[known & (truth.classes == number)] for number in range(scores.shape[1])]
        return torch.stack([one.mean() for one in present if len(one)]).mean()

    def believes(
        self, embeddings: Embeddings, thirds: Int[Tensor, " slices"], memory: Memory
    ) -> Classes | None:
        """Return the class of the nearest prototype, once all classes have one."""
        if not memory.is_known.any(dim=0).all():
            return None
        return memory.scores(embeddings, thirds).argmax(dim=1)


class CentroidAlignment(ContrastArm):
    """Each unlabelled case's class centroids go to the prototypes of truth (temperature .2).

    Centroids weigh a pixel by the teacher's confidence; the weight rises over the first third.
    """

    def loss(self, step: Step) -> Scalar:
        """Return the loss."""
        slices, probabilities = step.unlabelled, step.teacher
        is_sure = probabilities.amax(dim=1, keepdim=True) >= SURE
        shares = (probabilities * is_sure).flatten(2)  # (slices, classes, pixels)
        embedded = functional.normalize(slices.embeddings.float(), dim=1).flatten(2)
        prototypes, is_known = step.memory.near(slices.thirds)
        terms = []
        for case in slices.cases.unique():
            own = slices.cases == case
            mass = shares[own].sum(dim=(0, 2))  # (classes,)
            sums = torch.einsum("scp,sdp->cd", shares[own], embedded[own])
            scores = cosines(sums / mass.clamp(min=1)[:, None], prototypes[own].mean(dim=0)) / 0.2
            counts = (mass >= NUM_QUERIES) & is_known[own][0]
            labels = torch.arange(len(mass), device=mass.device)
            terms.append(functional.cross_entropy(scores, labels, reduction="none")[counts])
        found = torch.cat(terms)
        rising = min(1.0, 3 * step.done)
        return rising * found.sum() / max(1, len(found))


@dataclass(frozen=True)
class HardQueries(ContrastArm):
    """Pixels of which the teacher is sure and the student is not, against banks of all classes.

    Negatives of a class are bank entries of the others, background among them, and pixels that the
    teacher is unsure of and for which the class is the least likely. Temperature .5.

    Source: Liu et al., ICLR 2022 (ReCo); Wang et al., CVPR 2022 (U2PL); You et al., NeurIPS 2023
        (ARCO).
    """

    weight: float = 0.1

    def loss(self, step: Step) -> Scalar:
        """Return the loss."""
        slices, memory = step.unlabelled, step.memory
        pixels = slices.embeddings.movedim(1, -1)
        prototypes, is_known = memory.near(slices.thirds)
        own_score = step.student.gather(1, slices.classes.clamp(min=0)[:, None])[:, 0]
        is_hard = (slices.classes != UNKNOWN) & (own_score < 0.97)
        unsure = step.teacher.amax(dim=1) < 0.6
        least = step.teacher.argmin(dim=1)
        terms = []
        for number in range(step.teacher.shape[1]):
            queries = pixels[is_hard & (slices.classes == number)]
            others = [bank for c, bank in enumerate(memory.banks) if c != number]
            others.append(
                _some(pixels[unsure & (least == number)].detach(), NUM_QUERIES, step.generator)
            )
            negatives = _some(torch.cat(others), NUM_NEGATIVES, step.generator)
            if not (len(queries) and len(negatives) and bool(is_known[0, number])):
                continue
            queries = _some(queries, NUM_QUERIES, step.generator)
            positive = cosines(queries, prototypes[:, number].mean(dim=0)[None])
            scores = torch.cat((positive, cosines(queries, negatives)), dim=1) / 0.5
            terms.append(-scores.log_softmax(dim=1)[:, 0])
        return torch.cat(terms).mean() if terms else slices.embeddings.sum() * 0


class BoundaryBand(ContrastArm):
    """Pixels at a boundary go to the inner mean of their class, away from those across it."""

    def loss(self, step: Step) -> Scalar:
        """Return the loss."""
        terms = [
            _band_terms(embedded, classes, step.generator)
            for part in (step.truth, step.unlabelled)
            for embedded, classes in zip(part.embeddings, part.classes, strict=True)
        ]
        found = torch.cat(terms)
        return found.mean() if len(found) else step.truth.embeddings.sum() * 0


def _band_terms(
    embeddings: Float[Tensor, "embedding rows columns"],
    classes: Int[Tensor, "rows columns"],
    generator: torch.Generator,
) -> Float[Tensor, " anchors"]:
    """Return the terms of a slice's anchors, temperature .1."""
    pixels = embeddings.movedim(0, -1)
    present = [int(number) for number in classes.unique() if number != UNKNOWN]
    masks = torch.stack([classes == number for number in present])
    inner = _eroded(masks)
    band = masks & ~inner & _grown(masks).sum(dim=0, keepdim=True).ge(2)
    terms = []
    for number in range(len(present)):
        anchors, inside = pixels[band[number]], pixels[inner[number]]
        across = pixels[band[torch.arange(len(present)) != number].any(dim=0)]
        if len(anchors) and len(inside) and len(across):
            chosen = _some(anchors, 32, generator)
            means = functional.normalize(inside.float(), dim=1).mean(dim=0)[None]
            scores = torch.cat(
                (cosines(chosen, means), cosines(chosen, _some(across, NUM_QUERIES, generator))),
                dim=1,
            )
            terms.append(-(scores / 0.1).log_softmax(dim=1)[:, 0])
    return torch.cat(terms) if terms else embeddings.new_zeros(0)


def _grown(masks: Bool[Tensor, "classes rows columns"]) -> Bool[Tensor, "classes rows columns"]:
    side = 2 * BAND_PX + 1
    return functional.max_pool2d(masks[None].float(), side, 1, BAND_PX)[0] > 0


def _eroded(masks: Bool[Tensor, "classes rows columns"]) -> Bool[Tensor, "classes rows columns"]:
    return ~_grown(~masks) & masks


class PublishedLoss(ContrastArm):
    """The published loss between slices with truth and unlabelled ones, paired by position.

    Ten anchors per class, means of the target slice alone below the line, temperature .1.

    Source: Chaitanya et al., MedIA 2023, equations 3-4.
    """

    def loss(self, step: Step) -> Scalar:
        """Return the loss."""
        number = min(len(step.truth.thirds), len(step.unlabelled.thirds))
        first = step.truth.thirds[:number]
        partners = _nearest(first, step.unlabelled.thirds)
        embeddings = torch.cat(
            (step.truth.embeddings[:number], step.unlabelled.embeddings[partners])
        )
        classes = torch.cat((step.truth.classes[:number], step.unlabelled.classes[partners]))
        structures = range(1, step.teacher.shape[1])
        masks = torch.stack([classes == c for c in structures], dim=1).flatten(2)
        return local_contrastive_loss(
            embeddings.flatten(2),
            masks,
            draw_anchors(masks, 10, step.generator),
            temperature=0.1,
            denominator=Denominator.TARGET_ONLY,
        )


def _nearest(thirds: Int[Tensor, " first"], others: Int[Tensor, " others"]) -> list[int]:
    """Return for each slice one of the others from the same third, each once where possible."""
    free, found = list(range(len(others))), []
    for third in thirds.tolist():
        apart = [abs(int(others[one]) - third) for one in free]
        found.append(free.pop(apart.index(min(apart))))
    return found


def _some(
    rows: Float[Tensor, "rows embedding"], most: int, generator: torch.Generator
) -> Float[Tensor, "chosen embedding"]:
    if len(rows) <= most:
        return rows
    return rows[torch.randperm(len(rows), generator=generator)[:most]]


ARMS: dict[str, Callable[[], ContrastArm]] = {
    "prototype-agreement": PrototypeAgreement,
    "centroid-alignment": CentroidAlignment,
    "hard-queries": HardQueries,
    "hard-queries-weak": lambda: HardQueries(weight=0.01),
    "boundary-band": BoundaryBand,
    "published-loss": PublishedLoss,
}


def arms_named(names: Sequence[str]) -> list[ContrastArm]:
    """Return the arms of these names."""
    return [ARMS[name]() for name in names]

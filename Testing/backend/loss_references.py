"""The contrastive losses as loops over anchors, positives and negatives, one cosine at a time.

Written from the formulas, without any of the library's shortcuts, and differentiable. Layouts of
the batches are those that the library documents.
"""

import math

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from PseudoLabelCLLib.domain.method_config import ContrastForm, Denominator, PairWeighting
from PseudoLabelCLLib.domain.pretraining_config import GlobalStrategy, LocalStrategy

ANCHOR_REGIONS = (
    (0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4), (4, 0), (4, 2), (4, 4), (1, 1), (1, 3), (3, 1),
    (3, 3),
)  # fmt: skip
ONLY_NEGATIVE_REGIONS = ((1, 2), (2, 1), (2, 3), (3, 2))
REGIONS = ANCHOR_REGIONS + ONLY_NEGATIVE_REGIONS
# In quarters of the map, as published: anchor -> the five regions that it is told from.
NEGATIVE_REGIONS = {
    (0, 0): ((0, 2), (1, 1), (1, 2), (2, 0), (2, 1)),
    (0, 2): ((0, 0), (0, 4), (1, 1), (1, 3), (2, 2)),
    (0, 4): ((0, 2), (1, 2), (1, 3), (2, 3), (2, 4)),
    (2, 0): ((0, 0), (1, 1), (2, 2), (4, 0), (3, 1)),
    (2, 2): ((1, 1), (1, 3), (3, 1), (3, 3), (2, 0)),
    (2, 4): ((0, 4), (2, 2), (4, 4), (1, 3), (3, 3)),
    (4, 0): ((2, 0), (2, 1), (4, 2), (3, 1), (3, 2)),
    (4, 2): ((2, 2), (4, 0), (4, 4), (3, 1), (3, 3)),
    (4, 4): ((2, 3), (2, 4), (4, 2), (3, 3), (3, 2)),
    (1, 1): ((0, 0), (0, 2), (2, 0), (2, 2), (1, 3)),
    (1, 3): ((0, 2), (0, 4), (1, 1), (2, 2), (2, 4)),
    (3, 1): ((2, 0), (2, 2), (4, 0), (4, 2), (3, 3)),
    (3, 3): ((2, 2), (2, 4), (4, 2), (4, 4), (3, 1)),
}
# Of single pixels, and of nine regions.
NEGATIVE_PIXELS = {
    (0, 0): ((0, 2), (2, 0), (2, 2), (1, 1), (1, 3)),
    (0, 2): ((0, 0), (0, 4), (2, 2), (1, 1), (1, 3)),
    (0, 4): ((0, 2), (2, 2), (2, 4), (3, 1), (1, 3)),
    (2, 0): ((0, 0), (2, 2), (4, 0), (1, 1), (3, 1)),
    (2, 2): ((1, 1), (1, 3), (3, 1), (3, 3), (2, 0)),
    (2, 4): ((0, 4), (2, 2), (4, 4), (1, 3), (3, 3)),
    (4, 0): ((2, 0), (2, 2), (4, 2), (3, 1), (1, 1)),
    (4, 2): ((2, 2), (4, 0), (4, 4), (3, 1), (3, 3)),
    (4, 4): ((2, 2), (2, 4), (4, 2), (3, 3), (3, 2)),
    (1, 1): ((0, 0), (0, 2), (2, 0), (2, 2), (1, 3)),
    (1, 3): ((0, 2), (0, 4), (2, 2), (2, 4), (3, 3)),
    (3, 1): ((2, 0), (2, 2), (4, 0), (0, 2), (1, 1)),
    (3, 3): ((2, 2), (2, 4), (4, 2), (4, 4), (1, 3)),
}
NEGATIVE_OF_NINE = {
    (0, 0): ((0, 2), (2, 0), (2, 2), (0, 4), (4, 0)),
    (0, 2): ((0, 0), (0, 4), (2, 0), (2, 2), (2, 4)),
    (0, 4): ((0, 0), (0, 2), (2, 2), (2, 4), (4, 4)),
    (2, 0): ((0, 0), (0, 2), (2, 2), (4, 0), (4, 2)),
    (2, 2): ((0, 0), (0, 2), (2, 0), (2, 4), (4, 2)),
    (2, 4): ((0, 2), (0, 4), (2, 2), (4, 2), (4, 4)),
    (4, 0): ((0, 0), (2, 0), (2, 2), (4, 2), (4, 4)),
    (4, 2): ((2, 0), (2, 2), (2, 4), (4, 0), (4, 4)),
    (4, 4): ((0, 4), (2, 2), (2, 4), (4, 0), (4, 2)),
}


def score(first, second, temperature):
    """e^{cosine / tau} of two vectors."""
    return torch.exp(torch.dot(first, second) / (first.norm() * second.norm()) / temperature)


def local_contrastive_reference(  # noqa: PLR0913 - mirrors the library's signature
    embeddings,
    masks,
    anchors,
    *,
    temperature,
    form=ContrastForm.INTER,
    denominator=Denominator.BOTH,
    pair_weighting=PairWeighting.UNIFORM,
):
    views, present, drawn = embeddings.unbind(0), masks.any(dim=2).tolist(), anchors.tolist()
    num_pairs, num_classes = len(views) // 2, masks.shape[1]
    classes = range(num_classes)
    means = [
        {
            c: (view * mask[c]).sum(dim=1) / mask[c].sum()
            for c in classes
            if present[number][c]
        }
        for number, (view, mask) in enumerate(zip(views, masks, strict=True))
    ]  # fmt: skip
    inter = form is ContrastForm.INTER
    num_terms, running = 0, embeddings.new_zeros(())
    for pair in range(num_pairs):
        for own, partner in ((pair, pair + num_pairs), (pair + num_pairs, pair)):
            for c in classes:
                if not (present[own][c] and present[partner][c]):
                    continue
                for pixel in drawn[own][c]:
                    anchor = views[own][:, pixel]
                    targets = (own, partner) if inter else (own,)
                    for target in targets:
                        both = inter and denominator is Denominator.BOTH
                        total = sum(
                            score(anchor, mean, temperature)
                            for image in ((own, partner) if both else (target,))
                            for mean in means[image].values()
                        )
                        positive = score(anchor, means[target][c], temperature)
                        running = running - torch.log(positive / total)
                        num_terms += 1
        if pair_weighting is PairWeighting.LEGACY:
            running = running / ((2 if inter else 1) * num_classes * len(drawn[0][0]))
    return running / (num_pairs if pair_weighting is PairWeighting.LEGACY else max(num_terms, 1))


def alike_slices(strategy, num_views, num_partitions):
    """Pairs of an anchor and a positive, and which partition each view belongs to."""
    if strategy is GlobalStrategy.RANDOM:
        half = num_views // 2
        pairs = [(n, n + half) for n in range(half)] + [(n + half, n) for n in range(half)]
        return pairs, [n % half for n in range(num_views)]
    partitions = [n % num_partitions for n in range(num_views)]
    if strategy is GlobalStrategy.PARTITION_MINUS:
        num_slices = num_views // 3
        sets = [(n, n + num_slices, n + 2 * num_slices) for n in range(num_slices)]
        return [(a, b) for views in sets for a in views for b in views if a != b], partitions
    pairs = []
    for place in range(num_views):
        if place % (2 * num_partitions) >= num_partitions:
            continue
        original = place
        augmented = (place + num_partitions) % num_views
        other = (place + 2 * num_partitions) % num_views
        other_augmented = (place + 3 * num_partitions) % num_views
        for a, b in (
            (original, augmented), (original, other), (other, other_augmented),
            (augmented, other_augmented),
        ):  # fmt: skip
            pairs += [(a, b), (b, a)]
    return pairs, partitions


def global_contrastive_reference(embeddings, strategy, *, num_partitions, temperature):
    views = embeddings.unbind(0)
    pairs, partitions = alike_slices(strategy, len(views), num_partitions)
    loss = embeddings.new_zeros(())
    for anchor, positive in pairs:
        alike = score(views[anchor], views[positive], temperature)
        others = sum(
            score(views[anchor], views[k], temperature)
            for k in range(len(views))
            if partitions[k] != partitions[anchor]
        )
        loss = loss - torch.log(alike / (alike + others))
    return loss / len(views)


def gather_regions_reference(features, side=3):
    rows, columns = features.shape[2:]
    return torch.stack(
        [
            torch.stack([_patch(view, region, rows, columns, side) for region in REGIONS])
            for view in features.unbind(0)
        ]
    )


def _patch(view, region, rows, columns, side):
    beyond = 4 if side == 3 else 1
    top = math.floor(region[0] * (rows - beyond) / 4)
    left = math.floor(region[1] * (columns - beyond) / 4)
    return view[:, top : top + side, left : left + side].reshape(-1)


def region_contrastive_reference(
    regions, strategy, *, num_partitions, temperature, negatives_of=None
):
    negatives_of = negatives_of or NEGATIVE_REGIONS
    views = [dict(zip(REGIONS, view.unbind(0), strict=True)) for view in regions.unbind(0)]
    half = len(views) // 2
    if strategy is LocalStrategy.RANDOM:
        num_negatives = 5
        pairs = [(n, (n + half) % len(views)) for n in range(len(views))]
    else:
        num_negatives = 4
        num_volumes = half // num_partitions
        pairs = []
        for n in range(half):
            volume, part = divmod(n, num_partitions)
            pairs.append((n, n + half))
            others = {(volume + 1) % num_volumes, (volume + 2) % num_volumes} - {volume}
            pairs += [(n, other * num_partitions + part) for other in sorted(others)]
    loss = regions.new_zeros(())
    for a, p in pairs:
        for region in negatives_of:
            anchor = views[a][region]
            alike = score(anchor, views[p][region], temperature)
            others = sum(
                score(anchor, views[image][negative], temperature)
                for image in (a, p)
                for negative in negatives_of[region][:num_negatives]
            )
            loss = loss - torch.log(alike / (alike + others))
    return loss / (len(negatives_of) * len(views))


def positional_contrastive_reference(
    embeddings, positions, *, threshold, temperature, base_temperature
):
    """Positions and threshold may be exact fractions."""
    views = embeddings.unbind(0)
    loss = embeddings.new_zeros(())
    for i, anchor in enumerate(views):
        near = [
            j
            for j in range(len(views))
            if j != i and abs(positions[i] - positions[j]) < threshold
        ]  # fmt: skip
        scores = [score(anchor, view, temperature) for view in views]
        total = sum(scores[k] for k in range(len(views)) if k != i)
        terms = [torch.log(scores[j] / total) for j in near]
        if terms:
            loss = loss - temperature / base_temperature * sum(terms) / len(near)
    return loss / len(views)


def value_and_gradient(loss, embeddings):
    """Of a loss of one tensor."""
    leaf = embeddings.detach().clone().requires_grad_()
    value = loss(leaf)
    value.backward()
    return value.detach(), leaf.grad


def run_without_values(loss, *tensors):
    """Run with shapes alone: what reads a value back, as `.item()` or a mask as index, is refused.

    On a GPU such a read would wait for all work queued so far.
    """
    mode = FakeTensorMode()
    stand_ins = [mode.from_tensor(tensor.detach()) for tensor in tensors]
    with mode:
        stand_ins[0].requires_grad_()
        value = loss(*stand_ins)
        value.backward()
        return value.shape, stand_ins[0].grad.shape

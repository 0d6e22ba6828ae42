"""The local contrastive loss on human truth and pseudo-labels, in its published forms."""

import torch
from torch import Tensor

from PseudoLabelCLLib.domain.method_config import ContrastForm, Denominator, PairWeighting
from PseudoLabelCLLib.learning.losses.cosine import cosines, full_precision
from PseudoLabelCLLib.learning.shapes import Bool, Float, Int
from PseudoLabelCLLib.learning.to_device import to_device

ABSENT_SCORE = -1e9

Embeddings = Float[Tensor, "views embedding pixels"]
Masks = Bool[Tensor, "views classes pixels"]
Terms = Float[Tensor, "views classes anchors"]


def local_contrastive_loss(  # noqa: PLR0913 - three inputs, and the four settings of the loss
    embeddings: Embeddings,
    masks: Masks,
    anchors: Int[Tensor, "views classes anchors"],
    *,
    temperature: float,
    form: ContrastForm = ContrastForm.INTER,
    denominator: Denominator = Denominator.BOTH,
    pair_weighting: PairWeighting = PairWeighting.UNIFORM,
) -> Float[Tensor, ""]:
    """Return how far anchor pixels are from being closest to their class's mean.

    The first half of the views pairs with the second half, row by row. With own and partner means
    m of an anchor z of class c, and s = cosine / tau, an anchor gives

    - intra: one term, -log e^{s(z, m_c)} / sum_k e^{s(z, m_k)}, with its own means;
    - inter: two, one towards its own m_c and one towards the partner's. The sum below the line
      runs over own and partner means ("both", so that ln 2 is the smallest value), or over the
      means of the image alone towards whose mean the term goes ("target-only").

    Background is neither anchor nor mean. A class counts for a pair only where both views have it;
    a class absent from a view is not a negative there. Gradients flow through anchors and means.

    Uniform weighting is the mean over all terms, half the scale of the published code's intended
    sum, which divides the terms of both views by the number of terms of one; without any valid
    anchor the loss is 0 with a zero gradient. Legacy weighting is what that code does: pair k of B,
    counted from 0, weighs d^-(B - k) / B with d = classes x anchors (intra) or twice that (inter),
    on the plain sum of its terms, so that only the last pair counts.

    Args:
        embeddings: Raw output of the projection head.
        masks: Which pixels belong to which foreground class.
        anchors: Pixel indices drawn inside the masks; any index where the mask is empty.
        temperature: tau, above 0.
        form: Where the means come from.
        denominator: Of the inter form; not used by "intra".
        pair_weighting: How pairs are weighted; the order of the pairs matters to "legacy".

    Source: Chaitanya et al., MedIA 2023, equations 3-4 ("target-only"), and the authors' code
        ("both", "legacy"); see Docs/methods.md, "The local contrastive loss".
    """
    half = len(embeddings) // 2
    # a caller's autocast would round the sums over all pixels of a class to 16 bits
    with torch.autocast(embeddings.device.type, enabled=False):
        embeddings = full_precision(embeddings)
        means = _class_means(embeddings, masks)  # (views, classes, embedding)
    present = masks.any(dim=2)  # (views, classes)
    drawn = _gather_anchors(embeddings, anchors)  # (views, classes, anchors, embedding)
    own = _scores(drawn, means, present) / temperature  # (views, classes, anchors, classes)
    if form is ContrastForm.INTRA:
        terms, terms_per_anchor = _terms(own, own), 1
    else:
        partner = _scores(drawn, means.roll(half, 0), present.roll(half, 0)) / temperature
        terms, terms_per_anchor = _inter_terms(own, partner, denominator), 2
    valid = (present & present.roll(half, 0))[:, :, None].expand_as(terms)
    terms = torch.where(valid, terms, 0)
    if pair_weighting is PairWeighting.UNIFORM:
        return terms.sum() / (terms_per_anchor * valid.sum()).clamp(min=1)
    return _legacy_sum(terms, terms_per_anchor)


def draw_anchors(
    masks: Masks, num_anchors: int, generator: torch.Generator
) -> Int[Tensor, "views classes anchors"]:
    """Draw pixel indices uniformly, with replacement, inside each mask; 0 where it is empty."""
    views, classes, _ = masks.shape
    counts = masks.sum(dim=2)  # (views, classes)
    fractions = to_device(
        torch.rand((views, classes, num_anchors), generator=generator, device=generator.device),
        masks.device,
    )
    ranks = (fractions * counts[:, :, None]).long() + 1  # the n-th pixel of the mask
    order = masks.cumsum(dim=2, dtype=torch.int32)  # rises by one at every pixel of the mask
    found = torch.searchsorted(order, ranks.to(torch.int32))
    return torch.where(counts[:, :, None] > 0, found, 0)


def _class_means(embeddings: Embeddings, masks: Masks) -> Float[Tensor, "views classes embedding"]:
    weights = masks.to(embeddings.dtype)
    sums = torch.einsum("vcp,vdp->vcd", weights, embeddings)
    # clamped before the division: 0 / 0 would leak NaN into the gradient
    return sums / weights.sum(dim=2, keepdim=True).clamp(min=1)


def _gather_anchors(
    embeddings: Embeddings, anchors: Int[Tensor, "views classes anchors"]
) -> Float[Tensor, "views classes anchors embedding"]:
    views, classes, num_anchors = anchors.shape
    index = anchors.reshape(views, 1, -1).expand(-1, embeddings.shape[1], -1)
    drawn = embeddings.gather(2, index)  # (views, embedding, classes * anchors)
    return drawn.movedim(1, 2).reshape(views, classes, num_anchors, -1)


def _scores(
    drawn: Float[Tensor, "views classes anchors embedding"],
    means: Float[Tensor, "views classes embedding"],
    present: Bool[Tensor, "views classes"],
) -> Float[Tensor, "views classes anchors classes"]:
    """Cosine of every anchor with every class mean, -inf-like where the class is absent."""
    cosine = cosines(drawn.flatten(1, 2), means).unflatten(1, drawn.shape[1:3])
    return torch.where(present[:, None, None, :], cosine, ABSENT_SCORE)


def _inter_terms(own: Tensor, partner: Tensor, denominator: Denominator) -> Terms:
    """Sum of an anchor's term towards its own mean and that towards its partner's."""
    if denominator is Denominator.TARGET_ONLY:
        return _terms(own, own) + _terms(partner, partner)
    both = torch.cat((own, partner), dim=3)
    return _terms(own, both) + _terms(partner, both)


def _terms(
    towards: Float[Tensor, "views classes anchors classes"],
    among: Float[Tensor, "views classes anchors means"],
) -> Terms:
    of_own_class = towards.diagonal(dim1=1, dim2=3).movedim(2, 1)  # (views, classes, anchors)
    return among.logsumexp(dim=3) - of_own_class


def _legacy_sum(terms: Terms, terms_per_anchor: int) -> Float[Tensor, ""]:
    num_pairs = len(terms) // 2
    sums = terms.sum(dim=(1, 2)).reshape(2, num_pairs).sum(dim=0)  # (pairs,)
    divisor = terms_per_anchor * terms.shape[1] * terms.shape[2]
    times_divided = torch.arange(num_pairs, 0, -1, device=terms.device, dtype=terms.dtype)
    return (sums * float(divisor) ** -times_divided).sum() / num_pairs

"""The local contrastive loss on human truth and pseudo-labels, in its inter-image form."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

COSINE_EPSILON = 1e-8

Embeddings = Float[Tensor, "views embedding pixels"]
Masks = Bool[Tensor, "views classes pixels"]


def local_contrastive_loss(
    embeddings: Embeddings,
    masks: Masks,
    anchors: Int[Tensor, "views classes anchors"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Return the mean inter-image term over all anchors: pixels near their class's mean.

    The first half of the views pairs with the second half, row by row. With own and partner means
    m of an anchor z of class c, each anchor gives two terms,

        -log e^{s(z, m_c)} / sum_k (e^{s(z, m_k own)} + e^{s(z, m_k partner)}),  s = cosine / tau,

    one with its own m_c, one with the partner's. Background is neither anchor nor mean. A class
    counts for a pair only where both views have it; a class absent from a view is no negative
    there. Without any valid anchor the loss is 0 with a zero gradient. Gradients flow through
    anchors and means.

    Args:
        embeddings: Raw output of the projection head.
        masks: Which pixels belong to which foreground class.
        anchors: Pixel indices drawn inside the masks; any index where the mask is empty.
        temperature: tau, above 0.

    Source: Chaitanya et al., MedIA 2023, equations 3-4, with the denominator of the authors' code
        (own and partner means, floor ln 2); see Docs/methods.md, "The local contrastive loss".
    """
    # float64 stays, half precision becomes float32: e^{1 / tau} overflows 16 bits
    dtype = torch.promote_types(embeddings.dtype, torch.float32)
    embeddings = embeddings.to(dtype)
    half = len(embeddings) // 2
    present = masks.any(dim=2)  # (views, classes)
    means = _class_means(embeddings, masks)  # (views, classes, embedding)
    drawn = _gather_anchors(embeddings, anchors)  # (views, classes, anchors, embedding)
    own = _similarity(drawn, means, present) / temperature
    partner = _similarity(drawn, means.roll(half, 0), present.roll(half, 0)) / temperature
    log_total = torch.logsumexp(
        torch.cat((own, partner), dim=3), dim=3
    )  # (views, classes, anchors)
    to_own = own.diagonal(dim1=1, dim2=3).movedim(2, 1)
    to_partner = partner.diagonal(dim1=1, dim2=3).movedim(2, 1)
    terms = 2 * log_total - to_own - to_partner
    valid = (present & present.roll(half, 0))[:, :, None].expand_as(terms)
    return torch.where(valid, terms, 0).sum() / (2 * valid.sum()).clamp(min=1)


def draw_anchors(
    masks: Masks, num_anchors: int, generator: torch.Generator
) -> Int[Tensor, "views classes anchors"]:
    """Draw pixel indices uniformly, with replacement, inside each mask; 0 where it is empty."""
    views, classes, _ = masks.shape
    counts = masks.sum(dim=2)  # (views, classes)
    fractions = torch.rand(
        (views, classes, num_anchors), generator=generator, device=generator.device
    ).to(masks.device)
    ranks = (fractions * counts[:, :, None]).long() + 1  # the n-th pixel of the mask
    order = masks.cumsum(dim=2, dtype=torch.int32)  # rises by one at every pixel of the mask
    found = torch.searchsorted(order, ranks.to(torch.int32))
    return torch.where(counts[:, :, None] > 0, found, 0)


def _class_means(embeddings: Tensor, masks: Tensor) -> Tensor:
    weights = masks.to(embeddings.dtype)
    sums = torch.einsum("vcp,vdp->vcd", weights, embeddings)
    # clamped before the division: 0 / 0 would leak NaN into the gradient
    return sums / weights.sum(dim=2, keepdim=True).clamp(min=1)


def _gather_anchors(embeddings: Tensor, anchors: Tensor) -> Tensor:
    views, classes, num_anchors = anchors.shape
    index = anchors.reshape(views, 1, -1).expand(-1, embeddings.shape[1], -1)
    drawn = embeddings.gather(2, index)  # (views, embedding, classes * anchors)
    return drawn.movedim(1, 2).reshape(views, classes, num_anchors, -1)


def _similarity(drawn: Tensor, means: Tensor, present: Tensor) -> Tensor:
    """Cosine of every anchor with every class mean, -inf-like where the class is absent."""
    drawn = functional.normalize(drawn, dim=3, eps=COSINE_EPSILON)
    means = functional.normalize(means, dim=2, eps=COSINE_EPSILON)
    cosine = torch.einsum("vcne,vke->vcnk", drawn, means)
    return torch.where(present[:, None, None, :], cosine, -1e9)

"""A backbone with a segmentation head and a projection head (Docs/methods.md)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.learning.networks.backbone import Features, Images, build_backbone
from PseudoLabelCLLib.learning.networks.layers import (
    IN_PLANE,
    batch_norm,
    convolution,
    convolution_unit,
    initialise,
)
from PseudoLabelCLLib.learning.shapes import Float


class SegmentationNetwork(nn.Module):
    """A backbone and two heads on its full-resolution features.

    The sides of the input must be multiples of `NetworkConfig.multiple`, 32 in 2-D.

    Args:
        config: The backbone and its widths, in 3-D also its levels.
        num_classes: Classes, background included.
        generator: Where all initial weights are drawn from, the backbone's first; None where
            weights are loaded next.
        num_channels: Of its input: the images of one patient that it sees at once, and of each the
            neighbouring slices.

    Source: Chaitanya et al., MedIA 2023, section 4.3 and its code.
    """

    def __init__(
        self,
        config: NetworkConfig,
        num_classes: int,
        generator: torch.Generator | None,
        num_channels: int = 1,
    ) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        self.num_channels = num_channels
        # layers draw weights as they are made; those are replaced, and nobody else's numbers change
        with torch.random.fork_rng(devices=[]):
            self.backbone = build_backbone(config, num_channels)
            self._add_heads(self.backbone.decoder_width())
        if generator is not None:
            initialise(self, generator)

    def _add_heads(self, width: int) -> None:
        config, momentum = self.config, self.config.batch_norm_momentum
        kernel: Sequence[int] = config.kernels[0] if config.kernels else IN_PLANE
        point, size = (1,) * len(kernel), config.embedding_size
        self.segmentation_head = nn.Sequential(
            convolution_unit(width, width, momentum, kernel=kernel, bias=False),
            convolution_unit(width, width, momentum, kernel=kernel, bias=False),
        )
        self.classifier = convolution(width, self.num_classes, kernel, bias=False)
        self.projection_head = nn.Sequential(
            convolution(width, size, point, bias=False),
            batch_norm(size, momentum, len(kernel)),
            nn.ReLU(inplace=True),
            convolution(size, size, point, bias=False),
        )

    def reset_segmentation_head(self, generator: torch.Generator) -> None:
        """Give the segmentation head new random weights and forget what it averaged.

        Source: The published code of method A does so at the start of every joint round.
        """
        initialise(self.segmentation_head, generator)
        initialise(self.classifier, generator)

    def features(self, images: Images) -> Features:
        """Return the decoder's full-resolution features."""
        return self.backbone.decode(self.backbone.encode(images))

    def forward(self, images: Images) -> Float[Tensor, "batch classes *space"]:
        """Return the class scores (logits) of every pixel or voxel."""
        logits: Tensor = self.classifier(self.segmentation_head(self.features(images)))
        return logits

    def segment_and_embed(
        self, images: Images, num_segmented: int
    ) -> tuple[
        Float[Tensor, "segmented classes *space"],
        Float[Tensor, "embedded embedding *space"],
    ]:
        """Return logits of the first `num_segmented` images and embeddings of the others.

        All images share the backbone and the hidden layers of the segmentation head, so that
        the statistics of batch normalisation mix human truth and pseudo-labelled slices.

        Source: Chaitanya et al., MedIA 2023, code; see Docs/methods.md, "The joint step".
        """
        features = self.features(images)
        logits = self.classifier(self.segmentation_head(features)[:num_segmented])
        return logits, self.projection_head(features[num_segmented:])

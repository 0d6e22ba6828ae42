"""What a contrastive arm remembers of human truth over the steps: prototypes and banks."""

import torch
from torch import Tensor

from PseudoLabelCLLib.learning.losses.cosine import cosines
from PseudoLabelCLLib.learning.shapes import Bool, Float, Int

KEEP = 0.95
NUM_THIRDS = 3  # base, middle and apex: prototypes by position along the slices
BANK_SIZE = 256
UNKNOWN = -1


class Memory:
    """Running means and last embeddings of every class, as the averaged network embeds truth.

    Args:
        num_classes: Background included.
        embedding_size: Channels of the embeddings.
        device: Where they lie.
    """

    def __init__(self, num_classes: int, embedding_size: int, device: torch.device) -> None:
        shape = (NUM_THIRDS, num_classes)
        self.prototypes = torch.zeros((*shape, embedding_size), device=device)
        self.is_known = torch.zeros(shape, dtype=torch.bool, device=device)
        self.banks = [torch.zeros((0, embedding_size), device=device) for _ in range(num_classes)]

    def take(
        self,
        embeddings: Float[Tensor, "slices embedding rows columns"],
        classes: Int[Tensor, "slices rows columns"],
        thirds: Int[Tensor, " slices"],
        generator: torch.Generator,
    ) -> None:
        """Move the prototypes towards these slices, and put some of their pixels into the banks."""
        unit = torch.nn.functional.normalize(embeddings.detach().float(), dim=1).movedim(1, -1)
        for third in range(NUM_THIRDS):
            own, there = unit[thirds == third], classes[thirds == third]
            for number in range(len(self.banks)):
                pixels = own[there == number]
                if len(pixels):
                    self._move(third, number, pixels.mean(dim=0))
                    chosen = torch.randint(len(pixels), (32,), generator=generator)
                    self.banks[number] = torch.cat((self.banks[number], pixels[chosen]))[
                        -BANK_SIZE:
                    ]

    def _move(self, third: int, number: int, mean: Float[Tensor, " embedding"]) -> None:
        if self.is_known[third, number]:
            mean = KEEP * self.prototypes[third, number] + (1 - KEEP) * mean
        self.prototypes[third, number], self.is_known[third, number] = mean, True

    def near(
        self, thirds: Int[Tensor, " slices"]
    ) -> tuple[Float[Tensor, "slices classes embedding"], Bool[Tensor, "slices classes"]]:
        """Return each slice's prototypes: of its own third, else the mean of those there are."""
        counts = self.is_known.sum(dim=0)[:, None]
        anywhere = (self.prototypes * self.is_known[..., None]).sum(dim=0) / counts.clamp(min=1)
        own = torch.where(self.is_known[..., None], self.prototypes, anywhere)
        return own[thirds], (counts[:, 0] > 0).expand(len(thirds), -1)

    def scores(
        self,
        embeddings: Float[Tensor, "slices embedding rows columns"],
        thirds: Int[Tensor, " slices"],
    ) -> Float[Tensor, "slices classes rows columns"]:
        """Return the cosine of every pixel with the prototypes of its slice; -1 where unknown."""
        prototypes, is_known = self.near(thirds)
        found = cosines(embeddings.flatten(2).mT, prototypes)  # (slices, pixels, classes)
        found = torch.where(is_known[:, None], found, -1.0)
        return found.mT.unflatten(2, embeddings.shape[2:])

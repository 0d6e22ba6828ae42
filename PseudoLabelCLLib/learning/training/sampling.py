"""Batches of slices: which slices of human truth and of pseudo-labels a step sees."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from PseudoLabelCLLib.learning.shapes import Bool, Float, Int
from PseudoLabelCLLib.learning.to_device import most_resident_bytes, to_device
from PseudoLabelCLLib.learning.training.patches import Patches, PatchPlaces, cut

# Slices without any structure are most of a long scan; this share of the draws shows some.
FOREGROUND_SHARE = 0.67

# The class index of a pixel of which nothing is known: it is truth, and pseudo-label, for nothing.
IGNORED_CLASS = 255

# The class index of a pixel outside the structures that a person accepted, where that person left
# others out: it is background or one of those.
MERGED_CLASS = 254

# Of so many draws the published code takes the first slices that show every class.
_PUBLISHED_DRAWS = 300
SLICES_OF_A_KIND = 5


@dataclass(frozen=True)
class LabelledSlices:
    """Slices of one case on the network's grid, all or some of them.

    Args:
        images: Intensities, shape (slices, channels, rows, columns), float32; may be mapped from
            disk.
        classes: Class indices, `MERGED_CLASS` or `IGNORED_CLASS`, shape (slices, rows, columns),
            uint8; may be mapped from disk.
        chosen: Numbers of the slices that take part; None means all. The arrays stay whole, since
            taking slices out of a mapped array copies them into memory.
        left_out: Which foreground classes `MERGED_CLASS` stands for beside background, shape
            (slices, foreground classes); None if no slice has any.
    """

    images: npt.NDArray[np.float32]
    classes: npt.NDArray[np.uint8]
    chosen: npt.NDArray[np.intp] | None = None
    left_out: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """Return how many slices take part."""
        return len(self.numbers)

    @property
    def numbers(self) -> npt.NDArray[np.intp]:
        """Which slices of the arrays take part."""
        return np.arange(len(self.images)) if self.chosen is None else self.chosen


class SliceBatch(NamedTuple):
    """Drawn slices with their class indices, `IGNORED_CLASS` where nothing is known.

    Args:
        images: Intensities; `space` is rows and columns, in 3-D slices, rows and columns.
        classes: Class indices, `MERGED_CLASS` or `IGNORED_CLASS`.
        left_out: Which foreground classes `MERGED_CLASS` stands for beside background; None if no
            slice of the pool has any.
    """

    images: Float[Tensor, "batch channels *space"]
    classes: Int[Tensor, "batch *space"]
    left_out: Bool[Tensor, "batch foreground"] | None = None


class SlicePool:
    """All slices of some cases, drawn from at random: whole, or a patch of each.

    Voxels stay where they are, such as on disk, until they are drawn, or are kept on a device. In
    memory lie a few bytes per slice: its place, and which classes it shows.

    Args:
        cases: The slices.
        num_classes: Background included.
        patches: How patches are drawn; None draws whole slices, which then are of one size.
    """

    def __init__(
        self,
        cases: Sequence[LabelledSlices],
        num_classes: int,
        patches: Patches | None = None,
    ) -> None:
        self._cases = tuple(cases)
        self.patches = patches
        self.num_classes = num_classes
        places = [(c, s) for c, case in enumerate(cases) for s in case.numbers]
        self._place = np.array(places, dtype=np.int32).reshape(-1, 2)  # (slices, case and slice)
        self._present = _classes_present(self._cases, num_classes)  # (slices, foreground classes)
        self._left_out = _left_out_classes(self._cases, num_classes)  # as `_present`, or None
        self.has_ignored = _has_ignored(self._cases) or self._has_blocks_with_gaps
        self._device = torch.device("cpu")
        self._resident: SliceBatch | None = None

    def __len__(self) -> int:
        return len(self._place)

    @property
    def has_left_out(self) -> bool:
        """Whether a person left structures out of some slice."""
        return self._left_out is not None

    @property
    def _has_blocks_with_gaps(self) -> bool:
        """Whether blocks can hold slices that do not take part: nothing is known of those."""
        is_block = self.patches is not None and self.patches.is_block
        return is_block and any(len(case) < len(case.images) for case in self._cases)

    def bring_to(self, device: torch.device, most_bytes: int | None = None) -> bool:
        """Let every draw arrive on a device, and keep the slices there if they are small.

        Draws of slices that are kept are gathered there, and nothing but their numbers travels.
        Patches are cut on the host: their slices differ in size.

        Args:
            device: Where draws shall arrive.
            most_bytes: What the slices may take there; None goes by its free memory.

        Returns:
            Whether they are kept.
        """
        self._device = device
        if not len(self) or self.patches is not None:
            return False
        images, classes = self._cases[0].images, self._cases[0].classes
        in_slice = 4 * math.prod(images.shape[1:]) + math.prod(classes.shape[1:])  # float32, uint8
        if most_bytes is None:
            most_bytes = most_resident_bytes(device)
        if len(self) * in_slice > most_bytes:
            return False
        try:
            self._resident = self._copied_to(device)
        except torch.OutOfMemoryError:  # drawing from their place works too, only slower
            return False
        return True

    def _copied_to(self, device: torch.device) -> SliceBatch:
        shape = self._cases[0].images.shape[1:]
        images = torch.empty((len(self), *shape), device=device)
        classes = torch.empty((len(self), *shape[1:]), dtype=torch.uint8, device=device)
        start = 0
        for case in self._cases:  # one case at a time: the host's memory may be the smaller one
            end = start + len(case)
            images[start:end] = torch.from_numpy(case.images[case.numbers].astype(np.float32))
            classes[start:end] = torch.from_numpy(case.classes[case.numbers])
            start = end
        return SliceBatch(images, classes)

    def draw(
        self, num_slices: int, generator: torch.Generator, *, min_structures: int = 0
    ) -> SliceBatch:
        """Draw with replacement; at least two thirds show a structure where there are any.

        Args:
            num_slices: How many.
            generator: Of random numbers.
            min_structures: Only slices that show so many foreground classes are drawn; where none
                does, those that show the most.
        """
        counts = self._present.sum(dim=1)
        shows = (counts > 0).float()
        weights = torch.ones(len(self))
        share = float(shows.mean())
        if 0 < share < FOREGROUND_SHARE:
            weights = torch.where(shows > 0, FOREGROUND_SHARE / share, 1.0)
            weights[shows == 0] = (1 - FOREGROUND_SHARE) / (1 - share)
        weights[counts < min(min_structures, self.most_classes_in_a_slice)] = 0
        chosen = torch.multinomial(weights, num_slices, replacement=True, generator=generator)
        return self._take(chosen, generator)

    def draw_rich(self, num_slices: int, generator: torch.Generator) -> SliceBatch:
        """Draw, each at most once where possible, among the slices that show the most classes."""
        counts = self._present.sum(dim=1)
        rich = (counts == counts.max()).float()
        too_few = int(rich.sum()) < num_slices
        chosen = torch.multinomial(rich, num_slices, replacement=too_few, generator=generator)
        return self._take(chosen, generator)

    def draw_showing(self, classes: Sequence[int], generator: torch.Generator) -> SliceBatch:
        """Draw for every class a slice that shows it, all such slices alike, apex and base too.

        Args:
            classes: Foreground classes, from 1, one for each draw. For one that no slice shows, any
                slice with a structure is drawn. No slice is drawn twice where another would do.
                A patch is centred on a pixel of the class.
            generator: Of random numbers.
        """
        chosen: list[int] = []
        has_any = self._present.any(dim=1)
        for number in classes:
            shows = self._present[:, number - 1]
            shows = next((m for m in (shows, has_any) if m.any()), torch.ones_like(has_any))
            is_free = shows.clone()
            is_free[chosen] = False
            weights = (is_free if is_free.any() else shows).float()
            chosen.append(int(torch.multinomial(weights, 1, generator=generator)))
        return self._take(torch.tensor(chosen), generator, classes)

    @property
    def classes_shown(self) -> list[int]:
        """The foreground classes that some slice shows."""
        shown: list[int] = (self._present.any(dim=0).nonzero().flatten() + 1).tolist()
        return shown

    @property
    def most_classes_in_a_slice(self) -> int:
        """How many foreground classes the richest slice shows."""
        return int(self._present.sum(dim=1).max()) if len(self) else 0

    def draws_enough_complete(self, generator: torch.Generator) -> bool:
        """Draw as the published code does, and tell whether enough slices show every class.

        Source: Chaitanya et al., MedIA 2023, code: 300 slices with replacement, of which five must.
        """
        complete = self._present.all(dim=1).float().mean()
        drawn = torch.rand(_PUBLISHED_DRAWS, generator=generator) < complete
        return int(drawn.sum()) >= SLICES_OF_A_KIND

    @property
    def shows_every_class(self) -> bool:
        """Whether some slice shows all foreground classes; then every rich draw does."""
        return self.most_classes_in_a_slice == self.num_classes - 1

    def _take(
        self, chosen: Int[Tensor, " chosen"], generator: torch.Generator, wanted: Sequence[int] = ()
    ) -> SliceBatch:
        if self.patches is not None:
            return self._cut(chosen.tolist(), self.patches, generator, wanted)
        left_out = None if self._left_out is None else self._left_out[chosen]
        if self._resident is not None:
            there = to_device(chosen, self._device)
            images, classes = (kept[there] for kept in self._resident[:2])
            return SliceBatch(images, classes.long(), left_out)
        return self._read(chosen.tolist())._replace(left_out=left_out)

    def _read(self, chosen: list[int]) -> SliceBatch:
        places = self._place[chosen].tolist()
        images = np.stack([self._cases[c].images[s] for c, s in places])
        classes = np.stack([self._cases[c].classes[s] for c, s in places])
        return self._arriving(images, classes)

    def _arriving(
        self, images: npt.NDArray[np.float32], classes: npt.NDArray[np.uint8]
    ) -> SliceBatch:
        """Return drawn slices on the device of the draws; class indices travel as bytes."""
        return SliceBatch(
            to_device(torch.from_numpy(images.astype(np.float32)), self._device),
            to_device(torch.from_numpy(classes.astype(np.uint8)), self._device).long(),
        )

    def _cut(
        self,
        chosen: list[int],
        patches: Patches,
        generator: torch.Generator,
        wanted: Sequence[int],
    ) -> SliceBatch:
        """Cut a patch out of every chosen slice: on the wanted classes, or as the share says."""
        places = PatchPlaces(patches, len(chosen), generator)
        start = int(torch.randint(self.num_classes, (), generator=generator))
        images, classes = [], []
        for number, one in enumerate(chosen):
            case, own = self._cases[self._place[one, 0]], int(self._place[one, 1])
            in_turn = [
                1 + (start + number + step) % (self.num_classes - 1)
                for step in range(self.num_classes - 1)
            ]
            if wanted:
                in_turn.insert(0, wanted[number])
            elif not places.is_on_structure(number):
                in_turn = []
            known = case.classes[own] != IGNORED_CLASS if self.has_ignored else None
            corner = places.corner(number, case.classes[own], known, in_turn)
            if patches.is_block:
                first = (patches.first_slice(own, len(case.images)), *corner)
                images.append(cut(case.images.swapaxes(0, 1), first, patches.shape))
                classes.append(_block_classes(case, first, patches.shape))
            else:
                images.append(cut(case.images[own], corner, patches.shape))
                classes.append(cut(case.classes[own], corner, patches.shape))
        batch = self._arriving(np.stack(images), np.stack(classes))
        return batch._replace(left_out=self._left_out_around(chosen, patches))

    def _left_out_around(
        self, chosen: list[int], patches: Patches
    ) -> Bool[Tensor, "batch foreground"] | None:
        """Return what is left out of a patch: in a block, of any of its slices that takes part.

        `MERGED_CLASS` then says less of a slice with less left out, and nothing wrong.
        """
        if self._left_out is None or not patches.is_block:
            return None if self._left_out is None else self._left_out[chosen]
        rows = []
        for case, own in self._place[chosen].tolist():
            first = patches.first_slice(own, len(self._cases[case].images))
            is_inside = (self._place[:, 0] == case) & (self._place[:, 1] >= first)
            is_inside &= self._place[:, 1] < first + patches.num_slices
            rows.append(self._left_out[torch.from_numpy(is_inside)].any(dim=0))
        return torch.stack(rows)


@dataclass(frozen=True)
class RoundData:
    """The slices of a round.

    Args:
        truth: Those with human truth.
        pseudo: Those with pseudo-labels; none in round 0.
        slices_at_once: How many slices of each image the channels of a slice are.
    """

    truth: SlicePool
    pseudo: SlicePool
    slices_at_once: int = 1

    @property
    def is_joint(self) -> bool:
        """Whether the losses on unlabelled slices take part."""
        return len(self.pseudo) > 0

    @property
    def has_ignored(self) -> bool:
        """Whether there are pixels that are truth, or pseudo-label, for nothing."""
        return self.truth.has_ignored or self.pseudo.has_ignored

    @property
    def has_left_out(self) -> bool:
        """Whether a person left structures out of some slice."""
        return self.truth.has_left_out or self.pseudo.has_left_out


def _classes_present(
    cases: Sequence[LabelledSlices], num_classes: int
) -> Bool[Tensor, "slices foreground"]:
    rows = [
        [bool((case.classes[s] == c).any()) for c in range(1, num_classes)]
        for case in cases
        for s in case.numbers
    ]
    return torch.tensor(rows, dtype=torch.bool).reshape(len(rows), num_classes - 1)


def _block_classes(
    case: LabelledSlices, corner: Sequence[int], shape: Sequence[int]
) -> npt.NDArray[np.uint8]:
    """Return the class indices of a block, ignored on slices that take no part."""
    block = cut(case.classes, corner, shape)
    if case.chosen is None:
        return block
    takes_part = np.zeros(len(case.images), np.bool_)
    takes_part[case.chosen] = True
    # what lies outside the volume is background, as everywhere
    outside = ~cut(np.ones(len(case.images), np.bool_), corner[:1], shape[:1])
    counts = cut(takes_part, corner[:1], shape[:1]) | outside
    counted: npt.NDArray[np.uint8] = np.where(counts[:, None, None], block, IGNORED_CLASS)
    return counted.astype(np.uint8, copy=False)


def _left_out_classes(
    cases: Sequence[LabelledSlices], num_classes: int
) -> Bool[Tensor, "slices foreground"] | None:
    rows = [
        np.zeros((len(case), num_classes - 1), np.bool_)
        if case.left_out is None
        else case.left_out[case.numbers]
        for case in cases
    ]
    together = np.concatenate(rows) if rows else np.zeros((0, num_classes - 1), np.bool_)
    return torch.from_numpy(together) if together.any() else None


def _has_ignored(cases: Sequence[LabelledSlices]) -> bool:
    return any(
        bool((case.classes[s] == IGNORED_CLASS).any()) for case in cases for s in case.numbers
    )

"""From the click to the review on a GPU: rounds as the product runs them, on packed slices.

What a round does beyond this is not in the times: reading and resampling volumes, checking cases,
checkpoints, the way back to the volumes' own grids with entropies and single pieces, doubt and,
in 3-D, the anatomy prior, writing proposals, and the report.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch
from gpu_day_pack import TEST, Pack, PackedCase, read_pack
from gpu_day_rows import Asked, Found, Rows

from PseudoLabelCLLib.domain.config import Selection
from PseudoLabelCLLib.domain.method_config import Mirror
from PseudoLabelCLLib.learning.copies import CopyTransform, draw_copies
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_device
from PseudoLabelCLLib.learning.inference import Saving, predict_parts
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.patches import Patches
from PseudoLabelCLLib.learning.training.sampling import LabelledSlices, RoundData, SlicePool
from PseudoLabelCLLib.learning.training.training import Trainer, start_training

Classes = npt.NDArray[np.uint8]
# The aim for each round of hearts with its proposals.
MOST_S = 60.0


def hearts(asked: Asked, rows: Rows) -> None:
    """Rounds of hearts in 2-D."""
    _click_to_review("hearts", asked, rows)


def atrium(asked: Asked, rows: Rows) -> None:
    """Rounds of the left atrium in 3-D."""
    _click_to_review("atrium", asked, rows)


def packed(asked: Asked, kind: str) -> Pack:
    """Return a data set in the size that is asked for."""
    whole = read_pack(asked.pack, kind)
    return whole.tiny() if asked.tiny else whole


def new_network(pack: Pack, seed: int = 0) -> SegmentationNetwork:
    """Return random weights."""
    generator = torch.Generator().manual_seed(seed)
    return SegmentationNetwork(pack.config.network, pack.num_classes, generator)


def round_data(
    pack: Pack, pseudo: Sequence[LabelledSlices] = (), *, patches: bool = True
) -> RoundData:
    """Return what a round learns from."""
    shape = pack.preprocess.patch_size
    drawn = Patches(shape, pack.training.structure_share) if patches and shape else None
    truth = [case.slices for case in pack.of_role("annotated")]
    return RoundData(
        SlicePool(truth, pack.num_classes, drawn), SlicePool(pseudo, pack.num_classes, drawn)
    )


@dataclass
class _Rounds:
    """Rounds one after the other; each is measured and leaves what the next one needs."""

    pack: Pack
    device: ComputeDevice
    network: SegmentationNetwork
    pseudo: list[LabelledSlices] = field(default_factory=list)

    def found(self, index: int, *, aims: bool) -> Found:
        """Train a round and propose; returns its times.

        Args:
            index: Of the round; a joint round needs the proposals of the one before, which is run
                first where that was cut off.
            aims: Whether the aim applies.
        """
        if index and not self.pseudo:
            self.found(0, aims=False)
        watch = Watch(self.device)
        with watch.timed("train"):
            best, selected, num_steps = self._train(index)
        with watch.timed("propose"):
            self._propose()
        total = sum(watch.seconds.values())
        scores = [self._dice(case) for case in self.pack.of_role(TEST)]
        dice = float(np.mean(scores))
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in watch.seconds.items())
        text = (
            f"{total:.1f} s ({parts}; {num_steps} steps, {len(self.pseudo)} proposals); "
            f"Dice {dice:.3f} on {len(scores)} test volumes (validation {best:.3f}, "
            f"step {selected})"
        )
        figures = {**watch.seconds, "test_dice": scores, "validation_dice": best}
        if not aims:
            return Found(text, figures=figures)
        return Found(text, f"at most {MOST_S:g} s", total <= MOST_S, figures)

    def _train(self, index: int) -> tuple[float, int, int]:
        """Train, and keep the weights that the product would; returns what it selected."""
        training = self.pack.training
        stage = training.joint if self.pseudo else training.supervised
        seed = training.seed + index
        state = start_training(self.network, stage, self.device, seed)
        data = round_data(self.pack, self.pseudo)
        trainer = Trainer(state, data, training, self.device)
        every = max(1, stage.num_steps // training.validations_per_round)
        best, selected, kept = -1.0, 0, None
        start = [0] if self.pseudo else []
        for step in chain(start, (report.step for report in trainer.steps())):
            if step % every and step != stage.num_steps:
                continue
            found = [self._dice(case, state.average) for case in self.pack.of_role("validation")]
            if np.mean(found) > best or training.selection is Selection.LAST:
                best, selected = float(np.mean(found)), step
                kept = {n: t.detach().clone() for n, t in state.average.state_dict().items()}
        self.network = state.average
        if kept is not None:
            self.network.load_state_dict(kept)
        self.network.requires_grad_(requires_grad=True)
        return best, selected, stage.num_steps

    def _propose(self) -> None:
        config = self.pack.config.pseudo_label
        mirror = config.mirror and self.pack.training.augmentation.mirror is not Mirror.NEVER
        copies = draw_copies(config, self.pack.training.seed, mirror=mirror)
        self.pseudo = [
            LabelledSlices(case.images, self._classes(case, self.network, copies))
            for case in self.pack.of_role("unlabelled")
        ]

    def _dice(self, case: PackedCase, network: SegmentationNetwork | None = None) -> float:
        """Return the Dice of single predictions, on the network's grid."""
        classes = self._classes(case, network or self.network, (CopyTransform(),))
        return mean_dice(classes, case.classes, self.pack.num_classes)

    def _classes(
        self, case: PackedCase, network: SegmentationNetwork, copies: tuple[CopyTransform, ...]
    ) -> Classes:
        found = np.empty((len(case.images), *case.images.shape[2:]), np.uint8)
        said = predict_parts(
            network, case.images, copies, self.device, self.pack.preprocess.patch_size,
            saving=Saving(self.pack.config.pseudo_label.further_copies_from),
        )  # fmt: skip
        for part in said:
            found[part.part] = part.probabilities.argmax(dim=1).cpu().numpy()
        return found


class Watch:
    """Times what is done, to its end on the device.

    Args:
        device: Where.
    """

    def __init__(self, device: ComputeDevice) -> None:
        self._device = device
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time a block."""
        finish(self._device.name)
        start_s = time.perf_counter()
        yield
        finish(self._device.name)
        self.seconds[name] = time.perf_counter() - start_s


def finish(device: str) -> None:
    """Wait until a device has done all it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def mean_dice(found: Classes, reference: Classes, num_classes: int) -> float:
    """Return the mean Dice of the structures that either side has; 1 where neither has any."""
    scores = []
    for number in range(1, num_classes):
        ours, theirs = found == number, reference == number
        if total := int(ours.sum()) + int(theirs.sum()):
            scores.append(2 * int((ours & theirs).sum()) / total)
    return float(np.mean(scores)) if scores else 1.0


def _click_to_review(kind: str, asked: Asked, rows: Rows) -> None:
    pack = packed(asked, kind)
    start_s = time.perf_counter()
    device = choose_device(asked.device, anew=True).for_dimension(pack.preprocess.dimension)
    seconds = time.perf_counter() - start_s
    rows.once("choosing the device, anew", lambda: Found(f"{seconds:.1f} s; {device.sentence}"))
    rounds = _Rounds(pack, device, new_network(pack))
    aims = kind == "hearts" and not asked.tiny
    for index in (0, 1):
        rows.once(f"round {index}", lambda index=index: rounds.found(index, aims=aims))

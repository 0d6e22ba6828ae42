"""What a second image of each patient is worth: structures that only both contrasts tell apart.

    python Testing/benchmarks/two_contrasts.py --output FILE [--seeds 0 1 ...] [--steps N]

A phantom has round structures of three kinds: bright in both images (structure 1), bright in the
first only (structure 2), bright in the second only (background). The first image alone cannot tell
1 from 2, the second alone cannot tell 1 from background and does not show 2. The second image lies
on a finer grid that begins elsewhere, and is brought onto the first one as in a project.

Every seed takes other volumes, and trains from as many random weights with the same settings on
both images, and on each alone. The table has the mean Dice of each structure over the test volumes.
Trainings are short and networks predict single slices without copies: compare the inputs with each
other, not with other tables.
"""

import argparse
import json
import statistics
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from PseudoLabelCLLib.curation.grids.case_images import further_on_grid
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.copies import CopyTransform
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.inference import predict_slices
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.sampling import LabelledSlices, RoundData, SlicePool
from PseudoLabelCLLib.learning.training.training import Trainer, start_training
from PseudoLabelCLLib.pipeline.slices.case_slices import network_classes
from PseudoLabelCLLib.pipeline.slices.network_images import network_channels
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid

# Small, so that the whole table takes minutes on one core.
WINDOW = (32, 32)
WIDTHS = (8, 8, 16, 16, 16, 16)
LEARNING_RATE = 1e-2
NUM_TRAIN, NUM_TEST = 2, 4
NUM_OF_A_KIND = 3
NOISE = 0.12

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry((32, 32, 8), (2.0, 2.0, 5.0), (0.0, 0.0, 0.0), AXIAL)
FINER = Geometry((66, 66, 18), (1.0, 1.0, 2.5), (-1.3, -0.8, -2.1), AXIAL)
SCHEMA = LabelSchema.from_values((1, 2))
CPU = ComputeDevice("cpu", "a CPU", Text("fixed for all runs"), half_precision=False)
# Which channels of the slices a network sees.
INPUTS = {"both": [0, 1], "first": [0], "second": [1]}


@dataclass(frozen=True)
class _Ball:
    """A round structure: its kind (1 and 2 are structures, 3 is background), place and size."""

    kind: int
    center_mm: npt.NDArray[np.float64]
    radius_mm: float

    def covers(self, geometry: Geometry) -> npt.NDArray[np.bool_]:
        """Return which voxels of a grid lie in it, shape (k, j, i)."""
        index = np.stack(np.indices(geometry.array_shape)[::-1], axis=-1)
        distance = np.linalg.norm(geometry.index_to_world(index) - self.center_mm, axis=-1)
        inside: npt.NDArray[np.bool_] = distance < self.radius_mm
        return inside


def phantom(seed: int) -> LabelledSlices:
    """Return the slices of a patient with both images, and the two structures."""
    rng = np.random.default_rng([11, seed])
    balls = _balls(rng)
    truth = np.zeros(GRID.array_shape, np.int16)
    images = []
    for geometry, bright in ((GRID, (1, 2)), (FINER, (1, 3))):
        array = rng.normal(0.2, NOISE, geometry.array_shape)
        for ball in balls:
            if ball.kind in bright:
                array[ball.covers(geometry)] += 0.6
        images.append(Volume(array.astype(np.float32), geometry))
    for ball in balls:
        if ball.kind < 3:
            truth[ball.covers(GRID)] = ball.kind
    placed, _ = further_on_grid(images[0], images[1:], ("first", "second"), f"phantom {seed}")
    config = PreprocessConfig(slicing_axis=2, in_plane_spacing_mm=2.0, window_size=WINDOW)
    grid = slice_grid(images[0], config)
    return LabelledSlices(
        network_channels((images[0], *placed), grid, config),
        network_classes(LabelVolume(truth, GRID), grid, SCHEMA),
    )


def _balls(rng: np.random.Generator) -> list[_Ball]:
    """Return balls of all kinds that do not touch."""
    low, high = np.array((8.0, 8.0, 8.0)), np.array(GRID.extent_mm) - (8.0, 8.0, 8.0)
    balls: list[_Ball] = []
    while len(balls) < 3 * NUM_OF_A_KIND:
        new = _Ball(1 + len(balls) % 3, rng.uniform(low, high), float(rng.uniform(5.0, 8.0)))
        apart = (np.linalg.norm(new.center_mm - o.center_mm) - o.radius_mm for o in balls)
        if all(distance > new.radius_mm + 2 for distance in apart):
            balls.append(new)
    return balls


def seen(slices: LabelledSlices, channels: list[int]) -> LabelledSlices:
    """Return the slices with some of their channels."""
    return replace(slices, images=np.ascontiguousarray(slices.images[:, channels]))


def dice_with(channels: list[int], seed: int, steps: int) -> list[float]:
    """Train on some channels and return the Dice of each structure on the test volumes."""
    volumes = [seen(phantom(100 * seed + n), channels) for n in range(NUM_TRAIN + NUM_TEST)]
    quick = config_for(Profile.QUICK).training
    stage = replace(quick.supervised, num_steps=steps, batch_size=4, learning_rate=LEARNING_RATE)
    network = SegmentationNetwork(
        NetworkConfig(widths=WIDTHS),
        SCHEMA.num_classes,
        torch.Generator().manual_seed(seed),
        len(channels),
    )
    truth = SlicePool(volumes[:NUM_TRAIN], SCHEMA.num_classes)
    data = RoundData(truth, SlicePool((), SCHEMA.num_classes))
    config = replace(quick, supervised=stage)
    trainer = Trainer(start_training(network, stage, CPU, seed), data, config, CPU)
    for _ in trainer.steps():
        pass
    scores: list[list[float]] = [[] for _ in SCHEMA.values]
    for one in volumes[NUM_TRAIN:]:
        found = predict_slices(trainer.state.average, one.images, (CopyTransform(),), CPU)
        for index, dice in enumerate(scores, start=1):
            ours, theirs = found.copies[0] == index, one.classes == index
            dice.append(2 * int((ours & theirs).sum()) / int(ours.sum() + theirs.sum()))
    return [statistics.fmean(dice) for dice in scores]


def main() -> None:
    """Measure every input with every seed, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="file for the figures (JSON)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=150)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    told = {}
    for name, channels in INPUTS.items():
        dice = [dice_with(channels, seed, arguments.steps) for seed in arguments.seeds]
        means = [statistics.fmean(values) for values in zip(*dice, strict=True)]
        told[name] = {"by_seed": dice, "mean": means}
        print(f"{name:8}" + "".join(f"{value:8.3f}" for value in means))
    result = {"steps": arguments.steps, "seeds": arguments.seeds, "dice": told}
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

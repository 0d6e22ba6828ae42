"""What partial truth is worth: structures left out, slices not drawn, structures at the border.

    python Testing/benchmarks/partial_truth.py --what left-out|sparse|border \
        --dataset phantom|hearts|atrium [--data FOLDER] --output FILE [--seeds 0 1 ...] [--steps N]

Every seed takes other volumes, and trains from the same weights with the same draws under each
rule; the table has the mean Dice over structures and test volumes, and the paired differences.

- `left-out`: one volume is wholly annotated; of two more, a person accepted all structures but one.
  "ignored" knows nothing outside the accepted structures, "marginal" knows that they are not there.
- `sparse`: one volume is annotated on every fourth slice. "background" takes the others for empty,
  "drawn" leaves them out.
- `border`: a network of two whole volumes predicts windows in which the structures lie at the
  border, with four copies. "background" counts as background what a copy does not see, "unseen"
  does not count it.

Trainings are short and networks predict single slices without copies (except in `border`): compare
the rules with each other, not with other tables.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats

from PseudoLabelCLLib.curation.samples.sample_data import make_phantom, phantom_schema
from PseudoLabelCLLib.domain.config import Profile, PseudoLabelConfig, TrainingConfig
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.copies import UNSEEN_CLASS, CopyTransform, draw_copies
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.inference import predict_slices
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.sampling import (
    IGNORED_CLASS,
    MERGED_CLASS,
    LabelledSlices,
    SlicePool,
)
from PseudoLabelCLLib.learning.training.training import RoundData, Trainer, start_training
from PseudoLabelCLLib.pipeline.slices.case_slices import network_classes
from PseudoLabelCLLib.pipeline.slices.network_images import network_channels
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import read_volume

Classes = npt.NDArray[np.uint8]

# Small, so that many seeds fit into an hour on one core.
WINDOW = (32, 32)
WIDTHS = (8, 8, 16, 16, 16, 16)
LEARNING_RATE = 1e-2

CPU = ComputeDevice("cpu", "a CPU", Text("fixed for all runs"), half_precision=False)

HEARTS = (2, 42, 95, 22, 62, 3, 23, 43, 63, 94)
HEARTS_TEST = (13, 32, 51, 73)
ATRIA = (1, 2, 3, 4)
ATRIA_TEST = (61, 65)
NUM_PHANTOMS, NUM_PHANTOMS_TEST = 6, 3
EVERY = 4
# Of the window's side, by which structures are moved out of its middle.
SHIFT = 0.34
RULES = {
    "left-out": ("ignored", "marginal"),
    "sparse": ("background", "drawn"),
    "border": ("background", "unseen"),
}


@dataclass(frozen=True)
class Dataset:
    """Volumes on the network's window.

    Args:
        train: Slices with whole truth, one for each volume.
        test: The same of others.
        num_classes: Background included.
    """

    train: tuple[LabelledSlices, ...]
    test: tuple[LabelledSlices, ...]
    num_classes: int


def dataset_of(name: str, data: Path | None) -> Dataset:
    """Read or make the volumes of a data set."""
    if name == "phantom":
        window = PreprocessConfig(in_plane_spacing_mm=4.5, window_size=WINDOW)
        slices = [_phantom(index, window) for index in range(NUM_PHANTOMS + NUM_PHANTOMS_TEST)]
        number = phantom_schema().num_classes
        return Dataset(tuple(slices[:NUM_PHANTOMS]), tuple(slices[NUM_PHANTOMS:]), number)
    if data is None:
        raise SystemExit(f"--dataset {name} needs --data FOLDER with images/ and labels/.")
    if name == "hearts":
        window = PreprocessConfig(slicing_axis=2, in_plane_spacing_mm=4.5, window_size=WINDOW)
        schema, pattern, numbers = LabelSchema.from_values((1, 2, 3)), "patient{:03d}", HEARTS
        test = HEARTS_TEST
    else:
        window = PreprocessConfig(slicing_axis=2, in_plane_spacing_mm=4.2, window_size=WINDOW)
        schema, pattern, numbers = LabelSchema.from_values((1,)), _pattern(data), ATRIA
        test = ATRIA_TEST
    read = [
        tuple(_volume(data, pattern.format(number), schema, window) for number in part)
        for part in (numbers, test)
    ]
    return Dataset(read[0], read[1], schema.num_classes)


def _pattern(data: Path) -> str:
    """How the files of a folder are called, with a number of three digits."""
    name = min(path.name for path in (data / "labels").glob("*.nii.gz")).removesuffix(".nii.gz")
    return name[:-3] + "{:03d}"


def _phantom(index: int, window: PreprocessConfig) -> LabelledSlices:
    phantom = make_phantom(np.random.default_rng([7, index]), oblique=False)
    grid = slice_grid(phantom.volume, window)
    classes = network_classes(phantom.truth, grid, phantom_schema())
    return LabelledSlices(network_channels((phantom.volume,), grid, window), classes)


def _volume(data: Path, name: str, schema: LabelSchema, window: PreprocessConfig) -> LabelledSlices:
    volume = read_volume(data / "images" / f"{name}.nii.gz")
    labels = read_segmentation(data / "labels" / f"{name}.nii.gz", schema)[0]
    grid = slice_grid(volume, window)
    return LabelledSlices(
        network_channels((volume,), grid, window), network_classes(labels, grid, schema)
    )


def truth_of(what: str, rule: str, dataset: Dataset, seed: int) -> list[LabelledSlices]:
    """Return what the network learns from, the same volumes under every rule."""
    order = np.random.default_rng(seed).permutation(len(dataset.train))
    first, *others = (dataset.train[n] for n in order[:3])
    if what == "border":
        return [first, others[0]]
    if what == "left-out":
        rejected = 1 + seed % (dataset.num_classes - 1)
        return [first, *(without(one, rejected, rule, dataset.num_classes) for one in others)]
    shown = np.flatnonzero((first.classes > 0).any(axis=(1, 2)))
    drawn = shown[seed % 2 + 1 :: EVERY]
    if rule == "drawn":
        return [replace(first, chosen=drawn)]
    classes = np.where(
        np.isin(np.arange(len(first.images)), drawn)[:, None, None], first.classes, 0
    )
    return [replace(first, classes=classes.astype(np.uint8))]


def without(slices: LabelledSlices, rejected: int, rule: str, num_classes: int) -> LabelledSlices:
    """Return the slices of a volume of which a structure was left out."""
    is_accepted = (slices.classes > 0) & (slices.classes != rejected)
    outside = MERGED_CLASS if rule == "marginal" else IGNORED_CLASS
    classes = np.where(is_accepted, slices.classes, outside).astype(np.uint8)
    if rule == "ignored":  # slices that show none of the others took no part
        return replace(slices, classes=classes, chosen=np.flatnonzero(is_accepted.any(axis=(1, 2))))
    left_out = np.zeros((len(classes), num_classes - 1), np.bool_)
    left_out[:, rejected - 1] = True
    return replace(slices, classes=classes, left_out=left_out)


def train(
    truth: Sequence[LabelledSlices], num_classes: int, seed: int, steps: int
) -> SegmentationNetwork:
    """Train a network on human truth, as round 0 of `quick` does."""
    quick = config_for(Profile.QUICK).training
    stage = replace(quick.supervised, num_steps=steps, batch_size=4, learning_rate=LEARNING_RATE)
    config: TrainingConfig = replace(quick, supervised=stage)
    network = SegmentationNetwork(
        NetworkConfig(widths=WIDTHS), num_classes, torch.Generator().manual_seed(seed)
    )
    data = RoundData(SlicePool(truth, num_classes), SlicePool((), num_classes))
    trainer = Trainer(start_training(network, stage, CPU, seed), data, config, CPU)
    for _ in trainer.steps():
        pass
    return trainer.state.average


def dice_of(found: Classes, true: Classes, num_classes: int) -> list[float]:
    """Return the Dice of every structure that the truth shows."""
    scores = []
    for index in range(1, num_classes):
        ours, theirs = found == index, true == index
        if theirs.any():
            scores.append(2 * int((ours & theirs).sum()) / int(ours.sum() + theirs.sum()))
    return scores


def test(network: SegmentationNetwork, dataset: Dataset) -> float:
    """Return the mean Dice over test volumes and structures, of single predictions."""
    scores = []
    for one in dataset.test:
        found = predict_slices(network, one.images, (CopyTransform(),), CPU)
        scores += dice_of(found.copies[0], one.classes, dataset.num_classes)
    return statistics.fmean(scores)


def test_at_border(network: SegmentationNetwork, dataset: Dataset, seed: int) -> dict[str, float]:
    """Return the mean Dice under both rules, of windows with the structures at the border."""
    copies = draw_copies(PseudoLabelConfig(), seed, mirror=False)
    scores: dict[str, list[float]] = {rule: [] for rule in RULES["border"]}
    for one in dataset.test:
        shown = np.argwhere(one.classes > 0)
        side = one.images.shape[2]
        move = round(side - 1 - shown[:, 1].mean() - (0.5 - SHIFT) * side)
        images, classes = (_moved(array, move) for array in (one.images, one.classes))
        new = predict_slices(network, images, copies, CPU)
        seen = new.copies != UNSEEN_CLASS
        share = seen.mean(axis=0)  # what a copy does not see was background
        old = new.probabilities * share[:, None]
        old[:, 0] += 1 - share
        for rule, probabilities in (("background", old), ("unseen", new.probabilities)):
            found = probabilities.argmax(axis=1).astype(np.uint8)
            scores[rule] += dice_of(found, classes, dataset.num_classes)
    return {rule: statistics.fmean(values) for rule, values in scores.items()}


def _moved(array: npt.NDArray, rows: int) -> npt.NDArray:  # type: ignore[type-arg]
    """Return slices moved downwards, of which the lower part is lost."""
    moved = np.zeros_like(array)
    moved[..., rows:, :] = array[..., : array.shape[-2] - rows, :]
    return moved


def run_seed(what: str, dataset: Dataset, seed: int, steps: int) -> dict[str, float]:
    """Return the Dice under every rule."""
    if what == "border":
        truth = truth_of(what, "", dataset, seed)
        network = train(truth, dataset.num_classes, seed, steps)
        return test_at_border(network, dataset, seed)
    dice = {}
    for rule in RULES[what]:
        truth = truth_of(what, rule, dataset, seed)
        dice[rule] = test(train(truth, dataset.num_classes, seed, steps), dataset)
    return dice


def interval(values: Sequence[float]) -> str:
    """Return a mean with its 95 % confidence interval by Student's t."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:+.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:+.3f} ({mean - half:+.3f} to {mean + half:+.3f})"


def print_table(what: str, name: str, runs: dict[str, dict[str, float]]) -> None:
    """Print the mean of every rule, and its gain over the first."""
    rules, rows = RULES[what], list(runs.values())
    print("| what | data | seeds | rule | Dice | gain over the first rule |")
    print("|---|---|---|---|---|---|")
    for rule in rules:
        mean = statistics.fmean(row[rule] for row in rows)
        gain = "" if rule == rules[0] else interval([row[rule] - row[rules[0]] for row in rows])
        print(f"| {what} | {name} | {len(rows)} | {rule} | {mean:.3f} | {gain} |")


def main() -> None:
    """Run seed after seed; what is in the output file already is not run again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--what", choices=tuple(RULES), required=True)
    parser.add_argument("--dataset", choices=("phantom", "hearts", "atrium"), required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=150)
    chosen = parser.parse_args()
    runs: dict[str, dict[str, float]] = {}
    if chosen.output.exists():
        runs = json.loads(chosen.output.read_text("utf-8"))
    dataset = dataset_of(chosen.dataset, chosen.data)
    for seed in chosen.seeds:
        if str(seed) not in runs:
            runs[str(seed)] = run_seed(chosen.what, dataset, seed, chosen.steps)
            chosen.output.write_text(json.dumps(runs, indent=1), "utf-8")
            print(seed, runs[str(seed)], flush=True)
    print_table(chosen.what, chosen.dataset, runs)


if __name__ == "__main__":
    main()

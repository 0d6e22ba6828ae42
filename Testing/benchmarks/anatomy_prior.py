"""What the anatomy of annotated volumes is worth, on the same predictions with and without it.

    python Testing/benchmarks/anatomy_prior.py --data-set hippocampus --data FOLDER \
        --model 343=model.plcl --model 374=other.plcl --measure choosing

Each model goes with the combination of annotated volumes that it was trained from; these are the
atlases. Choosing volumes are those with a segmentation that a run neither learns from nor ends
with, the validation volumes among them; `--measure test` measures the test volumes, which choose
nothing. Every prediction is measured as the network's alone, with the anatomy as the product fuses
it, and as the carried labels alone.
"""

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from acdc_statistics import estimate
from own_process import print_table
from paired import in_words
from paired_data import DATA_SETS, PairedData
from scipy.stats import spearmanr

from PseudoLabelCLLib.domain.method_config import AnatomyPriorConfig
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_device
from PseudoLabelCLLib.pipeline.anatomy.carried_anatomy import (
    Atlas,
    CarriedAnatomy,
    at_slices,
    carry_anatomy,
    make_atlas,
    most_filling,
)
from PseudoLabelCLLib.pipeline.prediction.measure_quality import measure_quality
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel, read_model
from PseudoLabelCLLib.pipeline.prediction.segment_volume import (
    AnatomyOfCase,
    Refinement,
    SegmentedVolume,
    segment_slices,
)
from PseudoLabelCLLib.pipeline.slices.case_slices import class_indices, label_values
from PseudoLabelCLLib.pipeline.slices.network_images import network_channels
from PseudoLabelCLLib.pipeline.slices.slice_grid import SliceGrid, slice_grid
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import read_volume


@dataclass(frozen=True)
class Measured:
    """One volume with one model.

    Args:
        alone: Mean Dice of the network's prediction.
        fused: Of the proposal with anatomy.
        carried: Of the carried labels.
        weights: Of the anatomy, for each structure.
        doubts: Of the copies alone, and with the disagreement of anatomy and network.
        seconds: That registration took.
    """

    combination: str
    number: int
    alone: float
    fused: float
    carried: float
    weights: tuple[float, ...]
    doubts: tuple[float, float]
    seconds: float


def main() -> None:
    """Measure every volume with every model and print the tables."""
    arguments = _arguments()
    data, device = DATA_SETS[arguments.data_set], choose_device("cpu")
    found = []
    for combination, path in (one.split("=", 1) for one in arguments.model):
        model = read_model(Path(path))
        on = device.for_dimension(model.card.preprocess.dimension)
        on.place(model.network)
        atlases = [
            atlas_of(data, arguments.data, number, model)
            for number in data.combinations[combination]
        ]
        for number in numbers_of(data, arguments, combination):
            one = _measure(Asked(data, arguments, combination, number), model, atlases, on)
            told = " ".join(f"{weight:.2f}" for weight in one.weights)
            print(
                f"{combination} {number:03d}: Dice {one.alone:.3f} -> {one.fused:.3f} (carried "
                f"alone {one.carried:.3f}; weights {told}; {one.seconds:.1f} s)",
                flush=True,
            )
            found.append(one)
    _print(found)


@dataclass(frozen=True)
class Asked:
    """One volume that a model is measured on."""

    data: PairedData
    arguments: argparse.Namespace
    combination: str
    number: int


def numbers_of(
    data: PairedData, arguments: argparse.Namespace, combination: str
) -> tuple[int, ...]:
    """Return the volumes that are measured."""
    if arguments.measure == "test":
        return data.test
    return (*data.choosing(arguments.data, combination), *data.validation)


def atlas_of(data: PairedData, folder: Path, number: int, model: TrainedModel) -> Atlas:
    """Return an annotated volume as an atlas."""
    schema = model.card.schema
    labels = read_segmentation(data.label(folder, number), schema)[0]
    volume = read_volume(data.image(folder, number))
    known = (True,) * len(schema)
    return make_atlas(volume, class_indices(labels.array, schema), len(schema), known)


def _measure(
    asked: Asked, model: TrainedModel, atlases: Sequence[Atlas], device: ComputeDevice
) -> Measured:
    folder, schema = asked.arguments.data, model.card.schema
    settings = AnatomyPriorConfig(enabled=True)
    weight = settings.weight if asked.arguments.weight is None else asked.arguments.weight
    volume = read_volume(asked.data.image(folder, asked.number))
    reference = read_segmentation(asked.data.label(folder, asked.number), schema)[0]
    began = time.process_time()
    carried = carry_anatomy(volume, atlases, settings.most_atlases)
    seconds = time.process_time() - began
    if carried is None:
        raise SystemExit(f"{asked.number} is no volume that can be registered.")
    grid = slice_grid(volume, model.card.preprocess)
    images = network_channels((volume,), grid, model.card.preprocess)

    def segmented(refinement: Refinement) -> SegmentedVolume:
        return segment_slices(model, images, grid, volume.geometry, device, refinement)

    alone = segmented(Refinement())
    counted = replace(carried, trust=(1.0,) * len(schema)) if asked.arguments.ungated else carried
    with_anatomy = segmented(Refinement(anatomy=AnatomyOfCase(counted, weight)))

    def dice(labels: LabelVolume) -> float:
        quality = measure_quality(labels, reference, schema)
        return statistics.fmean(one.dice or 0.0 for one in quality.classes)

    return Measured(
        asked.combination, asked.number, dice(alone.labels), dice(with_anatomy.labels),
        dice(_labels(carried, grid, volume, model)), with_anatomy.anatomy_weights,
        (alone.doubt.doubt, with_anatomy.doubt.doubt), seconds,
    )  # fmt: skip


def _labels(
    carried: CarriedAnatomy, grid: SliceGrid, volume: Volume, model: TrainedModel
) -> LabelVolume:
    shares, _ = at_slices(carried, grid, slice(0, grid.num_slices))
    values = label_values(most_filling(shares, axis=1), model.card.schema)
    return LabelVolume(grid.volume_of(values), volume.geometry)


def _print(found: Sequence[Measured]) -> None:
    by_combination, by_volume = defaultdict(list), defaultdict(list)
    for one in found:
        by_combination[one.combination].append(one)
        by_volume[one.number].append(one.fused - one.alone)
    rows = [
        (name, str(len(own)), *_means(own))
        for name, own in [*by_combination.items(), ("all", found)]
    ]
    columns = (
        "annotated",
        "volumes",
        "network",
        "with anatomy",
        "gain",
        "least",
        "carried",
        "used",
    )
    print_table((*columns, "s"), rows)
    gains = [statistics.fmean(own) for own in by_volume.values()]
    if len(gains) > 1:
        print(f"\nGain over the volumes, mean of the combinations: {in_words(estimate(gains))}")
    if len(found) > 2:
        print("\nRank correlation with the true Dice (-1: the most doubtful is the worst)")
        _print_correlations(found)


def _means(own: Sequence[Measured]) -> tuple[str, ...]:
    gains = [one.fused - one.alone for one in own]
    used = statistics.fmean(any(one.weights) for one in own)
    return (
        f"{statistics.fmean(one.alone for one in own):.3f}",
        f"{statistics.fmean(one.fused for one in own):.3f}",
        f"{statistics.fmean(gains):+.3f}",
        f"{min(gains):+.3f}",
        f"{statistics.fmean(one.carried for one in own):.3f}",
        f"{used:.0%}",
        f"{statistics.fmean(one.seconds for one in own):.1f}",
    )


def _print_correlations(found: Sequence[Measured]) -> None:
    rows = []
    for name, dice in (
        ("network alone", [one.alone for one in found]),
        ("with anatomy", [one.fused for one in found]),
    ):
        both = [spearmanr([one.doubts[n] for one in found], dice).statistic for n in range(2)]
        rows.append((name, *(f"{float(value):+.2f}" for value in np.array(both))))
    print_table(("Dice of the proposal", "doubt of the copies", "and of the disagreement"), rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data-set", choices=[*DATA_SETS], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", action="append", required=True, metavar="COMBINATION=FILE")
    parser.add_argument("--measure", choices=["choosing", "test"], default="choosing")
    parser.add_argument("--weight", type=float, help="default: that of the product")
    parser.add_argument("--ungated", action="store_true", help="as if all were consistent")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

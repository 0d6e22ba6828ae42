"""What it saves to predict further copies only around what may be structure, and what it changes.

    python Testing/benchmarks/further_copies.py --model model.plcl --images FOLDER [--labels FOLDER]

Every volume is segmented twice with the model's own copies, in turns: all of them everywhere, and
the further ones only where the first gives the structures at least `--from` together. The least
time of the repeats counts.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from own_process import print_table

from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_device
from PseudoLabelCLLib.pipeline.prediction.apply_model import segment_volume
from PseudoLabelCLLib.pipeline.prediction.measure_quality import measure_quality
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel, read_model
from PseudoLabelCLLib.pipeline.prediction.segment_volume import SegmentedVolume
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import read_volume


@dataclass(frozen=True)
class Way:
    """One way to predict a volume.

    Args:
        found: What the model said.
        seconds: Processor time.
    """

    found: SegmentedVolume
    seconds: float


def main() -> None:
    """Measure every volume both ways and print the table."""
    arguments = _arguments()
    model = read_model(arguments.model)
    device = choose_device("cpu").for_dimension(model.card.preprocess.dimension)
    device.place(model.network)
    schema = model.card.schema
    rows, seconds = [], []
    files = sorted((arguments.labels or arguments.images).glob("*.nii.gz"))[: arguments.most]
    for path in files:
        volume = read_volume(arguments.images / path.name)
        everywhere, around = _both_ways(model, volume, device, arguments)
        seconds.append((everywhere.seconds, around.seconds))
        row = [
            path.name.removesuffix(".nii.gz"),
            " x ".join(map(str, volume.geometry.size)),
            f"{everywhere.seconds:.1f}",
            f"{around.seconds:.1f}",
            f"{around.seconds / everywhere.seconds:.2f}",
            f"{_dice(around.found.labels, everywhere.found.labels, schema):.4f}",
            f"{everywhere.found.doubt.doubt:.3f}, {around.found.doubt.doubt:.3f}",
        ]
        if arguments.labels:
            reference = read_segmentation(arguments.labels / path.name, schema)[0]
            pair = [_dice(way.found.labels, reference, schema) for way in (everywhere, around)]
            row.append(", ".join(f"{one:.4f}" for one in pair))
        rows.append(row)
        print(" ".join(row), file=sys.stderr, flush=True)
    print_table(
        (
            "volume", "size", "everywhere (s)", "around structures (s)", "ratio",
            "Dice between the two", "doubt of each",
            *(["Dice of each with the reference"] if arguments.labels else []),
        ),
        rows,
    )  # fmt: skip
    before, after = (sum(one) for one in zip(*seconds, strict=True))
    print(f"\nAll volumes: {before:.1f} s to {after:.1f} s, ratio {after / before:.2f}")


def _both_ways(
    model: TrainedModel, volume: Volume, device: ComputeDevice, arguments: argparse.Namespace
) -> tuple[Way, Way]:
    times: dict[float, list[Way]] = {0.0: [], arguments.least: []}
    for _ in range(arguments.repeats):
        for least, ways in times.items():
            copies = replace(model.card.pseudo_label, further_copies_from=least)
            asked = replace(model, card=replace(model.card, pseudo_label=copies))
            start = time.process_time()
            found = segment_volume(asked, (volume,), device, case_id="volume")
            ways.append(Way(found, time.process_time() - start))
    everywhere, around = (min(ways, key=lambda way: way.seconds) for ways in times.values())
    return everywhere, around


def _dice(labels: LabelVolume, reference: LabelVolume, schema: LabelSchema) -> float:
    quality = measure_quality(labels, reference, schema)
    found = [one.dice for one in quality.classes if one.dice is not None]
    return statistics.fmean(found) if found else float(np.nan)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What fewer copies save and change.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True, help="a folder of .nii.gz files")
    parser.add_argument("--labels", type=Path, help="their segmentations, of the same names")
    parser.add_argument("--from", dest="least", type=float, default=0.02, metavar="PROBABILITY")
    parser.add_argument("--most", type=int, default=10, help="volumes")
    parser.add_argument("--repeats", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""What a coarse pass before the prediction saves, and whether it loses anything.

    python Testing/benchmarks/geometries.py --output FOLDER [--only oblique ...]
    python Testing/benchmarks/coarse_pass.py --folder FOLDER [--from 0.1]

Every kind of volume that the first command left in the folder is segmented twice with its own
model, in turns: all slices, and only those that the coarse pass does not leave out. The least
processor time of the repeats counts. "lost" is how many slices show a structure in the full sweep
and none after the coarse pass. Networks in 3-D are passed over: they have no coarse pass.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from geometries import KINDS, schema_of
from own_process import print_table

from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_device
from PseudoLabelCLLib.pipeline.prediction.apply_model import segment_volume
from PseudoLabelCLLib.pipeline.prediction.measure_quality import measure_quality
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel, read_model
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import read_volume


def main() -> None:
    """Measure every kind both ways and print the table."""
    arguments = _arguments()
    rows = []
    for name, kind in KINDS.items():
        folder = arguments.folder / name.replace(" ", "-")
        path = ProjectLayout(folder / "project").model(0)
        if not path.exists() or (model := read_model(path)).card.preprocess.dimension == 3:
            continue
        device = choose_device("cpu")
        device.place(model.network)
        volume = read_volume(folder / "second.nii.gz")
        truth = read_segmentation(folder / "second-truth.nii.gz", schema_of(kind))[0]
        full, coarse = _both_ways(model, volume, device, arguments)
        axis = 2 - model.card.preprocess.slicing_axis_of(volume.geometry)
        shown, kept = (_slices_with_structures(labels, axis) for labels, _ in (full, coarse))
        dices = [
            statistics.fmean(
                one.dice or 0.0 for one in measure_quality(labels, truth, model.card.schema).classes
            )
            for labels, _ in (full, coarse)
        ]
        row = [
            name,
            f"{shown.sum()} of {len(shown)}",
            *(f"{seconds:.1f}" for _, seconds in (full, coarse)),
            f"{coarse[1] / full[1]:.2f}",
            str(int((full[0].array != coarse[0].array).sum())),
            str(int((shown & ~kept).sum())),
            ", ".join(f"{one:.3f}" for one in dices),
        ]
        rows.append(row)
        print(" | ".join(row), file=sys.stderr, flush=True)
    print_table(
        (
            "kind", "slices with structures", "all slices (s)", "coarse pass (s)", "ratio",
            "voxels that differ", "lost", "Dice of each",
        ),
        rows,
    )  # fmt: skip


def _both_ways(
    model: TrainedModel, volume: Volume, device: ComputeDevice, arguments: argparse.Namespace
) -> list[tuple[LabelVolume, float]]:
    found: dict[float, list[tuple[LabelVolume, float]]] = {0.0: [], arguments.least: []}
    for _ in range(arguments.repeats):
        for least, ways in found.items():
            copies = replace(model.card.pseudo_label, coarse_pass_from=least)
            asked = replace(model, card=replace(model.card, pseudo_label=copies))
            start = time.process_time()
            segmented = segment_volume(asked, (volume,), device, case_id="volume")
            ways.append((segmented.labels, time.process_time() - start))
    return [min(ways, key=lambda way: way[1]) for ways in found.values()]


def _slices_with_structures(labels: LabelVolume, axis: int) -> np.ndarray:
    return np.moveaxis(labels.array, axis, 0).reshape(labels.array.shape[axis], -1).any(axis=1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a coarse pass saves and changes.")
    parser.add_argument("--folder", type=Path, required=True, help="of geometries.py")
    parser.add_argument("--from", dest="least", type=float, default=0.1, metavar="PROBABILITY")
    parser.add_argument("--repeats", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()

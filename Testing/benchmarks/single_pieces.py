"""What keeping a single piece of structures is worth, on the same predictions.

One prediction per volume is measured twice, with all pieces and with one.

    python Testing/benchmarks/single_pieces.py --model model.plcl --data-set hearts --data FOLDER \
        --combination c1 --measure choosing

The rule is that of the model: of its round, what every annotated volume shows in one piece.
"""

import argparse
import math
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from acdc_statistics import estimate
from own_process import print_table
from paired import in_words
from paired_data import DATA_SETS

from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.single_pieces import SinglePieces
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.learning.device import choose_device
from PseudoLabelCLLib.pipeline.prediction.apply_model import segment_volume
from PseudoLabelCLLib.pipeline.prediction.keep_single_pieces import keep_single_pieces
from PseudoLabelCLLib.pipeline.prediction.measure_quality import measure_quality
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel, read_model
from PseudoLabelCLLib.pipeline.slices.case_slices import class_indices, label_values
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import read_volume


def main() -> None:
    """Measure every volume twice and print the table."""
    arguments = _arguments()
    data = DATA_SETS[arguments.data_set]
    is_test = arguments.measure == "test"
    numbers = data.test if is_test else data.choosing(arguments.data, arguments.combination)
    model = read_model(arguments.model)
    device = choose_device("cpu").for_dimension(model.card.preprocess.dimension)
    device.place(model.network)
    every_piece, single = _without_rule(model), model.card.single_pieces
    schema = every_piece.card.schema
    measured: dict[str, list[tuple[float, float]]] = {"every piece": [], "one piece": []}
    for number in numbers:
        volume = read_volume(data.image(arguments.data, number))
        reference = read_segmentation(data.label(arguments.data, number), schema)[0]
        found = segment_volume(every_piece, (volume,), device, case_id=str(number)).labels
        for name, labels in zip(measured, (found, _kept(found, schema, single)), strict=True):
            quality = measure_quality(labels, reference, schema)
            dice = [one.dice or 0.0 for one in quality.classes]
            distances = [one.hd95_mm for one in quality.classes if one.hd95_mm is not None]
            hd95 = statistics.fmean(distances) if distances else math.nan
            measured[name].append((statistics.fmean(dice), hd95))
        before, after = (figures[-1][0] for figures in measured.values())
        print(f"{number:03d}: Dice {before:.3f} -> {after:.3f}", flush=True)
    rows = [
        (name, *(f"{value:.3f}" for value in np.nanmean(figures, axis=0)))
        for name, figures in measured.items()
    ]
    print_table(("predictions keep", "Dice", "HD95 (mm)"), rows)
    gains = [b[0] - a[0] for a, b in zip(*measured.values(), strict=True)]
    print(f"\nGain in Dice over the volumes: {in_words(estimate(gains))}, least {min(gains):+.3f}")


def _without_rule(model: TrainedModel) -> TrainedModel:
    classes = (replace(label, keep_largest_component=False) for label in model.card.schema)
    schema = LabelSchema(tuple[LabelClass, ...](classes))
    return replace(model, card=replace(model.card, schema=schema, single_pieces=SinglePieces()))


def _kept(labels: LabelVolume, schema: LabelSchema, single: SinglePieces) -> LabelVolume:
    classes = class_indices(labels.array, schema)
    keep_single_pieces(classes, schema, single, labels.geometry.voxel_mm3)
    return replace(labels, array=label_values(classes, schema))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What keeping a single piece is worth.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data-set", choices=[*DATA_SETS], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--combination", required=True)
    parser.add_argument("--measure", choices=["choosing", "test"], default="choosing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

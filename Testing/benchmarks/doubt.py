"""Whether doubt points at bad proposals, and its order of slices at the errors in them.

    python Testing/benchmarks/doubt.py --data-set hippocampus --data FOLDER \
        --model 343=model.plcl --model 374=other.plcl --measure choosing --anatomy

Two figures. The rank correlation of a case's doubt with its true Dice: -1 if the most doubtful is
the worst. And the share of all wrong voxels that lie in the 10, 20 and 30 % of a volume's slices
that are named first: by the doubt that the panel shows, by the summed uncertainty alone, and by the
errors themselves, which is the most that any order can find; an order by chance finds as many
percent as it looks at. With `--anatomy` also with the disagreement of anatomy and network.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from anatomy_prior import Asked, atlas_of, numbers_of
from own_process import print_table
from paired_data import DATA_SETS
from scipy.stats import spearmanr

from PseudoLabelCLLib.domain.method_config import AnatomyPriorConfig
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_device
from PseudoLabelCLLib.pipeline.anatomy.carried_anatomy import Atlas, carry_anatomy
from PseudoLabelCLLib.pipeline.prediction.measure_quality import measure_quality
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel, read_model
from PseudoLabelCLLib.pipeline.prediction.segment_volume import (
    AnatomyOfCase,
    Refinement,
    segment_slices,
)
from PseudoLabelCLLib.pipeline.slices.network_images import network_channels
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import read_volume

SHARES = (0.1, 0.2, 0.3)
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Looked:
    """What the doubt of one proposal found.

    Args:
        dice: Mean of its structures.
        doubt: Of the case.
        found: By the name of an order: the share of its wrong voxels, for each of `SHARES`.
    """

    dice: float
    doubt: float
    found: dict[str, tuple[float, ...]]


def main() -> None:
    """Measure every volume with every model and print both figures."""
    arguments = _arguments()
    data, device = DATA_SETS[arguments.data_set], choose_device("cpu")
    rows, correlations = [], []
    for combination, path in (one.split("=", 1) for one in arguments.model):
        model = read_model(Path(path))
        on = device.for_dimension(model.card.preprocess.dimension)
        on.place(model.network)
        atlases = [
            atlas_of(data, arguments.data, number, model)
            for number in data.combinations[combination]
        ]
        for name, known in (("copies", ()), ("copies and anatomy", atlases)):
            if known == () or arguments.anatomy:
                looked = [
                    _look(Asked(data, arguments, combination, number), model, known, on)
                    for number in numbers_of(data, arguments, combination)
                ]
                rows += [*_rows(combination, name, looked)]
                correlations.append(_correlation(combination, name, looked))
    print_table(("model", "doubt by", "volumes", "Dice", "rank correlation"), correlations)
    print("\nShare of the wrong voxels in the slices that are named first")
    print_table(("model", "doubt by", "order", *(f"{share:.0%}" for share in SHARES)), rows)


def _look(
    asked: Asked, model: TrainedModel, atlases: Sequence[Atlas], device: ComputeDevice
) -> Looked:
    folder, schema = asked.arguments.data, model.card.schema
    volume = read_volume(asked.data.image(folder, asked.number))
    reference = read_segmentation(asked.data.label(folder, asked.number), schema)[0]
    settings = AnatomyPriorConfig(enabled=True)
    carried = carry_anatomy(volume, atlases, settings.most_atlases) if atlases else None
    anatomy = None if carried is None else AnatomyOfCase(carried, settings.weight)
    grid = slice_grid(volume, model.card.preprocess)
    images = network_channels((volume,), grid, model.card.preprocess)
    said = segment_slices(model, images, grid, volume.geometry, device, Refinement(anatomy=anatomy))
    others = tuple(axis for axis in range(3) if axis != 2 - grid.slicing_axis)
    wrong = (said.labels.array != reference.array).sum(axis=others).astype(float)
    orders = {
        "doubt": np.asarray(said.doubt.doubt_per_slice),
        "summed uncertainty": said.uncertainty.array.sum(axis=others),
        "the errors themselves": wrong,
    }
    quality = measure_quality(said.labels, reference, schema)
    return Looked(
        dice=statistics.fmean(one.dice or 0.0 for one in quality.classes),
        doubt=said.doubt.doubt,
        found={name: _found(scores, wrong) for name, scores in orders.items()},
    )


def _found(scores: Scores, wrong: Scores) -> tuple[float, ...]:
    """Return the share of the errors in the first slices of an order, for each of `SHARES`."""
    order = np.argsort(-scores, kind="stable")
    summed = np.concatenate([[0.0], np.cumsum(wrong[order])])
    whole = max(1.0, float(wrong.sum()))
    return tuple(float(summed[max(1, math.ceil(share * len(wrong)))]) / whole for share in SHARES)


def _rows(combination: str, doubt: str, looked: Sequence[Looked]) -> Iterator[tuple[str, ...]]:
    for name in looked[0].found:
        shares = zip(*(one.found[name] for one in looked), strict=True)
        yield combination, doubt, name, *(f"{statistics.fmean(own):.2f}" for own in shares)


def _correlation(combination: str, doubt: str, looked: Sequence[Looked]) -> tuple[str, ...]:
    dices = [one.dice for one in looked]
    found = spearmanr([one.doubt for one in looked], dices).statistic
    return (
        combination, doubt, str(len(looked)), f"{statistics.fmean(dices):.3f}", f"{found:+.2f}",
    )  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data-set", choices=[*DATA_SETS], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", action="append", required=True, metavar="COMBINATION=FILE")
    parser.add_argument("--measure", choices=["choosing", "test"], default="choosing")
    parser.add_argument("--anatomy", action="store_true", help="also with registered anatomy")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Memory of steps, of a prediction and of reading, of which the constants of an estimate are made.

    python Testing/benchmarks/step_memory.py [--threads N]

Each row is a process of its own with what the worker loads, and the memory that it keeps. The
formula is that of `domain/round_memory.py`; the last column is how many times that was used.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from own_process import (
    common_arguments,
    compute_device,
    measure_rows,
    peak_mb,
    print_table,
    seconds_of,
)

import PseudoLabelCLLib.pipeline.run_job  # noqa: F401 - what the worker loads
from PseudoLabelCLLib.domain.config import Profile, ProjectConfig, PseudoLabelConfig
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.network_plan import settle_network
from PseudoLabelCLLib.domain.profiles import config_for, in_3d
from PseudoLabelCLLib.domain.round_memory import (
    BASELINE_BYTES,
    HALF_SHARE,
    PREDICTION_BYTES,
    PROBABILITY_BYTES,
    READING_BYTES,
    START_BYTES,
    STEP_BYTES,
    WEIGHT_BYTES,
    WORKSPACE_BYTES,
    level_values,
    num_weights,
    slices_of_step,
)
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.learning.copies import draw_copies
from PseudoLabelCLLib.learning.inference import SLICES_AT_ONCE_ON_CPU, predict_parts
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.patches import Patches
from PseudoLabelCLLib.learning.training.sampling import LabelledSlices, RoundData, SlicePool
from PseudoLabelCLLib.learning.training.training import Trainer, start_training
from PseudoLabelCLLib.pipeline.slices.network_images import network_channels
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.files.atomic_files import write_bytes
from PseudoLabelCLLib.storage.volume_io import read_volume, write_volume

NUM_CLASSES = 4
NUM_SLICES = 20


@dataclass(frozen=True)
class Row:
    """A kind of step."""

    batch: int
    patch: tuple[int, ...]
    joint: bool = False
    half: bool = False
    neighbours: int = 0


ROWS = {
    "2-D, 10 x 64 x 64": Row(10, (64, 64)),
    "2-D, 10 x 128 x 128": Row(10, (128, 128)),
    "2-D, 10 x 192 x 192": Row(10, (192, 192)),
    "2-D, 20 x 192 x 192": Row(20, (192, 192)),
    "2-D, 10 x 128 x 128, 1 neighbour": Row(10, (128, 128), neighbours=1),
    "2-D, 10 x 128 x 128, 3 neighbours": Row(10, (128, 128), neighbours=3),
    "2-D, joint, 4 + 8 x 128 x 128": Row(4, (128, 128), joint=True),
    "3-D, 2 x 16 x 48 x 48": Row(2, (16, 48, 48)),
    "3-D, 2 x 32 x 64 x 64": Row(2, (32, 64, 64)),
    "3-D, joint, 2 + 2 x 32 x 64 x 64": Row(2, (32, 64, 64), joint=True),
    "2-D, bfloat16, 10 x 64 x 64": Row(10, (64, 64), half=True),
    "2-D, bfloat16, joint, 4 + 8 x 64 x 64": Row(4, (64, 64), joint=True, half=True),
}


PREDICTIONS = {
    "prediction, 2-D, 4 x 512 x 512": (512, 512),
    "prediction, 3-D, 32 x 80 x 80": (32, 80, 80),
    "prediction, 3-D, 64 x 128 x 128": (64, 128, 128),
}
BLOCK = (32, 64, 64)
READING = "reading, 96 x 384 x 384"
VOLUME = (96, 384, 384)


def main() -> None:
    """Measure the rows, and print their table."""
    arguments = common_arguments(__doc__).parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.row:
        print(json.dumps(measure(arguments)))
        return
    names = arguments.only or [*ROWS, *PREDICTIONS, READING]
    best = measure_rows(names, 1, lambda _: True)
    columns = ("before_mb", "peak_mb", "expected_mb")
    rows = [
        (
            name,
            *(f"{one[column]:.0f}" for column in columns),
            f"{one['peak_mb'] / one['expected_mb']:.2f}",
        )
        for name, one in best.items()
    ]
    print_table(("what", "before (MB)", "peak (MB)", "formula (MB)", "ratio"), rows)


def measure(arguments) -> dict:
    """Do what a row says, and return the memory that was used and that the formula says."""
    name = arguments.row
    if name == READING:
        call, expected_bytes = _reading()
    elif name in PREDICTIONS:
        call, expected_bytes = _prediction(PREDICTIONS[name])
    else:
        call, expected_bytes = _step(ROWS[name])
    before_mb = peak_mb("cpu")
    timing = seconds_of(call, 1, arguments)
    expected_mb = (BASELINE_BYTES + expected_bytes) / 2**20
    return timing | {
        "before_mb": before_mb,
        "peak_mb": peak_mb("cpu"),
        "expected_mb": expected_mb,
    }


def _step(row: Row) -> tuple[Callable[[], object], float]:
    config = _config(row)
    training, patches = config.training, Patches(row.patch, config.training.structure_share)
    others = [_slices(row)] if row.joint else []
    data = RoundData(
        SlicePool([_slices(row)], NUM_CLASSES, patches),
        SlicePool(others, NUM_CLASSES, patches),
        2 * row.neighbours + 1,
    )
    stage = training.joint if row.joint else training.supervised
    device = compute_device("cpu", half_precision=row.half)
    state = start_training(_network(config.network, 2 * row.neighbours + 1), stage, device, 0)
    steps = Trainer(state, data, training, device).steps()
    count = slices_of_step(training, stage, is_joint=row.joint)
    values = count * level_values(config.network, row.patch, 2 * row.neighbours)
    per_value = STEP_BYTES[len(row.patch)] * (HALF_SHARE if row.half else 1)
    weights = WEIGHT_BYTES * num_weights(config.network)
    return lambda: next(steps), START_BYTES + per_value * values + weights


def _prediction(sides: tuple[int, ...]) -> tuple[Callable[[], object], float]:
    config = config_for(Profile.QUICK)
    is_3d = len(sides) == 3
    if is_3d:
        config = _config(Row(2, BLOCK))
    shape = sides if is_3d else (SLICES_AT_ONCE_ON_CPU, *sides)
    images = np.random.default_rng(0).random((shape[0], 1, *shape[1:]), np.float32)
    network, device = _network(config.network), compute_device("cpu", half_precision=False)
    copies = draw_copies(PseudoLabelConfig(num_augmented_copies=2), 0, mirror=False)
    values = level_values(config.network, shape)
    expected = PREDICTION_BYTES * values + PROBABILITY_BYTES * NUM_CLASSES * images.size
    expected += START_BYTES + WORKSPACE_BYTES[len(sides)]
    return lambda: list(predict_parts(network, images, copies, device, BLOCK)), expected


def _reading() -> tuple[Callable[[], object], float]:
    """Read and resample a volume, and write its slices, as the worker prepares a case."""
    folder = Path(tempfile.mkdtemp())
    grid = Geometry(VOLUME[::-1], (0.8, 0.8, 1.5), (0.0,) * 3, (1, 0, 0, 0, 1, 0, 0, 0, 1))
    values = np.random.default_rng(0).integers(0, 1000, VOLUME, np.int16)
    write_volume(folder / "a.nrrd", Volume(values, grid))
    config = replace(config_for(Profile.QUICK).preprocess, in_plane_spacing_mm=0.8)

    def prepare() -> None:
        volume = read_volume(folder / "a.nrrd")
        slices = network_channels((volume,), slice_grid(volume, config), config)
        write_bytes(folder / "images.npy", slices.tobytes())

    return prepare, READING_BYTES * float(values.size)


def _network(config: NetworkConfig, num_channels: int = 1) -> SegmentationNetwork:
    generator = torch.Generator().manual_seed(0)
    return SegmentationNetwork(config, NUM_CLASSES, generator, num_channels)


def _config(row: Row) -> ProjectConfig:
    config = config_for(Profile.QUICK)
    is_3d = len(row.patch) == 3
    if is_3d:
        config = in_3d(config)
    preprocess = replace(
        config.preprocess,
        in_plane_spacing_mm=1.0,
        patch_size=row.patch,
        slice_spacing_mm=1.0 if is_3d else None,
    )
    training = config.training
    return replace(
        config,
        network=settle_network(config.network, preprocess),
        training=replace(
            training,
            supervised=replace(training.supervised, batch_size=row.batch),
            joint=replace(training.joint, batch_size=row.batch),
        ),
    )


def _slices(row: Row) -> LabelledSlices:
    shape = row.patch if len(row.patch) == 3 else (NUM_SLICES, *row.patch)
    num_channels = 2 * row.neighbours + 1
    images = np.random.default_rng(0).random((shape[0], num_channels, *shape[1:]), np.float32)
    classes = np.minimum(images[:, 0] * NUM_CLASSES, NUM_CLASSES - 1).astype(np.uint8)
    return LabelledSlices(images, classes)


if __name__ == "__main__":
    main()

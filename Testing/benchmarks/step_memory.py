"""Memory of training steps, of which the constants of an estimate are made.

    python Testing/benchmarks/step_memory.py [--threads N]

Each row is a process of its own with what the worker loads, and the memory that it keeps. "Values"
are what `domain/round_memory.py` counts for a step; the last columns are what its formula says, and
how many times that much was used.
"""

import json
from dataclasses import dataclass, replace

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
from PseudoLabelCLLib.domain.config import Profile, ProjectConfig
from PseudoLabelCLLib.domain.network_plan import settle_network
from PseudoLabelCLLib.domain.profiles import config_for, in_3d
from PseudoLabelCLLib.domain.round_memory import (
    BASELINE_BYTES,
    HALF_SHARE,
    START_BYTES,
    STEP_BYTES,
    WEIGHT_BYTES,
    level_values,
    num_weights,
    slices_of_step,
)
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.patches import Patches
from PseudoLabelCLLib.learning.training.sampling import LabelledSlices, RoundData, SlicePool
from PseudoLabelCLLib.learning.training.training import Trainer, start_training

NUM_CLASSES = 4
NUM_SLICES = 20


@dataclass(frozen=True)
class Row:
    """A kind of step."""

    batch: int
    patch: tuple[int, ...]
    joint: bool = False
    half: bool = False


ROWS = {
    "2-D, 10 x 64 x 64": Row(10, (64, 64)),
    "2-D, 10 x 128 x 128": Row(10, (128, 128)),
    "2-D, 10 x 192 x 192": Row(10, (192, 192)),
    "2-D, 20 x 192 x 192": Row(20, (192, 192)),
    "2-D, joint, 4 + 8 x 128 x 128": Row(4, (128, 128), joint=True),
    "3-D, 2 x 16 x 48 x 48": Row(2, (16, 48, 48)),
    "3-D, 2 x 32 x 64 x 64": Row(2, (32, 64, 64)),
    "3-D, joint, 2 + 2 x 32 x 64 x 64": Row(2, (32, 64, 64), joint=True),
    "2-D, bfloat16, 10 x 64 x 64": Row(10, (64, 64), half=True),
    "2-D, bfloat16, joint, 4 + 8 x 64 x 64": Row(4, (64, 64), joint=True, half=True),
}


def main() -> None:
    """Measure the rows, and print their table."""
    arguments = common_arguments(__doc__).parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.row:
        print(json.dumps(measure(ROWS[arguments.row], arguments)))
        return
    best = measure_rows(arguments.only or list(ROWS), 1, lambda _: True)
    rows = [
        (
            name,
            f"{one['values'] / 1e6:.1f}",
            f"{one['before_mb']:.0f}",
            f"{one['peak_mb']:.0f}",
            f"{one['expected_mb']:.0f}",
            f"{one['peak_mb'] / one['expected_mb']:.2f}",
        )
        for name, one in best.items()
    ]
    print_table(("step", "values (M)", "before (MB)", "peak (MB)", "formula (MB)", "ratio"), rows)


def measure(row: Row, arguments) -> dict:
    """Train a few steps, and return the memory that was used and that the formula says."""
    config = _config(row)
    training, patches = config.training, Patches(row.patch, config.training.structure_share)
    others = [_slices(row)] if row.joint else []
    data = RoundData(
        SlicePool([_slices(row)], NUM_CLASSES, patches), SlicePool(others, NUM_CLASSES, patches)
    )
    stage = training.joint if row.joint else training.supervised
    device = compute_device("cpu", half_precision=row.half)
    before_mb = peak_mb("cpu")
    generator = torch.Generator().manual_seed(0)
    network = SegmentationNetwork(config.network, NUM_CLASSES, generator)
    steps = Trainer(start_training(network, stage, device, 0), data, training, device).steps()
    timing = seconds_of(lambda: next(steps), 1, arguments)
    count = slices_of_step(training, stage, is_joint=row.joint)
    values = count * level_values(config.network, row.patch)
    per_value = STEP_BYTES[len(row.patch)] * (HALF_SHARE if row.half else 1)
    expected = BASELINE_BYTES + START_BYTES + per_value * values
    expected += WEIGHT_BYTES * num_weights(config.network)
    return timing | {
        "values": values,
        "before_mb": before_mb,
        "peak_mb": peak_mb("cpu"),
        "expected_mb": expected / 2**20,
    }


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
    images = np.random.default_rng(0).random((shape[0], 1, *shape[1:]), np.float32)
    classes = np.minimum(images[:, 0] * NUM_CLASSES, NUM_CLASSES - 1).astype(np.uint8)
    return LabelledSlices(images, classes)


if __name__ == "__main__":
    main()

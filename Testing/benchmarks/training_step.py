"""Speed of our training step beside a plain PyTorch and MONAI loop over the same network.

    python Testing/benchmarks/training_step.py [--device cuda] [--threads N] [--side 192] \
        [--patch 128]

Both loops have the same network, batch size, window, slices and number of threads. The plain loop
is float32, contiguous memory, Adam, MONAI's DiceCELoss, and, where augmented, MONAI's dictionary
transforms slice by slice on the CPU: the same kinds of change as ours, each on every slice, with
one resampling for the affine and the elastic part, and without metadata, as is fastest.

"Ours" runs with the worker's environment unless the row says otherwise. Images per second count
every slice whose gradient a step takes; a joint step also asks the teacher about some. The share of
the peak is of a convolution from 64 to 64 channels in the row's precision.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import machine_peak
import torch
from monai.data import DataLoader, Dataset, set_track_meta
from monai.losses import DiceCELoss
from monai.transforms import (
    Compose,
    Rand2DElasticd,
    RandAdjustContrastd,
    RandFlipd,
    RandScaleIntensityd,
    RandShiftIntensityd,
)
from own_process import (
    common_arguments,
    compute_device,
    measure_rows,
    peak_mb,
    print_table,
    seconds_of,
)
from phantom_slices import NUM_CLASSES, phantom_slices
from torch.utils.flop_counter import FlopCounterMode

from PseudoLabelCLLib.domain.config import Profile, TrainingConfig
from PseudoLabelCLLib.domain.method_config import AugmentationConfig, Mirror
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.patches import Patches
from PseudoLabelCLLib.learning.training.sampling import SlicePool
from PseudoLabelCLLib.learning.training.training import RoundData, Trainer, start_training

NUM_TRUTH_SLICES = 20
NUM_PSEUDO_SLICES = 40
NO_CHANGE = AugmentationConfig(
    rotation_deg=0.0,
    scale_fraction=0.0,
    mirror=Mirror.NEVER,
    elastic_fraction=0.0,
    contrast_fraction=0.0,
    brightness=0.0,
)


@dataclass(frozen=True)
class Row:
    """What a row measures: "plain", "ours", "joint" or "network", and how."""

    loop: str
    half_precision: bool
    augmented: bool = False
    kept_memory: bool = True


ROWS = {
    "plain loop, float32": Row("plain", False, kept_memory=False),
    "plain loop, float32, augmented": Row("plain", False, augmented=True, kept_memory=False),
    "plain loop, bfloat16 autocast": Row("plain", True, kept_memory=False),
    "plain loop, bfloat16 autocast, augmented": Row("plain", True, True, kept_memory=False),
    "ours, float32, augmented": Row("ours", False, augmented=True),
    "ours, bfloat16": Row("ours", True),
    "ours, bfloat16, augmented": Row("ours", True, augmented=True),
    "ours, bfloat16, augmented, plain environment": Row("ours", True, True, kept_memory=False),
    "ours, float32, joint round": Row("joint", False, augmented=True),
    "ours, bfloat16, joint round": Row("joint", True, augmented=True),
    "network alone, float32": Row("network", False),
    "network alone, bfloat16": Row("network", True),
}
# What a row is held against.
PLAIN = {True: "plain loop, float32, augmented", False: "plain loop, float32"}


def training_config() -> TrainingConfig:
    config = config_for(Profile.QUICK).training
    return replace(config, augmentation=replace(config.augmentation, mirror=Mirror.BOTH))


def measure(row: Row, arguments) -> dict:
    """Time the steps of one row, then count the operations of one more."""
    prepare = {"plain": _plain_loop, "network": _network_alone}.get(row.loop, _our_loop)
    step, num_images = prepare(row, arguments)
    timing = seconds_of(step, arguments.steps, arguments)
    memory_mb = peak_mb(arguments.device)
    with FlopCounterMode(display=False) as counter:
        step()
    return timing | {
        "num_images": num_images,
        "flops": counter.get_total_flops(),
        "peak_mb": memory_mb,
    }


def _our_loop(row: Row, arguments) -> tuple[Callable[[], object], int]:
    config = training_config()
    if not row.augmented:
        config = replace(config, augmentation=NO_CHANGE)
    side = arguments.patch
    patches = Patches((side, side), config.structure_share) if side else None
    truth = SlicePool([phantom_slices(NUM_TRUTH_SLICES, arguments.side)], NUM_CLASSES, patches)
    is_joint = row.loop == "joint"
    others = [phantom_slices(NUM_PSEUDO_SLICES, arguments.side, seed=1)] if is_joint else []
    data = RoundData(truth, SlicePool(others, NUM_CLASSES, patches))
    stage = config.joint if is_joint else config.supervised
    device = compute_device(arguments.device, half_precision=row.half_precision)
    state = start_training(_network(), stage, device, seed=0)
    steps = Trainer(state, data, config, device).steps()
    num_joint = config.consistency.num_slices + 2 * config.contrastive.num_pairs
    return lambda: next(steps), stage.batch_size + (num_joint if is_joint else 0)


def _plain_loop(row: Row, arguments) -> tuple[Callable[[], object], int]:
    config = training_config()
    stage = config.supervised
    network = _network().to(arguments.device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=stage.learning_rate)
    loss_of = DiceCELoss(softmax=True, to_onehot_y=True, include_background=True)
    batches = _plain_batches(config.augmentation if row.augmented else None, arguments)

    def step() -> float:
        batch = next(batches)
        images, labels = (batch[key].to(arguments.device) for key in ("image", "label"))
        optimizer.zero_grad()
        with torch.autocast(arguments.device, torch.bfloat16, enabled=row.half_precision):
            logits = network(images)
        loss = loss_of(logits.float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, stage.batch_size


def _plain_batches(change: AugmentationConfig | None, arguments) -> Iterator[dict]:
    set_track_meta(False)
    slices = phantom_slices(NUM_TRUTH_SLICES, arguments.side)
    cases = [
        {"image": torch.from_numpy(image), "label": torch.from_numpy(classes)[None]}
        for image, classes in zip(slices.images, slices.classes, strict=True)
    ]
    data = Dataset(cases, None if change is None else _plain_changes(change, arguments.side))
    batch_size = training_config().supervised.batch_size
    sampler = torch.utils.data.RandomSampler(cases, replacement=True, num_samples=10**6)
    return iter(
        DataLoader(data, batch_size=batch_size, sampler=sampler, num_workers=arguments.workers)
    )


def _plain_changes(change: AugmentationConfig, side: int) -> Compose:
    angle = torch.deg2rad(torch.tensor(change.rotation_deg)).item()
    elastic_px = change.elastic_fraction * side
    spacing = side / (change.elastic_grid - 1)
    contrast = 1 - change.contrast_fraction, 1 + change.contrast_fraction
    return Compose(
        [
            Rand2DElasticd(
                ("image", "label"),
                spacing=(spacing, spacing),
                magnitude_range=(elastic_px, elastic_px),
                prob=1.0,
                rotate_range=angle,
                scale_range=change.scale_fraction,
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            RandFlipd(("image", "label"), prob=0.5, spatial_axis=0),
            RandFlipd(("image", "label"), prob=0.5, spatial_axis=1),
            RandAdjustContrastd("image", prob=1.0, gamma=contrast),
            RandScaleIntensityd("image", factors=change.contrast_fraction, prob=1.0),
            RandShiftIntensityd("image", offsets=change.brightness, prob=1.0),
        ]
    )


def _network_alone(row: Row, arguments) -> tuple[Callable[[], object], int]:
    """Forward and backward pass of a fixed batch, as our step runs them."""
    device = compute_device(arguments.device, half_precision=row.half_precision)
    network = _network().train()
    device.place(network)
    num_images = training_config().supervised.batch_size
    images = torch.from_numpy(phantom_slices(num_images, arguments.side).images)
    images = images.to(arguments.device).contiguous(memory_format=device.memory_format)

    def step() -> None:
        network.zero_grad(set_to_none=True)
        with device.autocast():
            logits = network(images)
        logits.sum().backward()

    return step, num_images


def _network() -> SegmentationNetwork:
    return SegmentationNetwork(NetworkConfig(), NUM_CLASSES, torch.Generator().manual_seed(0))


def main() -> None:
    parser = common_arguments(__doc__)
    parser.add_argument("--steps", type=int, default=20, help="timed steps of each process")
    parser.add_argument("--patch", type=int, help="side of the patches of our rows; default: none")
    parser.add_argument("--workers", type=int, default=0, help="of the plain loop's DataLoader")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    peaks = {f"peak, {p}": (machine_peak.BEST, p) for p in ("float32", "bfloat16")}
    if arguments.row in peaks:
        what, precision = peaks[arguments.row]
        print(json.dumps(machine_peak.flops_per_second(what, precision, arguments)))
        return
    if arguments.row:
        print(json.dumps(measure(ROWS[arguments.row], arguments)))
        return
    names = arguments.only or list(ROWS)
    best = measure_rows(
        [*peaks, *names],
        arguments.repeats,
        lambda name: name in peaks or ROWS[name].kept_memory,
    )
    _print(names, best, arguments)


def _print(names: list[str], best: dict[str, dict], arguments) -> None:
    precisions = {False: "float32", True: "bfloat16"}
    peak = {p: best[f"peak, {p}"]["flops_per_second"] for p in precisions.values()}
    told = ", ".join(f"{flops / 1e9:.0f} GFLOP/s in {p}" for p, flops in peak.items())
    print(
        f"{arguments.device}, {arguments.threads} threads, {arguments.clock} clock, "
        f"slices of {arguments.side}^2, batch {training_config().supervised.batch_size}; "
        f"{machine_peak.BEST} channels: {told}."
    )
    rows = []
    for name in names:
        result, row = best[name], ROWS[name]
        plain = best.get(PLAIN[row.augmented])
        is_step = row.loop in ("plain", "ours")
        ratio = _images_per_second(result) / _images_per_second(plain) if plain else 0.0
        flops = result["flops"] / result["seconds"]
        share = flops / peak[precisions[row.half_precision]]
        rows.append(
            (
                name,
                f"{1e3 * result['wall_seconds']:.0f}",
                f"{1e3 * result['cpu_seconds']:.0f}",
                f"{_images_per_second(result):.1f}",
                f"{ratio:.2f}" if plain and is_step else "",
                f"{flops / 1e9:.0f}",
                f"{100 * share:.0f} %",
                f"{result['peak_mb']:.0f}",
            )
        )
    columns = ("step", "ms", "CPU ms", "images/s", "times the plain loop", "GFLOP/s", "of peak")
    print_table((*columns, "peak MB"), rows)


def _images_per_second(result: dict) -> float:
    return result["num_images"] / result["seconds"]


if __name__ == "__main__":
    main()

"""Speed and memory of our prediction of slices beside MONAI's sliding-window inferer.

    python Testing/benchmarks/pseudo_labelling.py [--device cuda] [--threads N] [--slices 64]

Everyone has the same network, trained for some steps on the first slices, and the same slices, each
as large as the window, and returns the class probabilities as an array. MONAI gets the slices as
one batch, of which it works through 16 or 4 windows at a time, or one slice after the other. "Four
copies" predicts every slice also turned, zoomed and mirrored, as pseudo-labels are made; MONAI's
rows predict the slice itself alone.
The last columns compare one copy with a plain float32 forward pass of each slice.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from own_process import (
    common_arguments,
    compute_device,
    measure_rows,
    peak_mb,
    print_table,
    seconds_of,
)
from phantom_slices import NUM_CLASSES, phantom_slices

from PseudoLabelCLLib.domain.config import Profile, PseudoLabelConfig
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.learning.copies import draw_copies
from PseudoLabelCLLib.learning.inference import predict_slices
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.tensor_files import read_tensor_file, write_tensor_file
from PseudoLabelCLLib.learning.training.sampling import SlicePool
from PseudoLabelCLLib.learning.training.training import RoundData, Trainer, start_training

NUM_COMPARED = 16


@dataclass(frozen=True)
class Row:
    """Who predicts, and how: "ours", "batch" (MONAI) or "single" (MONAI, slice by slice)."""

    who: str
    half_precision: bool
    num_copies: int = 1
    windows_at_once: int = 16
    kept_memory: bool = False


ROWS = {
    "ours, float32": Row("ours", False, kept_memory=True),
    "ours, bfloat16": Row("ours", True, kept_memory=True),
    "ours, bfloat16, plain environment": Row("ours", True),
    "ours, float32, four copies": Row("ours", False, num_copies=4, kept_memory=True),
    "ours, bfloat16, four copies": Row("ours", True, num_copies=4, kept_memory=True),
    "MONAI, 16 windows, float32": Row("batch", False),
    "MONAI, 16 windows, bfloat16 autocast": Row("batch", True),
    "MONAI, 4 windows, float32": Row("batch", False, windows_at_once=4),
    "MONAI, 4 windows, bfloat16 autocast": Row("batch", True, windows_at_once=4),
    "MONAI, slice by slice, float32": Row("single", False),
    "MONAI, slice by slice, bfloat16 autocast": Row("single", True),
}
# What a row is held against.
REFERENCE = "MONAI, 16 windows, float32"


def measure(row: Row, arguments) -> dict:
    """Time the prediction of all slices, then compare it with a plain forward pass."""
    images = phantom_slices(arguments.slices, arguments.side).images
    network = _network()
    network.load_state_dict(read_tensor_file(Path(arguments.weights), torch.device("cpu")))
    network.eval()
    expected = _plain_probabilities(network, images)
    before_mb = peak_mb(arguments.device)
    predict = _ours(row, network, arguments) if row.who == "ours" else (
        _monai(row, network, arguments)
    )  # fmt: skip
    timing = seconds_of(lambda: predict(images), arguments.calls, arguments)
    memory_mb = peak_mb(arguments.device)
    measured = timing | {"before_mb": before_mb, "peak_mb": memory_mb}
    if row.num_copies > 1:
        return measured
    found = predict(images)[:NUM_COMPARED]
    changed = float((found.argmax(axis=1) != expected.argmax(axis=1)).mean())
    return measured | {"difference": float(np.abs(found - expected).max()), "changed": changed}


def _ours(row: Row, network: SegmentationNetwork, arguments) -> Callable[[np.ndarray], np.ndarray]:
    device = compute_device(arguments.device, half_precision=row.half_precision)
    device.place(network)
    config = PseudoLabelConfig(num_augmented_copies=max(2, row.num_copies))
    copies = draw_copies(config, seed=0, mirror=True)[: row.num_copies]
    return lambda images: predict_slices(network, images, copies, device).probabilities


def _monai(row: Row, network: SegmentationNetwork, arguments) -> Callable[[np.ndarray], np.ndarray]:
    network.to(arguments.device)
    window = (arguments.side, arguments.side)
    inferer = SlidingWindowInferer(window, sw_batch_size=row.windows_at_once)
    step = arguments.slices if row.who == "batch" else 1

    @torch.inference_mode()
    def predict(images: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images), step):
            batch = torch.from_numpy(images[start : start + step]).to(arguments.device)
            with torch.autocast(arguments.device, torch.bfloat16, enabled=row.half_precision):
                logits = inferer(batch, network)
            parts.append(logits.float().softmax(dim=1).cpu().numpy())
        return np.concatenate(parts)

    return predict


def _train(path: Path, arguments) -> None:
    """Write weights that tell the structures apart: random ones waver at the least rounding."""
    config = config_for(Profile.QUICK).training
    stage = replace(config.supervised, num_steps=arguments.train_steps)
    slices = phantom_slices(NUM_COMPARED, arguments.side)
    data = RoundData(SlicePool([slices], NUM_CLASSES), SlicePool([], NUM_CLASSES))
    device = compute_device(arguments.device, half_precision=True)
    state = start_training(_network(), stage, device, seed=0)
    for _ in Trainer(state, data, replace(config, supervised=stage), device).steps():
        pass
    write_tensor_file(path, state.average.state_dict())


def _network() -> SegmentationNetwork:
    return SegmentationNetwork(NetworkConfig(), NUM_CLASSES, torch.Generator().manual_seed(0))


@torch.no_grad()
def _plain_probabilities(network: SegmentationNetwork, images: np.ndarray) -> np.ndarray:
    compared = torch.from_numpy(images[:NUM_COMPARED])
    return torch.cat([network(image[None]).softmax(dim=1) for image in compared]).numpy()


def main() -> None:
    parser = common_arguments(__doc__)
    parser.add_argument("--slices", type=int, default=64)
    parser.add_argument("--calls", type=int, default=5, help="timed calls of each process")
    parser.add_argument("--train-steps", type=int, default=100, help="before anything is timed")
    parser.add_argument("--weights", help=argparse.SUPPRESS)  # of the network that a child times
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.row:
        print(json.dumps(measure(ROWS[arguments.row], arguments)))
        return
    names = arguments.only or list(ROWS)
    with tempfile.TemporaryDirectory() as passing:
        weights = Path(passing) / "weights.pt"
        _train(weights, arguments)
        best = measure_rows(
            names, arguments.repeats, lambda n: ROWS[n].kept_memory, ["--weights", str(weights)]
        )
    print(
        f"{arguments.device}, {arguments.threads} threads, {arguments.clock} clock, "
        f"{arguments.slices} slices of {arguments.side}^2."
    )
    columns = ("prediction", "slices/s", "CPU ms a slice", "times MONAI's 16 windows", "peak MB",
               "MB of it before", "largest difference", "pixels of another class")  # fmt: skip
    print_table(columns, [_cells(name, best, arguments.slices) for name in names])


def _cells(name: str, best: dict[str, dict], num_slices: int) -> tuple[str, ...]:
    result = best[name]
    reference = best.get(REFERENCE)
    return (
        name,
        f"{num_slices / result['seconds']:.1f}",
        f"{1e3 * result['cpu_seconds'] / num_slices:.1f}",
        f"{reference['seconds'] / result['seconds']:.2f}" if reference else "",
        f"{result['peak_mb']:.0f}",
        f"{result['before_mb']:.0f}",
        f"{result['difference']:.1e}" if "difference" in result else "",
        f"{100 * result['changed']:.3f} %" if "changed" in result else "",
    )


if __name__ == "__main__":
    main()

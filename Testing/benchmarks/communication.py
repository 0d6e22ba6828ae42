"""What several GPUs would exchange in a training step, worked out from the sizes; nothing is run.

    python Testing/benchmarks/communication.py [--profile paper] [--side 192] [--tflops 20]

A step's gradients are summed by a ring (each GPU sends 2 (n - 1) / n of them), outputs are gathered
by a ring (each receives (n - 1) / n of all), and batch normalisation sums once forwards and once
backwards in every layer, where only the delay counts. Nothing overlaps here; in truth most of the
gradients travel while others are computed. The time to compute is the floating-point operations of
the network over a rate that is assumed, shared evenly; what every process repeats, changing slices
and losses, is not in it.
"""

import argparse
import math
from dataclasses import dataclass

import torch
from own_process import print_table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork

NUM_CLASSES = 4
NUM_GPUS = (4, 8, 64)
GPUS_PER_HOST = 8
BYTES_OF_FLOAT32, BYTES_OF_BFLOAT16, BYTES_OF_FLOAT64 = 4, 2, 8


@dataclass(frozen=True)
class Link:
    """A connection between GPUs: bytes a second in one direction, and seconds until the first."""

    name: str
    bytes_per_second: float
    delay_s: float


WITHIN_HOST = Link("PCI Express 4.0 x16 within a host", 25e9, 10e-6)
BETWEEN_HOSTS = Link("100 Gbit/s between hosts", 12.5e9, 30e-6)


@dataclass(frozen=True)
class Step:
    """The sizes of one training step.

    Args:
        num_slices: Slices that the network sees.
        gradient_bytes: Of all weights.
        output_bytes: Logits and embeddings of all slices, and what the teacher says.
        num_sums: How often batch normalisation adds up, forwards and backwards.
        sum_bytes: Of all these together.
        operations: Floating-point operations of forward and backward pass.
    """

    num_slices: int
    gradient_bytes: int
    output_bytes: int
    num_sums: int
    sum_bytes: int
    operations: float


def seconds_of_sum(num_bytes: float, num_gpus: int, link: Link) -> float:
    """Return how long a ring takes to add up so many bytes over all GPUs."""
    turns = 2 * (num_gpus - 1)
    return turns * (num_bytes / num_gpus / link.bytes_per_second + link.delay_s)


def seconds_of_gather(num_bytes: float, num_gpus: int, link: Link) -> float:
    """Return how long a ring takes to give all GPUs the parts of all, so many bytes together."""
    turns = num_gpus - 1
    return turns * (num_bytes / num_gpus / link.bytes_per_second + link.delay_s)


def seconds_of_step(step: Step, num_gpus: int, link: Link) -> float:
    """Return how long a step's exchanges take, one after the other."""
    # a tree needs one delay for each doubling; NCCL takes it for what is small
    small = 2 * math.ceil(math.log2(num_gpus)) * link.delay_s
    return (
        seconds_of_sum(step.gradient_bytes, num_gpus, link)
        + seconds_of_gather(step.output_bytes, num_gpus, link)
        + step.num_sums * small
        + step.sum_bytes / link.bytes_per_second
    )


def joint_step(profile: Profile, side: int) -> Step:
    """Return the sizes of a joint step of a profile, in 2-D."""
    config = config_for(profile)
    training, num_pixels = config.training, side * side
    network = SegmentationNetwork(config.network, NUM_CLASSES, torch.Generator().manual_seed(0))
    num_segmented = training.joint.batch_size
    if training.pseudo_label_weight:
        num_segmented += training.joint.batch_size
    num_taught = 0
    if training.consistency.weight:
        num_taught = training.consistency.num_slices
        num_segmented += num_taught
    num_embedded = 2 * training.contrastive.num_pairs if training.contrastive.weight else 0
    # outputs travel in the network's precision
    per_slice = num_pixels * BYTES_OF_BFLOAT16
    outputs = per_slice * NUM_CLASSES * (num_segmented + num_taught)
    outputs += per_slice * config.network.embedding_size * num_embedded
    layers = [one for one in network.modules() if isinstance(one, nn.BatchNorm2d)]
    width = sum(one.num_features for one in layers)
    return Step(
        num_segmented + num_embedded,
        sum(weight.numel() for weight in network.parameters()) * BYTES_OF_FLOAT32,
        outputs,
        2 * len(layers),
        2 * width * (BYTES_OF_FLOAT64 + BYTES_OF_FLOAT32),
        _operations_of_slice(network, side) * (num_segmented + num_embedded + num_taught / 3),
    )


def _operations_of_slice(network: SegmentationNetwork, side: int) -> float:
    """Count the operations of a slice there and back."""
    with FlopCounterMode(display=False) as counter:
        network.train()(torch.zeros((1, 1, side, side))).sum().backward()
    return counter.get_total_flops()


def rows_of(step: Step, tflops: float) -> list[list[str]]:
    """Return the table: what is exchanged, and what that takes beside computing."""
    rows = []
    for num_gpus in NUM_GPUS:
        link = WITHIN_HOST if num_gpus <= GPUS_PER_HOST else BETWEEN_HOSTS
        # the first process has the most slices, and the others wait for it
        most = math.ceil(step.num_slices / num_gpus)
        compute_s = step.operations * most / step.num_slices / (tflops * 1e12)
        exchange_s = seconds_of_step(step, num_gpus, link)
        rows.append(
            [
                str(num_gpus), link.name, f"{step.num_slices} / {num_gpus}",
                f"{step.gradient_bytes / 1e6:.1f}", f"{step.output_bytes / 1e6:.1f}",
                str(step.num_sums), f"{1000 * exchange_s:.1f}", f"{1000 * compute_s:.1f}",
            ]
        )  # fmt: skip
    return rows


def main() -> None:
    """Print the table of a profile."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=[one.value for one in Profile], default="paper")
    parser.add_argument("--side", type=int, default=192, help="rows and columns of a slice")
    parser.add_argument(
        "--tflops", type=float, default=20, help="what a GPU is assumed to reach (default: 20)"
    )
    arguments = parser.parse_args()
    step = joint_step(Profile(arguments.profile), arguments.side)
    print_table(
        (
            "GPUs", "link", "slices / GPUs", "gradients, MB", "outputs, MB", "sums",
            "exchange, ms", "computing, ms",
        ),
        rows_of(step, arguments.tflops),
    )  # fmt: skip


if __name__ == "__main__":
    main()

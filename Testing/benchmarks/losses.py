"""Every contrastive loss on the papers' batches, beside a loop over its anchors and negatives.

    python Testing/benchmarks/losses.py [--device cuda] [--threads N] [--repeats 5] [--only global]

Both compute in float32 with the same number of threads, forward and backward. The loop takes one
cosine at a time, as a graph that is unrolled over pairs, classes, anchors and negatives does; the
means of an image's classes it computes once. The best of all repeats counts; with one thread it is
processor time, which other programs disturb least. Differences are relative to the largest value:
in float64 they show that both compute the same formula, in float32 how much both round. A training
step is forward and backward of the network that trains with the loss, without the loss itself; the
encoder of the local stage is not trained.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backend"))

from loss_references import (
    gather_regions_reference,
    global_contrastive_reference,
    local_contrastive_reference,
    positional_contrastive_reference,
    region_contrastive_reference,
    value_and_gradient,
)

from PseudoLabelCLLib.domain.method_config import (
    ContrastForm,
    ContrastiveConfig,
    Denominator,
    PairWeighting,
)
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalLocalConfig,
    GlobalStrategy,
    LocalStrategy,
    PositionalConfig,
)
from PseudoLabelCLLib.learning.losses.global_contrast import global_contrastive_loss
from PseudoLabelCLLib.learning.losses.local_contrast import draw_anchors, local_contrastive_loss
from PseudoLabelCLLib.learning.losses.positional_contrast import positional_contrastive_loss
from PseudoLabelCLLib.learning.losses.region_contrast import gather_regions, region_contrastive_loss
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.networks.pretraining_heads import (
    GlobalHead,
    PositionalHead,
    RegionHead,
)

SIDE = 192
NUM_CLASSES = 3
# Shorter than this, a call is repeated until it is not.
SHORTEST_MEASUREMENT_S = 0.2

Loss = Callable[[Tensor], Tensor]
Step = Callable[[], None]
COLUMNS = (
    "loss", "input", "ours, ms", "loop, ms", "times faster", "value, float32", "gradient, float32",
    "value, float64", "gradient, float64", "step, ms", "share of the step",
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """One loss on one batch, and the step that it is part of."""

    name: str
    step: str
    embeddings: Tensor
    ours: Loss
    loop: Loss

    @property
    def shape(self) -> str:
        return " x ".join(map(str, self.embeddings.shape))


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    steps = steps_of(device)
    durations: dict[str, float] = {}
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for scene in scenes(device):
        if not any(word in scene.name for word in arguments.only or [""]):
            continue
        if scene.step not in durations:
            durations[scene.step] = best_s(steps[scene.step], device, arguments.repeats)
        print_row(scene, durations[scene.step], device, arguments.repeats)


def print_row(scene: Scene, step_s: float, device: torch.device, repeats: int) -> None:
    leaf = scene.embeddings.clone().requires_grad_()

    def forward_and_backward(loss: Loss) -> None:
        leaf.grad = None
        loss(leaf).backward()

    ours, loop = (
        best_s(partial(forward_and_backward, loss), device, repeats)
        for loss in (scene.ours, scene.loop)
    )
    single = differences(scene, scene.embeddings)
    double = differences(scene, scene.embeddings.double())
    cells = (
        scene.name, scene.shape, f"{1e3 * ours:.3g}", f"{1e3 * loop:.0f}", f"{loop / ours:.0f}",
        *(f"{value:.1g}" for value in (*single, *double)), f"{1e3 * step_s:.0f}",
        f"{ours / (ours + step_s):.2%}",
    )  # fmt: skip
    print("| " + " | ".join(cells) + " |", flush=True)


def differences(scene: Scene, embeddings: Tensor) -> tuple[float, float]:
    """Largest difference of value and of gradient, each relative to the largest of the loop's."""
    ours = value_and_gradient(scene.ours, embeddings)
    loop = value_and_gradient(scene.loop, embeddings)
    value, gradient = (
        float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, loop, strict=True)
    )
    return value, gradient


def best_s(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Seconds of one call: best of so many measurements after one that does not count."""
    first = _measure(call, device, 1)
    num_calls = max(1, round(SHORTEST_MEASUREMENT_S / first))
    return min(_measure(call, device, num_calls) for _ in range(repeats))


def _measure(call: Callable[[], object], device: torch.device, num_calls: int) -> float:
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    start = clock()
    for _ in range(num_calls):
        call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (clock() - start) / num_calls


def scenes(device: torch.device) -> list[Scene]:
    return [
        *_local_scenes(device),
        *_global_scenes(device),
        *_region_scenes(device),
        _positional_scene(device),
    ]


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=_generator())


def _local_scenes(device: torch.device) -> list[Scene]:
    config = ContrastiveConfig()
    num_views = 2 * config.num_pairs
    embeddings = _random(num_views, 16, SIDE**2).to(device)
    masks = _rings(num_views)
    anchors = draw_anchors(masks, config.anchors_per_class, _generator()).to(device)
    variants = {
        "inter": (ContrastForm.INTER, Denominator.BOTH, PairWeighting.UNIFORM),
        "inter, equation 4": (ContrastForm.INTER, Denominator.TARGET_ONLY, PairWeighting.UNIFORM),
        "inter, legacy": (ContrastForm.INTER, Denominator.BOTH, PairWeighting.LEGACY),
        "intra": (ContrastForm.INTRA, Denominator.BOTH, PairWeighting.UNIFORM),
    }
    result = []
    for name, (form, denominator, weighting) in variants.items():
        ours, loop = (
            partial(
                loss, masks=masks.to(device), anchors=anchors, temperature=config.temperature,
                form=form, denominator=denominator, pair_weighting=weighting,
            )
            for loss in (local_contrastive_loss, local_contrastive_reference)
        )  # fmt: skip
        result.append(Scene(f"A local, {name}", "A", embeddings, ours, loop))
    return result


def _rings(num_views: int) -> Tensor:
    """Masks of a disk and the two rings around it, each 10 pixels wide, on every view."""
    axis = torch.arange(SIDE) - SIDE / 2
    radius = torch.hypot(axis[:, None], axis[None, :]).flatten()
    ring = (radius // 10).long()
    masks = ring[None, :] == torch.arange(NUM_CLASSES)[:, None]  # (classes, pixels)
    return masks.expand(num_views, -1, -1).contiguous()


def _global_scenes(device: torch.device) -> list[Scene]:
    config = GlobalLocalConfig()
    batches = (
        (GlobalStrategy.RANDOM, 24), (GlobalStrategy.PARTITION_MINUS, 36),
        (GlobalStrategy.PARTITION, 48),
    )  # fmt: skip
    result = []
    for strategy, num_views in batches:
        ours, loop = (
            partial(
                loss, strategy=strategy, num_partitions=config.num_partitions,
                temperature=config.temperature,
            )
            for loss in (global_contrastive_loss, global_contrastive_reference)
        )  # fmt: skip
        embeddings = _random(num_views, 128).to(device)
        step = f"C global, {num_views}"
        result.append(Scene(f"C global, {strategy.value}", step, embeddings, ours, loop))
    return result


def _region_scenes(device: torch.device) -> list[Scene]:
    """The loss alone on the regions' embeddings, and from the decoder's features on."""
    config = GlobalLocalConfig()
    dense = (_random(576, 128) / 24).to(device)
    result = []
    for strategy, num_views in ((LocalStrategy.RANDOM, 20), (LocalStrategy.PARTITION, 24)):
        ours, loop = (
            partial(
                loss, strategy=strategy, num_partitions=config.num_partitions,
                temperature=config.temperature,
            )
            for loss in (region_contrastive_loss, region_contrastive_reference)
        )  # fmt: skip
        step = f"C local, {num_views}"
        regions = _random(num_views, 17, 128).to(device)
        result.append(Scene(f"C local, {strategy.value}", step, regions, ours, loop))
        features = _random(num_views, 64, SIDE // 4, SIDE // 4).to(device)
        ours, loop = (
            partial(_from_features, gather=gather, dense=dense, loss=loss)
            for gather, loss in ((gather_regions, ours), (gather_regions_reference, loop))
        )
        name = f"C local, {strategy.value}, with its regions"
        result.append(Scene(name, step, features, ours, loop))
    return result


def _from_features(features: Tensor, gather: Loss, dense: Tensor, loss: Loss) -> Tensor:
    return loss(gather(features) @ dense.to(features.dtype))


def _positional_scene(device: torch.device) -> Scene:
    config = PositionalConfig()
    positions = torch.rand(32, generator=_generator()).repeat(2).to(device)
    settings = {
        "threshold": config.threshold,
        "temperature": config.temperature,
        "base_temperature": config.base_temperature,
    }
    ours = partial(positional_contrastive_loss, positions=positions, **settings)
    loop = partial(positional_contrastive_reference, positions=positions.tolist(), **settings)
    embeddings = _random(64, config.embedding_size).to(device)
    return Scene("B positional", "B", embeddings, ours, loop)


def steps_of(device: torch.device) -> dict[str, Step]:
    """Forward and backward of what trains, on the papers' batches; made when first called."""
    config = NetworkConfig()
    network = SegmentationNetwork(config, NUM_CLASSES + 1, _generator()).to(device)
    backbone, bottleneck = network.backbone, config.widths[-1]

    def joint() -> None:
        logits, embeddings = network.segment_and_embed(_images(40, device), 20)
        (logits.mean() + embeddings.mean()).backward()

    def encoder(head: torch.nn.Module, num_views: int) -> None:
        head(backbone.encode(_images(num_views, device))[-1]).mean().backward()

    def decoder(head: torch.nn.Module, num_views: int, num_blocks: int) -> None:
        with torch.no_grad():
            levels = backbone.encode(_images(num_views, device))
        head(backbone.decode(levels, num_blocks)).mean().backward()

    num_blocks = GlobalLocalConfig().num_decoder_blocks
    global_head = GlobalHead(bottleneck * (SIDE // 32) ** 2, _generator()).to(device)
    width = backbone.decoder_width(num_blocks)
    region_head = RegionHead(width, config.batch_norm_momentum, _generator()).to(device)
    size = PositionalConfig().embedding_size
    positional_head = PositionalHead(bottleneck, size, _generator()).to(device)
    steps: dict[str, Step] = {"A": joint, "B": partial(encoder, positional_head, 64)}
    steps |= {f"C global, {n}": partial(encoder, global_head, n) for n in (24, 36, 48)}
    steps |= {f"C local, {n}": partial(decoder, region_head, n, num_blocks) for n in (20, 24)}
    return steps


def _images(num_views: int, device: torch.device) -> Tensor:
    return torch.rand((num_views, 1, SIDE, SIDE), device=device)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", help="words in the names of the rows to measure")
    main(parser.parse_args())

"""What a GPU computes beside a CPU: losses and gradients of the first steps, and predictions."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice

import numpy as np
import torch
from gpu_day_rows import Asked, Found, Rows
from gpu_day_steps import CPU, Step, device_of, steps_of
from torch import Tensor, nn
from torch.nn import functional

from PseudoLabelCLLib.learning.copies import draw_copies
from PseudoLabelCLLib.learning.device import choose_number_of_threads
from PseudoLabelCLLib.learning.inference import predict_slices
from PseudoLabelCLLib.learning.training.training import Trainer

NUM_STEPS = 3


def correctness(asked: Asked, rows: Rows) -> None:
    """Compare with a CPU."""
    choose_number_of_threads()
    kinds = steps_of(asked)
    for name, kind in kinds.items():
        truth = cache(lambda kind=kind: _first_steps(kind.trainer(CPU)))
        rows.once(
            f"{name}, float32: losses and gradients",
            lambda kind=kind, truth=truth: _in_float32(kind, asked, truth()),
        )
        rows.once(
            f"{name}, bfloat16: losses and gradients",
            lambda kind=kind, truth=truth: _in_bfloat16(kind, asked, truth()),
            # in 3-D the product does not compute so on a CPU
            needs=asked.on_gpu or kind.pack.preprocess.dimension == 2,
        )
    for name in ("round 0", "round 0 in 3-D"):
        rows.once(f"prediction, {name}", lambda kind=kinds[name]: _predictions(kind, asked))


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Compute float32 with all of its bits; by default, convolutions on a GPU do not."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@dataclass(frozen=True)
class _FirstSteps:
    """What the first steps gave.

    Args:
        losses: Of each step.
        gradient: Of the first one, all weights in a row.
    """

    losses: list[list[float]]
    gradient: Tensor

    def apart_from(self, truth: "_FirstSteps") -> tuple[float, float]:
        """Return the largest relative difference of a loss, and the cosine of the gradients."""
        of_losses = max(
            abs(a - b) / max(abs(b), 1e-3)
            for ours, theirs in zip(self.losses, truth.losses, strict=True)
            for a, b in zip(ours, theirs, strict=True)
        )
        cosine = functional.cosine_similarity(self.gradient, truth.gradient, dim=0)
        return of_losses, float(cosine)


def _first_steps(trainer: Trainer) -> _FirstSteps:
    losses, gradient = [], torch.zeros(0)
    for report in islice(trainer.steps(), NUM_STEPS):
        losses.append(report.values.tolist())
        if report.step == 1:
            weights = trainer.state.network.parameters()
            gradient = torch.cat(
                [w.grad.double().cpu().flatten() for w in weights if w.grad is not None]
            )
    return _FirstSteps(losses, gradient)


def _in_float32(kind: Step, asked: Asked, truth: _FirstSteps) -> Found:
    with full_float32():
        steps = _first_steps(kind.trainer(device_of(asked, half_precision=False)))
    of_losses, cosine = steps.apart_from(truth)
    return Found(
        f"losses of {NUM_STEPS} steps differ by at most {of_losses:.1e} (relative); gradients of "
        f"the first step have a cosine of {cosine:.5f}",
        "at most 0.001; at least 0.999",
        of_losses <= 1e-3 and cosine >= 0.999,
        {"losses": of_losses, "cosine": cosine},
    )


def _in_bfloat16(kind: Step, asked: Asked, truth: _FirstSteps) -> Found:
    """Compare with what the rounding alone does, which is much in an untrained network.

    There, on a CPU in float32, the inputs and outputs of convolutions are rounded to bfloat16.
    """
    ours = _first_steps(kind.trainer(device_of(asked, half_precision=True))).apart_from(truth)
    trainer = kind.trainer(CPU)
    for part in trainer.state.network.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Conv3d | nn.ConvTranspose3d):
            part.register_forward_pre_hook(lambda _, given: (_Rounded.apply(given[0]),))
            part.register_forward_hook(lambda _, __, made: _Rounded.apply(made))
    rounded = _first_steps(trainer).apart_from(truth)
    most, least = max(3 * rounded[0], 1e-2), rounded[1] - 0.2
    return Found(
        f"losses of {NUM_STEPS} steps differ by at most {ours[0]:.1e} (relative); gradients of the "
        f"first step have a cosine of {ours[1]:.3f}",
        f"at most {most:.1e}; at least {least:.3f} (by rounding alone {rounded[1]:.3f})",
        ours[0] <= most and ours[1] >= least,
        {"losses": ours[0], "cosine": ours[1], "rounded": rounded},
    )


class _Rounded(torch.autograd.Function):
    """Rounds values, and on the way back gradients, to bfloat16."""

    @staticmethod
    def forward(_: object, values: Tensor) -> Tensor:
        return values.bfloat16().float()

    @staticmethod
    def backward(_: object, gradient: Tensor) -> Tensor:
        return gradient.bfloat16().float()


def _predictions(kind: Step, asked: Asked) -> Found:
    """Train a little on the device, then predict a case there and on the CPU."""
    pack = kind.pack
    device = device_of(asked, half_precision=False)
    trainer = kind.trainer(device)
    for _ in islice(trainer.steps(), 40 if asked.on_gpu else 4):
        pass
    network = trainer.state.average
    case = pack.of_role("validation")[0]
    images = case.images if pack.preprocess.dimension == 2 else _corner(case.images)
    copies = draw_copies(pack.config.pseudo_label, 0, mirror=True)[:2]
    block = pack.preprocess.patch_size
    with full_float32():
        there = predict_slices(network, images, copies, device, block)
        rounded = predict_slices(
            network, images, copies, replace(device, half_precision=True), block
        )
    CPU.place(network)
    here = predict_slices(network, images, copies, CPU, block)
    apart = float(np.abs(there.probabilities - here.probabilities).max())
    others = [
        float((one.probabilities.argmax(1) != here.probabilities.argmax(1)).mean())
        for one in (there, rounded)
    ]
    return Found(
        f"float32: probabilities differ by at most {apart:.1e}, {others[0]:.4%} of the pixels "
        f"have another class; bfloat16: {others[1]:.4%}",
        "at most 0.001, 0.01 %, 3 %",
        apart <= 1e-3 and others[0] <= 1e-4 and others[1] <= 3e-2,
        {"probabilities": apart, "classes": others},
    )


def _corner(images: np.ndarray) -> np.ndarray:
    """Return a part of a volume that a CPU predicts in seconds."""
    return np.ascontiguousarray(images[:64, :, :96, :96])

"""Batch normalisation over the slices of all processes, on any device."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from PseudoLabelCLLib.learning.process_group import ProcessGroup


def share_batch_norm(network: nn.Module, group: ProcessGroup, device: torch.device) -> None:
    """Let a network's batch normalisation see the slices of all processes; in place.

    Weights and running averages stay what they are. torch's own layer does this on a GPU, and
    refuses tensors of a CPU.
    """
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
                setattr(parent, name, _SharedBatchNorm(layer, group))


class _Statistics(NamedTuple):
    """Mean and 1 / standard deviation of every channel, and of how many values they are."""

    mean: Tensor
    scale: Tensor
    number: int


class _SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation whose sums run over all processes."""

    def __init__(self, layer: nn.modules.batchnorm._BatchNorm, group: ProcessGroup) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum)
        self.weight, self.bias = layer.weight, layer.bias
        for name, buffer in layer.named_buffers():
            setattr(self, name, buffer)
        self._group = group

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's name
        pass

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        if not self.training:
            return super().forward(input)
        num_values = input.numel() // input.shape[1] if len(input) else 0
        mean, variance, number = _statistics(input, num_values, self._group)
        self._follow(mean, variance, number)
        scale = (variance + self.eps).rsqrt()
        normalised: Tensor = _Normalise.apply(
            input, self.weight, self.bias, _Statistics(mean, scale, number), self._group
        )
        return normalised

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, number: int) -> None:
        """Move the running averages; the variance is that of a sample."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        if number:
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (number / max(1, number - 1)), self.momentum)


def _statistics(images: Tensor, num_values: int, group: ProcessGroup) -> tuple[Tensor, Tensor, int]:
    """Return mean and variance of every channel over all processes, and of how many values."""
    values = images.detach().float()
    axes = _all_but_channels(values)
    width = values.shape[1]
    # in double precision, so that squares of means cancel without loss
    sums = torch.zeros(2 * width + 1, dtype=torch.float64)
    if num_values:
        variance, mean = torch.var_mean(values, dim=axes, correction=0)
        own_mean, own_variance = mean.double(), variance.double()
        sums[:width] = num_values * own_mean
        sums[width:-1] = num_values * (own_variance + own_mean.square())
        sums[-1] = num_values
    group.add_up(sums)
    number = int(sums[-1].item())
    all_mean = sums[:width] / max(1, number)
    all_variance = (sums[width:-1] / max(1, number) - all_mean.square()).clamp(min=0)
    return all_mean.float(), all_variance.float(), number


class _Normalise(torch.autograd.Function):
    """Source: Ioffe and Szegedy, ICML 2015, section 3, with sums over all processes."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor,
        statistics: _Statistics,
        group: ProcessGroup,
    ) -> Tensor:
        mean, scale, number = statistics
        ctx.save_for_backward(images, weight, mean, scale)
        ctx.number, ctx.group = number, group
        factor = weight * scale
        offset = bias - mean * factor
        return torch.addcmul(_along(offset, images), images.float(), _along(factor, images)).to(
            images.dtype
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        images, weight, mean, scale = ctx.saved_tensors
        gradient = gradients[0].float()
        axes = _all_but_channels(gradient)
        normalised = (images.float() - _along(mean, images)) * _along(scale, images)
        own_sum = gradient.sum(dim=axes)
        own_product = (gradient * normalised).sum(dim=axes)
        sums = torch.stack((own_sum, own_product))
        ctx.group.add_up(sums)
        mean_sum, mean_product = sums / max(1, ctx.number)
        through = gradient - _along(mean_sum, images)
        through = through - normalised * _along(mean_product, images)
        into = (through * _along(weight * scale, images)).to(images.dtype)
        return into, own_product, own_sum, None, None


def _along(values: Tensor, images: Tensor) -> Tensor:
    """Return one value for each channel in a form that fits images."""
    return values.reshape(1, -1, *[1] * (images.ndim - 2))


def _all_but_channels(images: Tensor) -> list[int]:
    return [axis for axis in range(images.ndim) if axis != 1]

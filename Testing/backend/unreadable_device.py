"""A device without memory, torch's "meta", in the place of a GPU: reading from it is an error."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from PseudoLabelCLLib.domain.text import NO_TEXT
from PseudoLabelCLLib.learning.device import ComputeDevice

UNREADABLE = ComputeDevice("meta", "a device that cannot be read", NO_TEXT, half_precision=False)


class NoAutocast(torch.autocast):
    """Full precision on a device that knows no other."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class WatchedCopies(TorchDispatchMode):
    """Notes copies from the host for which a GPU would be waited."""

    def __init__(self):
        super().__init__()
        self.waited = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default:
            to = torch.device(kwargs.get("device") or args[0].device).type
            is_copy = args[0].device.type == "cpu" and to == "meta"
            if is_copy and not kwargs.get("non_blocking"):
                self.waited.append(tuple(args[0].shape))
        return func(*args, **kwargs)

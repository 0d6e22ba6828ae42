"""The device of several processes, in words and as the paces of a round are kept for it."""

from dataclasses import replace

from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.process_group import ProcessGroup


def shared_by(group: ProcessGroup, device: ComputeDevice) -> ComputeDevice:
    """Return a device as several processes use it, each its own; alone, as it is.

    Args:
        group: The processes.
        device: That of the first one, which chooses the precision for all.
    """
    if group.size == 1:
        return device
    told = {"reason": device.reason, "count": group.size}
    each = Text("{reason}; {count} processes share the work", **told)
    if device.name == "cuda":
        each = Text("{reason}; {count} processes share the work, each on a GPU of its own", **told)
    return replace(device, description=f"{group.size} x {device.description}", reason=each)

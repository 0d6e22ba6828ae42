"""What trial steps showed on the devices of this computer, kept for the next command."""

import contextlib
from dataclasses import dataclass

import torch

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, read_json, write_json
from PseudoLabelCLLib.storage.files.own_seals import state_folder

_FILE_NAME = "devices.json"
_MOST_KEPT = 16


@dataclass(frozen=True)
class DeviceTrial:
    """How fast half precision was on one device.

    Args:
        device: The device in words.
        torch: Version of torch, with that of CUDA; with another one the trial is made again.
        speedup: Time of a step in float32, divided by that in bfloat16.
        channels_last: Whether the precision that was chosen is faster with the channels of a pixel
            side by side; None where that was not tried.
    """

    device: str
    torch: str
    speedup: float
    channels_last: bool | None = None


@dataclass(frozen=True)
class _Kept:
    """What the file holds."""

    trials: tuple[DeviceTrial, ...] = ()


def kept_trial(device: str) -> DeviceTrial | None:
    """Return the trial on a device with this torch, or None.

    Args:
        device: The device in words.
    """
    same = (one for one in _read() if (one.device, one.torch) == (device, torch.__version__))
    return next(same, None)


def keep_trial(trial: DeviceTrial) -> None:
    """Keep a trial; where nothing can be kept, the next command tries again."""
    others = [one for one in _read() if one.device != trial.device]
    with contextlib.suppress(PseudoLabelCLError):
        make_folder(state_folder())
        kept = _Kept((trial, *others)[:_MOST_KEPT])
        write_json(state_folder() / _FILE_NAME, to_json(kept))


def _read() -> tuple[DeviceTrial, ...]:
    path = state_folder() / _FILE_NAME
    try:
        return from_json(_Kept, read_json(path), path.name).trials if path.exists() else ()
    except (PseudoLabelCLError, OSError):
        return ()  # damaged, or in a place that cannot be read: every command tries anew

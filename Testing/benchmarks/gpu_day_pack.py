"""Packed slices on the network's grid, from which a day at the GPU learns."""

import json
import sys
import zipfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.config import ProjectConfig, TrainingConfig
from PseudoLabelCLLib.domain.network_plan import settle_network
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.learning.training.sampling import LabelledSlices
from PseudoLabelCLLib.messages.json_codec import from_json

# Intensities lie between about 0 and 1; steps of this size are far below their noise.
STEPS = 1024
TEST = "test"
PACKAGES = "packages.zip"


@dataclass(frozen=True)
class PackedCase:
    """A case on the network's grid.

    Args:
        name: Of the case.
        role: "annotated", "validation", "unlabelled" or "test".
        images: Shape (slices, channels, rows, columns), float32.
        classes: Shape (slices, rows, columns), uint8; None of an unlabelled case.
    """

    name: str
    role: str
    images: npt.NDArray[np.float32]
    classes: npt.NDArray[np.uint8] | None

    @property
    def slices(self) -> LabelledSlices:
        """The case as a round learns from it; what is unlabelled counts as background."""
        classes = self.classes
        if classes is None:
            classes = np.zeros((len(self.images), *self.images.shape[2:]), np.uint8)
        return LabelledSlices(self.images, classes)


@dataclass(frozen=True)
class Pack:
    """Cases with the settings that the product settled for them.

    Args:
        config: All settings, the network's levels among them.
        preprocess: The settled grid.
        training: With nothing left to "auto".
        num_classes: Background included.
        cases: In order of their roles.
    """

    config: ProjectConfig
    preprocess: PreprocessConfig
    training: TrainingConfig
    num_classes: int
    cases: tuple[PackedCase, ...]

    def of_role(self, role: str) -> tuple[PackedCase, ...]:
        """Return the cases that do one thing."""
        return tuple(case for case in self.cases if case.role == role)

    def tiny(self) -> "Pack":
        """Return a pack with which a CPU is done in seconds: few cases, steps and channels."""
        is_3d = self.preprocess.dimension == 3
        block = (16, 16, 16) if is_3d else (32, 32)
        preprocess = replace(self.preprocess, patch_size=block)
        widths = tuple(min(width, 8) for width in self.config.network.widths)
        network = replace(self.config.network, widths=widths, strides=(), kernels=())
        return replace(
            self,
            config=replace(self.config, network=settle_network(network, preprocess)),
            preprocess=preprocess,
            training=replace(
                self.training,
                supervised=replace(self.training.supervised, num_steps=12),
                joint=replace(self.training.joint, num_steps=12),
                validations_per_round=2,
            ),
            cases=tuple(
                _middle(one)
                for role in ("annotated", "validation", "unlabelled", TEST)
                for one in self.of_role(role)[:2]
            ),
        )


def _middle(case: PackedCase) -> PackedCase:
    """Return the middle of a case, of every third voxel."""
    first = max(0, len(case.images) // 2 - 8)
    images = np.ascontiguousarray(case.images[first : first + 16, :, ::3, ::3])
    classes = case.classes
    if classes is not None:
        classes = np.ascontiguousarray(classes[first : first + 16, ::3, ::3])
    return replace(case, images=images, classes=classes)


@cache
def read_pack(folder: Path, kind: str) -> Pack:
    """Read what `prepare` wrote.

    Args:
        folder: Where it lies.
        kind: "hearts" or "atrium".
    """
    told = json.loads((folder / f"{kind}.json").read_text(encoding="utf-8"))
    with np.load(folder / f"{kind}.npz") as arrays:
        cases = tuple(
            PackedCase(
                case["name"],
                case["role"],
                arrays[f"images_{case['name']}"].astype(np.float32) / STEPS,
                arrays[f"classes_{case['name']}"] if case["role"] != "unlabelled" else None,
            )
            for case in told["cases"]
        )
    return Pack(
        from_json(ProjectConfig, told["config"], "config"),
        from_json(PreprocessConfig, told["preprocess"], "preprocess"),
        from_json(TrainingConfig, told["training"], "training"),
        told["num_classes"],
        cases,
    )


def use_carried_packages(pack: Path, folder: Path) -> None:
    """Let packages that this Python lacks be imported from the pack; its own come first.

    Args:
        pack: With `packages.zip`.
        folder: Where they are unpacked to.
    """
    if not folder.is_dir() and (pack / PACKAGES).exists():
        with zipfile.ZipFile(pack / PACKAGES) as file:
            file.extractall(folder)
    sys.path.append(str(folder))

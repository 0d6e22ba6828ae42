"""Ten kinds of volume from annotation to proposal: the plan, time, memory, and the geometry.

    python Testing/benchmarks/geometries.py --output FOLDER [--only whole-body ...]

Each kind is two synthetic volumes, one annotated and one not, in which ellipsoids of different
brightness lie at other places. A small network is trained for a few steps and proposes the second
volume, whose truth is known. "exact" means that the proposal has the size, spacing, origin and
directions of its image to the last bit that the file format keeps.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from acdc_stages import StageLog
from own_process import print_table
from scipy.spatial.transform import Rotation

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.plan_in_words import plan_in_words
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.pipeline.prediction.measure_quality import measure_quality
from PseudoLabelCLLib.storage.files.atomic_files import make_folder
from PseudoLabelCLLib.storage.project.preprocess_plan import settled_preprocess
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.volume_io import read_geometry, write_volume

Triple = tuple[float, float, float]

STRAIGHT = np.eye(3)
OBLIQUE = Rotation.from_euler("zyx", (20, -15, 35), degrees=True).as_matrix()
# Of the network and its training: too small to be good.
SMALL = (
    "network.widths=[8,8,16,16,32,32]", "training.supervised.num_steps={steps}",
    "training.supervised.batch_size=4", "training.validations_per_round=1",
)  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """How a volume lies.

    Args:
        size: Columns, rows, slices.
        spacing_mm: Their distances.
        direction: Of columns, rows and slices, as a matrix.
    """

    size: tuple[int, int, int]
    spacing_mm: Triple
    direction: npt.NDArray[np.float64]

    @property
    def geometry(self) -> Geometry:
        """The same, with an origin that is not 0."""
        direction = tuple(float(value) for value in self.direction.ravel())
        return Geometry(self.size, self.spacing_mm, (-31.5, 17.25, 402.0), direction)


@dataclass(frozen=True)
class Kind:
    """One kind of volume.

    Args:
        annotated: How the annotated volume lies.
        unlabelled: How the other one lies.
        radii_mm: Of the structures, along columns, rows and slices.
        is_ct: Whether values are Hounsfield units.
        settings: Further settings, as typed.
    """

    annotated: Grid
    unlabelled: Grid
    radii_mm: tuple[Triple, ...]
    is_ct: bool = False
    settings: tuple[str, ...] = ()


def _alike(
    size: tuple[int, int, int], spacing_mm: Triple, *radii_mm: Triple, **more: object
) -> Kind:
    direction = more.pop("direction", STRAIGHT)
    grid = Grid(size, spacing_mm, direction)
    return Kind(grid, grid, radii_mm, **more)


KINDS = {
    "whole-body": _alike(
        (512, 512, 900), (0.98, 0.98, 1.0),
        (90, 60, 70), (30, 25, 55), (30, 25, 55), (45, 40, 60), (25, 25, 200),
        is_ct=True,
    ),
    "brain": _alike((256, 256, 256), (1, 1, 1), (12, 8, 20), (12, 8, 20), (30, 20, 25)),
    "brain in 3-D": _alike(
        (256, 256, 256), (1, 1, 1), (12, 8, 20), (12, 8, 20), (30, 20, 25),
        settings=("preprocess.dimension=3",),
    ),
    "thick slices": _alike((256, 256, 24), (0.9, 0.9, 6), (25, 20, 30), (18, 18, 36)),
    "three slices": _alike((384, 384, 3), (0.6, 0.6, 10), (25, 20, 40), (18, 18, 40)),
    "oblique": _alike((192, 160, 40), (1.2, 1.2, 3), (25, 20, 24), (18, 18, 30), direction=OBLIQUE),
    "lesion of 4 mm": _alike((192, 192, 40), (0.8, 0.8, 2), (2, 2, 2)),
    "14 structures": _alike((256, 256, 40), (1, 1, 3), *[(12, 12, 20)] * 14),
    "different spacings": Kind(
        Grid((256, 256, 30), (0.7, 0.7, 3), STRAIGHT),
        Grid((96, 110, 12), (1.9, 1.9, 8), OBLIQUE),
        ((25, 20, 24), (18, 18, 30)),
    ),
    "tiny": _alike((20, 24, 10), (1, 1, 1.5), (4, 4, 4), (3, 4, 5)),
    "huge pixels": _alike((64, 64, 30), (8, 8, 8), (60, 50, 60), (40, 45, 50)),
}  # fmt: skip


def main() -> None:
    """Run every kind and print the table."""
    arguments = _arguments()
    rows = []
    for name in arguments.only or KINDS:
        rows.append(_row(name, KINDS[name], arguments))
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    print_table(
        (
            "kind", "size", "spacing (mm)", "plan", "round 0 (s)", "memory (GB)",
            "Dice", "geometry",
        ),
        rows,
    )  # fmt: skip


def _row(name: str, kind: Kind, arguments: argparse.Namespace) -> list[str]:
    folder = arguments.output / name.replace(" ", "-")
    make_folder(folder)
    log, project = StageLog(folder, lambda _: None), folder / "project"
    if not log.is_done("train"):
        schema = schema_of(kind)
        _write(folder / "first", kind.annotated, kind, schema, seed=1)
        _write(folder / "second", kind.unlabelled, kind, schema, seed=2)
        if not log.is_done("create"):
            log.run("create", *_create(folder, project, kind, arguments.steps))
        log.run("train", "train", project, "--device", "cpu", "--answer", "vanishing=train")
    stage = log.stages["train"]
    schema = schema_of(kind)
    image = read_geometry(folder / "second.nii.gz")
    proposal = read_segmentation(ProjectLayout(project).proposal(0, "second"), schema)[0]
    truth = read_segmentation(folder / "second-truth.nii.gz", schema)[0]
    quality = measure_quality(proposal, truth, schema)
    return [
        name,
        _times(kind.annotated.size),
        _times(kind.annotated.spacing_mm),
        _plan(project),
        f"{stage['cpu_seconds']:.0f}",
        f"{stage['peak_memory_gb']:.1f}",
        f"{np.mean([one.dice or 0.0 for one in quality.classes]):.2f}",
        "exact" if _is_same(proposal.geometry, image) else "MOVED",
    ]


def _create(folder: Path, project: Path, kind: Kind, steps: int) -> list[object]:
    settings = [one.format(steps=steps) for one in (*SMALL, *kind.settings)]
    labels = ",".join(f"{one.value}={one.name}" for one in schema_of(kind))
    return [
        "create", project, "--annotated", folder / "first.nii.gz", folder / "first-truth.nii.gz",
        "--unlabelled", folder / "second.nii.gz", "--labels", labels,
        *(word for one in settings for word in ("--set", one)),
    ]  # fmt: skip


def _plan(project: Path) -> str:
    settled = settled_preprocess(project, load_project(project))
    return "not settled" if settled is None else str(plan_in_words(settled))


def _is_same(one: Geometry, other: Geometry) -> bool:
    """Tell whether two grids are the same but for the single precision of NIfTI."""
    return one.size == other.size and all(
        np.allclose(getattr(one, name), getattr(other, name), rtol=0, atol=1e-5)
        for name in ("spacing_mm", "origin_mm", "direction")
    )


def schema_of(kind: Kind) -> LabelSchema:
    """Return the structures of a kind of volume."""
    return LabelSchema.from_values(tuple(range(1, len(kind.radii_mm) + 1)))


def _write(stem: Path, grid: Grid, kind: Kind, schema: LabelSchema, seed: int) -> None:
    """Write a volume and its truth; structures lie on a ring, shifted a little by the seed."""
    if (truth_path := stem.with_name(stem.name + "-truth.nii.gz")).exists():
        return
    rng = np.random.default_rng(seed)
    labels = np.zeros(grid.size[::-1], np.uint8)
    extent = np.multiply(grid.size, grid.spacing_mm)
    for number, radii in enumerate(kind.radii_mm):
        turn = 2 * np.pi * number / len(kind.radii_mm)
        ring = 0.0 if len(kind.radii_mm) == 1 else 0.27
        center = extent * (0.5 + ring * np.array([np.cos(turn), np.sin(turn), 0.0]))
        center += rng.uniform(-0.03, 0.03, 3) * extent
        _draw(labels, grid, center, radii, number + 1)
    _write_image(stem, labels, grid, kind, rng)
    write_segmentation(truth_path, LabelVolume(labels, grid.geometry), schema)


def _draw(
    labels: npt.NDArray[np.uint8], grid: Grid, center: npt.NDArray[np.float64], radii: Triple,
    value: int,
) -> None:  # fmt: skip
    """Draw an ellipsoid; only its box is looked at."""
    parts, squares = [], []
    for axis in range(3):
        places = (np.arange(grid.size[axis]) + 0.5) * grid.spacing_mm[axis] - center[axis]
        near = np.flatnonzero(np.abs(places) <= radii[axis])
        parts.append(slice(near[0], near[-1] + 1))
        squares.append((places[parts[-1]] / radii[axis]) ** 2)
    distance = squares[2][:, None, None] + squares[1][:, None] + squares[0]
    box = labels[parts[2], parts[1], parts[0]]
    box[distance <= 1] = value


def _write_image(
    stem: Path, labels: npt.NDArray[np.uint8], grid: Grid, kind: Kind, rng: np.random.Generator
) -> None:
    """Write the image: a body in air, structures that differ in brightness, noise."""
    columns, rows = ((np.arange(n) + 0.5) / n - 0.5 for n in grid.size[:2])
    body = (columns**2 + rows[:, None] ** 2) < 0.46**2
    num = len(kind.radii_mm)
    steps = np.linspace(60, 220, num) if kind.is_ct else np.linspace(500, 1000, num)
    air, tissue = (-1000.0, 0.0) if kind.is_ct else (0.0, 250.0)
    brightness = np.array([tissue, *steps], np.float32)
    image = np.empty(labels.shape, np.int16)
    for number, own in enumerate(labels):
        values = np.where(body, brightness[own], np.float32(air))
        values += rng.normal(0, 12, values.shape).astype(np.float32)
        image[number] = values.round()
    write_volume(stem.with_name(stem.name + ".nii.gz"), Volume(image, grid.geometry))


def _times(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ten kinds of volume, from image to proposal.")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=[*KINDS])
    parser.add_argument("--steps", type=int, default=150)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Phantom heart volumes made in code, to try the program and to test it without patients."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from PseudoLabelCLLib.curation.samples.sample_anatomy import (
    LEFT_VENTRICLE,
    MYOCARDIUM,
    RIGHT_VENTRICLE,
    FloatArray,
    PhantomGrid,
    draw_anatomy,
)
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.reporting import ReportProgress, silent
from PseudoLabelCLLib.domain.segmentation import Code, LabelClass, LabelSchema, Terminology
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.storage.files.atomic_files import make_folder
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

SampleKind = Literal["annotated", "unlabelled", "test"]
_ANATOMICAL_STRUCTURE = Code("SCT", "123037004", "Anatomical Structure")
_SUFFIXES = (".nii.gz", ".nrrd", ".mha")


@dataclass(frozen=True)
class Phantom:
    """A synthetic volume and its true segmentation."""

    volume: Volume
    truth: LabelVolume


@dataclass(frozen=True)
class SampleCase:
    """The files of one phantom.

    Args:
        case_id: Its name.
        kind: What it is meant for; "test" cases take no part in training.
        image: The volume.
        truth: What is really in it, in the folder of truths.
        annotation: The segmentation to train with; None unless annotated.
    """

    case_id: str
    kind: SampleKind
    image: Path
    truth: Path
    annotation: Path | None


def phantom_schema() -> LabelSchema:
    """Return the labels of the phantoms, coded as in Slicer's terminologies (SNOMED CT)."""
    structures = (
        (RIGHT_VENTRICLE, "right ventricle", "#e69f00", "53085002", "Right Ventricle"),
        (MYOCARDIUM, "myocardium", "#009e73", "74281007", "Myocardium"),
        (LEFT_VENTRICLE, "left ventricle", "#56b4e9", "87878005", "Left Ventricle"),
    )
    return LabelSchema(
        tuple(
            LabelClass(
                value=value,
                name=name,
                color=color,
                terminology=Terminology(_ANATOMICAL_STRUCTURE, Code("SCT", code, meaning)),
                keep_largest_component=True,
            )
            for value, name, color, code, meaning in structures
        )
    )


def make_phantom(
    rng: np.random.Generator, *, oblique: bool = True, left_handed: bool = False
) -> Phantom:
    """Make one short-axis heart volume: 8-10 thick slices of 96-144 pixels.

    Args:
        rng: Where everything random comes from; the same state gives the same phantom.
        oblique: Whether the slices lie turned in space, as they do in a patient.
        left_handed: Whether the slices are counted from the apex, which mirrors the grid.
    """
    geometry = _random_geometry(rng, oblique=oblique)
    tissue, labels = draw_anatomy(_slice_grid(geometry, rng), rng)
    intensities = _scan(tissue, rng)
    if left_handed:
        geometry = _counted_from_other_end(geometry)
        intensities, labels = intensities[::-1].copy(), labels[::-1].copy()
    return Phantom(Volume(intensities, geometry), LabelVolume(labels, geometry))


def write_sample_cases(
    folder: Path,
    seed: int,
    *,
    num_annotated: int = 1,
    num_unlabelled: int = 8,
    num_test: int = 4,
    progress: ReportProgress = silent,
) -> tuple[SampleCase, ...]:
    """Write phantoms as NIfTI, NRRD and MetaImage files, and their truth into `truth/`.

    The phantoms come from one stream of cases: more of one kind does not change the others of
    the same position.
    """
    make_folder(folder / "truth")
    numbers: tuple[tuple[SampleKind, int], ...] = (
        ("annotated", num_annotated), ("unlabelled", num_unlabelled), ("test", num_test),
    )  # fmt: skip
    kinds = [kind for kind, number in numbers for _ in range(number)]
    made = []
    for index, kind in enumerate(kinds):
        progress(Text("Making sample volumes"), index, len(kinds))
        made.append(_write_case(folder, seed, index, kind))
    return tuple(made)


def _random_geometry(rng: np.random.Generator, *, oblique: bool) -> Geometry:
    columns, rows = (int(n) for n in rng.integers(96, 145, size=2))
    pixel_mm, slice_mm = rng.uniform(1.4, 1.8), rng.uniform(8.0, 10.0)
    slices = int(rng.integers(8, 11))
    turn = Rotation.from_euler("zyx", rng.uniform(-40, 40, size=3), degrees=True)
    direction = turn.as_matrix() if oblique else np.eye(3)
    return Geometry(
        size=(columns, rows, slices),
        spacing_mm=(pixel_mm, pixel_mm, slice_mm),
        origin_mm=tuple(rng.uniform(-150, 150, size=3).tolist()),
        direction=tuple(direction.ravel().tolist()),
    )


def _slice_grid(geometry: Geometry, rng: np.random.Generator) -> PhantomGrid:
    columns, rows, slices = (np.arange(n, dtype=np.float32) for n in geometry.size)
    pixel_mm, slice_mm = np.float32(geometry.spacing_mm[0]), np.float32(geometry.spacing_mm[2])
    above_base_mm = np.float32(rng.uniform(0.3, 1.4) * slice_mm)
    z_mm, y_mm, x_mm = np.meshgrid(
        slices * slice_mm - above_base_mm,
        (rows - rows.mean()) * pixel_mm,
        (columns - columns.mean()) * pixel_mm,
        indexing="ij",
    )
    return PhantomGrid(x_mm, y_mm, z_mm[:, :1, :1])


def _scan(tissue: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return what a scanner makes of tissues: blur, own contrast, coil shading, noise, gain."""
    # A fifth of a slice of blur mixes a few percent of the neighbours: thick-slice partial volume.
    signal = ndimage.gaussian_filter(tissue, (0.3, rng.uniform(0.5, 0.9), rng.uniform(0.5, 0.9)))
    signal = np.clip(signal, 0, None) ** rng.uniform(0.7, 1.5)
    signal = signal * _coil_shading(signal.shape, rng)
    level = rng.uniform(0.015, 0.055)
    in_phase, out_of_phase = rng.normal(0, level, size=(2, *signal.shape))
    magnitude = np.hypot(signal + in_phase, out_of_phase)
    return np.asarray(magnitude * rng.uniform(150, 1800), dtype=np.float32)


def _coil_shading(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Return a smooth positive field around 1: a random quadratic, exponentiated."""
    slices, rows, columns = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    terms = (slices, rows, columns, rows**2, columns**2, rows * columns)
    weights = rng.uniform(-1, 1, size=len(terms)) * np.array([0.1, 0.4, 0.4, 0.2, 0.2, 0.2])
    exponent = sum(weight * term for weight, term in zip(weights, terms, strict=True))
    return np.asarray(np.exp(exponent), dtype=np.float32)


def _counted_from_other_end(geometry: Geometry) -> Geometry:
    """Return the same space with the slices in reverse order."""
    last = geometry.index_to_world((0, 0, geometry.size[2] - 1))
    direction = geometry.direction_matrix * np.array([1, 1, -1])
    return Geometry(
        size=geometry.size,
        spacing_mm=geometry.spacing_mm,
        origin_mm=tuple(last.tolist()),
        direction=tuple(direction.ravel().tolist()),
    )


def _write_case(folder: Path, seed: int, index: int, kind: SampleKind) -> SampleCase:
    # One left-handed grid in five, two upright ones in three.
    phantom = make_phantom(
        np.random.default_rng([seed, index]), oblique=index % 3 == 1, left_handed=index % 5 == 3
    )
    case_id = f"{kind}-{index + 1:02d}"
    image = folder / f"{case_id}{_SUFFIXES[index % len(_SUFFIXES)]}"
    truth = folder / "truth" / f"{case_id}.seg.nrrd"
    annotation = folder / f"{case_id}.seg.nrrd" if kind == "annotated" else None
    write_volume(image, phantom.volume)
    for path in filter(None, (truth, annotation)):
        write_segmentation(path, phantom.truth, phantom_schema())
    return SampleCase(case_id, kind, image, truth, annotation)

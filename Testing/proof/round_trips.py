"""Voxels that differ after a round trip through a DICOM segmentation, one column for each reader.

    python Testing/proof/round_trips.py [--data FOLDER] [--dcmqi FOLDER] [--large] [--only TEXT]

FOLDER holds the real series mr_hippocampus_axial and mr_flair_oblique. Readers that are not
there are told, and their columns stay empty. Needs slicer-core.
"""

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from grid_by_hand import Grid, grid_of_series
from mrml_reader import by_slicer
from programs import find_program
from readers import (
    Points,
    by_dcmqi,
    by_hand,
    by_highdicom,
    errors_of_dciodvfy,
    voxels_on,
)
from trial_objects import Masks, blobs, write_object

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.dicom.series_writer import VolumeKind, plan_series, write_series

sys.path.append(str(Path(__file__).resolve().parents[1] / "backend"))
import dicom_phantoms as phantoms

MISSING = [
    "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyTime",
    "ReferringPhysicianName", "PositionReferenceIndicator", "SliceThickness",
]  # fmt: skip
REVERSED = [5, 4, 3, 2, 1, 0]
NOT_EXPORTED = "never exported so"
COLUMNS = ("by hand", "highdicom", "dcmqi", "Slicer", "`dciodvfy` errors")


@dataclass(frozen=True)
class Trial:
    """A series, made or real, and what is drawn on it.

    Args:
        name: For the table.
        series: Makes the series in a new folder, or returns a folder that is there.
        draw: Makes one mask for each segment from the shape of the series, (segments, k, j, i).
        in_slicer: Whether Slicer's reader of single slices makes a volume of the series.
    """

    name: str
    series: Callable[[Path], Path]
    draw: Callable[[tuple[int, int, int]], Masks]
    in_slicer: bool = True


def overlapping(shape: tuple[int, int, int]) -> Masks:
    """Three bodies, the second of which holds the first, the third nearly everything."""
    first, second, _ = blobs(shape)
    return np.stack([first, first | second, np.indices(shape).sum(0) % 7 > 0])


def one_is_empty(shape: tuple[int, int, int], at: int) -> Masks:
    """Three segments, one without a voxel."""
    masks = blobs(shape)
    masks[at] = False
    return masks


def overlapping_one_is_empty(shape: tuple[int, int, int]) -> Masks:
    """Four segments, three of which overlap, the last without a voxel."""
    masks = overlapping(shape)
    return np.concatenate([masks, np.zeros_like(masks[:1])])


def twenty(shape: tuple[int, int, int]) -> Masks:
    """Twenty segments, each another length."""
    masks = np.zeros((20, *shape), bool)
    for number in range(20):
        masks[number, number % shape[0], number % shape[1], 1 : 3 + number % (shape[2] - 3)] = True
        masks[number, :, (number + 1) % shape[1]] &= False
    return masks


def generated(name: str, draw: Callable = blobs, grid: object = None, **changes) -> Trial:
    """Return a trial on a phantom."""
    return Trial(name, lambda folder: phantoms.write_series(folder, grid, **changes).folder, draw)


def enhanced(name: str, plane: str, order: list[int]) -> Trial:
    """Return a trial on one multi-frame object, its frames in any order."""
    grid = phantoms.grid(plane)
    return Trial(
        name,
        lambda folder: phantoms.write_enhanced(folder, grid, order=order).folder,
        blobs,
        in_slicer=False,
    )


def of_volume(name: str, kind: VolumeKind) -> Trial:
    """Return a trial on the series that a left-handed volume of a file makes."""
    axes = phantoms.PLANES["oblique"] * (1, 1, -1)
    grid = replace(phantoms.grid(), direction=tuple(axes.ravel().tolist()))
    voxels = np.random.default_rng(3).normal(size=grid.array_shape).astype(np.float32)

    def write(folder: Path) -> Path:
        folder.mkdir()
        planned = plan_series(Volume(voxels, grid), kind=kind, patient_id="", description="")
        write_series(folder, planned)
        return folder

    return Trial(name, write, blobs)


def trials(data: Path | None, *, large: bool) -> Iterator[Trial]:
    """Return all trials, the real ones if there is data."""
    if data is not None:
        for name in ("mr_hippocampus_axial", "mr_flair_oblique"):
            yield Trial(f"real: {name}", lambda _, name=name: data / name, blobs)
    for plane in phantoms.PLANES:
        yield generated(plane, grid=phantoms.grid(plane))
    yield generated("axial, files in reverse", order=REVERSED)
    yield generated("oblique, files in reverse", grid=phantoms.grid("oblique"), order=REVERSED)
    yield generated("CT, 16 bit signed, rescale", grid=phantoms.grid("oblique"), modality="CT")
    yield generated("patient Müller^Jürgen, ISO_IR 100", SpecificCharacterSet="ISO_IR 100",
                    PatientName="Müller^Jürgen")  # fmt: skip
    yield generated("patient Yamada^Tarou=山田^太郎", PatientName="Yamada^Tarou=山田^太郎",
                    SpecificCharacterSet=["", "ISO 2022 IR 87"])  # fmt: skip
    yield generated("eight attributes missing", drop=MISSING)
    yield generated("overlapping segments", draw=overlapping)
    yield generated("one of three segments empty, last as exported", partial(one_is_empty, at=2))
    yield generated("overlapping segments, an empty one last", overlapping_one_is_empty)
    yield generated(f"one of three segments empty, first ({NOT_EXPORTED})",
                    partial(one_is_empty, at=0))  # fmt: skip
    yield generated("20 segments", draw=twenty, grid=phantoms.grid(size=(24, 23, 6)))
    yield enhanced("enhanced MR, axial, frames in reverse", "axial", REVERSED)
    yield enhanced("enhanced MR, oblique, frames in any order", "oblique", [3, 0, 5, 1, 4, 2])
    yield of_volume("left-handed volume written as MR series", VolumeKind.MR)
    yield of_volume("left-handed volume written as captures", VolumeKind.OTHER)
    if large:
        grid = phantoms.grid(size=(512, 512, 300), spacing=(0.7, 0.7, 1.25))
        yield generated("512 x 512 x 300, 5 segments", partial(blobs, num_segments=5), grid,
                        modality="CT")  # fmt: skip


def compare(grid: Grid, masks: Masks, read: Callable[[], Points]) -> str:
    """Return how many voxels a reader has elsewhere, over all segments; or why it has none."""
    try:
        found = read()
        return str(sum(
            np.count_nonzero(voxels_on(grid, points) != mask)
            for points, mask in zip(found, masks, strict=True)
        ))  # fmt: skip
    except FileNotFoundError:
        return "-"
    except (ValueError, RuntimeError, PseudoLabelCLError) as error:
        return f"refused: {error}"


def row_of(trial: Trial, programs: str | None) -> list[str]:
    """Make one trial; return its row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        series = trial.series(Path(folder) / "series")
        grid = grid_of_series(series)
        masks = trial.draw(grid.shape)
        path, n = write_object(series, Path(folder) / "out", masks), len(masks)
        readers = (
            partial(by_hand, path, n),
            partial(by_highdicom, path, n),
            partial(by_dcmqi, path, n, programs),
            partial(by_slicer, path, n, grid.files, programs) if trial.in_slicer else None,
        )
        errors = errors_of_dciodvfy(path)
        found = [compare(grid, masks, reader) if reader else "-" for reader in readers]
        return [trial.name, str(int(masks.sum())), *found, "-" if errors is None else str(errors)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the folder of the two real series")
    parser.add_argument("--dcmqi", help="where segimage2itkimage lies; default: the PATH")
    parser.add_argument("--large", action="store_true", help="512 x 512 x 300 too")
    parser.add_argument("--only", default="", help="trials whose names hold this text")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="pydicom")  # it warns of what phantoms leave out
    try:
        find_program("segimage2itkimage", arguments.dcmqi)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
    print(f"| series | voxels drawn | {' | '.join(COLUMNS)} |")
    print("|---|" + "--:|" * (len(COLUMNS) + 1), flush=True)
    rows = []
    for trial in trials(arguments.data, large=arguments.large):
        if arguments.only in trial.name:
            rows.append(row_of(trial, arguments.dcmqi))
            print(f"| {' | '.join(rows[-1])} |", flush=True)
    counted = [row for row in rows if NOT_EXPORTED not in row[0]]
    sys.exit(any(cell not in ("0", "-") for row in counted for cell in row[2:]))


if __name__ == "__main__":
    main()

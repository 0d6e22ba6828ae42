"""Readers of DICOM segmentations that share no code with the program: where each voxel lies.

Every reader returns, for each segment, the centres of its voxels in LPS millimetres.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk
from grid_by_hand import Grid
from programs import find_program

Points = list[np.ndarray]
# A hundredth of a voxel: positions are text in DICOM and 32-bit numbers in some files.
_OFF_CENTRE_VOXELS = 0.01


def voxels_on(grid: Grid, points: np.ndarray) -> np.ndarray:
    """Return the mask of the voxels whose centres these are.

    Raises:
        ValueError: A point is no centre of a voxel of the grid, or one comes twice.
    """
    mask = np.zeros(grid.shape, bool)
    index = (points - grid.matrix[:3, 3]) @ np.linalg.inv(grid.matrix[:3, :3]).T
    nearest = np.round(index).astype(int)
    if len(points) and np.abs(index - nearest).max() > _OFF_CENTRE_VOXELS:
        raise ValueError(f"{np.abs(index - nearest).max():.3f} voxels from the nearest centre")
    if len(points) and (nearest.min() < 0 or (nearest >= grid.shape).any()):
        raise ValueError("outside of the series")
    mask[tuple(nearest.T)] = True
    if np.count_nonzero(mask) != len(points):
        raise ValueError("a voxel comes twice")
    return mask


def by_hand(path: Path, num_segments: int) -> Points:
    """Unpack the bits with numpy, and place every frame by its own position."""
    header = pydicom.dcmread(path)
    bits = np.unpackbits(np.frombuffer(header.PixelData, np.uint8), bitorder="little")
    shape = (int(header.NumberOfFrames), header.Rows, header.Columns)
    frames = bits[: np.prod(shape)].reshape(shape)
    shared = header.SharedFunctionalGroupsSequence[0]
    found: list[list[np.ndarray]] = [[] for _ in range(num_segments)]
    for frame, item in zip(frames, header.PerFrameFunctionalGroupsSequence, strict=True):
        number = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        turned = (item if "PlaneOrientationSequence" in item else shared).PlaneOrientationSequence
        measured = (item if "PixelMeasuresSequence" in item else shared).PixelMeasuresSequence
        rows, columns = np.reshape([float(x) for x in turned[0].ImageOrientationPatient], (2, 3))
        row_mm, column_mm = (float(mm) for mm in measured[0].PixelSpacing)
        place = [float(x) for x in item.PlanePositionSequence[0].ImagePositionPatient]
        j, i = np.nonzero(frame)
        centres = place + np.outer(i, rows * column_mm) + np.outer(j, columns * row_mm)
        found[number - 1].append(centres)
    return [np.concatenate(parts) if parts else np.empty((0, 3)) for parts in found]


def by_highdicom(path: Path, num_segments: int) -> Points:
    """Let highdicom make a volume of every segment."""
    segmentation, found = hd.seg.segread(path), []
    for number in range(1, num_segments + 1):
        volume = segmentation.get_volume(segment_numbers=[number], allow_missing_positions=True)
        index = np.argwhere(volume.array[..., 0])
        found.append(index @ volume.affine[:3, :3].T + volume.affine[:3, 3])
    return found


def by_dcmqi(path: Path, num_segments: int, programs: str | None = None) -> Points:
    """Let dcmqi write label volumes and read those with ITK."""
    found = [np.empty((0, 3)) for _ in range(num_segments)]
    with tempfile.TemporaryDirectory() as folder:
        for file, segments in label_volumes(path, Path(folder), programs):
            image = sitk.ReadImage(str(file))
            array = sitk.GetArrayFromImage(image)
            turned = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
            for value, number in segments.items():
                index = np.argwhere(array == value)[:, ::-1]
                found[number - 1] = index @ turned.T + image.GetOrigin()
    return found


def label_volumes(
    path: Path, folder: Path, programs: str | None = None, *options: str
) -> list[tuple[Path, dict[int, int]]]:
    """Let dcmqi write the label volumes of an object.

    Returns:
        The files, each with the segment numbers of its label values, also of those without a voxel.
    """
    program = find_program("segimage2itkimage", programs)
    command = [program, "--inputDICOM", path, "--outputDirectory", folder, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"dcmqi ended with {done.returncode}: {done.stderr[-300:]}")
    attributes = json.loads((folder / "meta.json").read_text())["segmentAttributes"]
    numbers, files = _numbers_of(attributes, path), sorted(folder.glob("*.nrrd"))
    if len(files) != len(numbers):  # Slicer refuses that too
        raise ValueError(f"dcmqi wrote {len(files)} label volumes and describes {len(numbers)}")
    return [(folder / f"{n}.nrrd", values) for n, values in enumerate(numbers, start=1)]


def _numbers_of(attributes: Sequence[Sequence[dict]], path: Path) -> list[dict[int, int]]:
    """Return segment numbers by label value for each file, found by the labels of segments."""
    by_label = {str(s.SegmentLabel): s.SegmentNumber for s in pydicom.dcmread(path).SegmentSequence}
    return [
        {int(item["labelID"]): int(by_label[item["SegmentLabel"]]) for item in group}
        for group in attributes
    ]


def errors_of_dciodvfy(path: Path) -> int | None:
    """Count what dciodvfy calls an error; None if it is not on the PATH."""
    program = shutil.which("dciodvfy")
    if program is None:
        return None
    done = subprocess.run([program, path], capture_output=True, text=True, check=False)
    return sum(line.startswith("Error") for line in (done.stdout + done.stderr).splitlines())

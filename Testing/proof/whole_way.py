"""From volumes with one segmentation to a verified DICOM segmentation of a real DICOM series.

    python Testing/proof/whole_way.py --data FOLDER --output FOLDER [--dcmqi FOLDER] [--picture PNG]

FOLDER holds hippocampus/images, hippocampus/labels (Medical Segmentation Decathlon, Task04) and
dicom/mr_hippocampus_axial. Every step is a command of the program, printed as it is typed.
"""

import argparse
import shlex
import sys
import time
from pathlib import Path

import numpy as np
from grid_by_hand import grid_of_series
from overlay_picture import draw_overlay
from readers import by_dcmqi, by_hand, voxels_on

from PseudoLabelCLLib.command_line.main import main as pseudolabelcl

ANNOTATED = "343"
# Kept for validation and tests, or annotated: no unlabelled volume.
NOT_UNLABELLED = set(
    "343 374 301 264 156 102 070 092 142 150 152 157 160 162 163 190 205 220 229 245 252 282 321"  # noqa: SIM905
    " 325 329 389".split()
)
LABELS = "1=Anterior hippocampus,2=Posterior hippocampus"
SERIES = "mr_hippocampus_axial"


def volumes_of(data: Path) -> tuple[Path, Path, list[Path]]:
    """Return the annotated volume, its segmentation, and the volumes that nobody has segmented.

    They count rows and columns from the other end than the series; the program turns its slices.
    """
    images = sorted((data / "hippocampus" / "images").glob("*.nii.gz"))
    if not images:
        sys.exit(f"No volumes in '{data / 'hippocampus' / 'images'}'.")
    by_id = {file.name.removesuffix(".nii.gz").rpartition("_")[2]: file for file in images}
    annotated = by_id[ANNOTATED]
    truth = data / "hippocampus" / "labels" / annotated.name
    return annotated, truth, [f for id_, f in by_id.items() if id_ not in NOT_UNLABELLED]


def run(*words: object) -> None:
    """Type one command of the program."""
    typed = [str(word) for word in words]
    shown = [w for w in typed if "hippocampus_" not in w or ANNOTATED in w or SERIES in w]
    hidden = f"  # and {len(typed) - len(shown)} volumes" if len(shown) < len(typed) else ""
    print(f"$ pseudolabelcl {shlex.join(shown)}{hidden}", flush=True)
    started = time.monotonic()
    code = pseudolabelcl(typed)
    print(f"  ({time.monotonic() - started:.0f} s)\n", flush=True)
    if code:
        sys.exit(code)


def train(arguments: argparse.Namespace, project: Path, series: Path) -> None:
    """Make the project and train it."""
    annotated, truth, unlabelled = volumes_of(arguments.data)
    run("create", project, "--profile", "quick", "--labels", LABELS, "--annotated", annotated,
        truth, "--unlabelled", *unlabelled, series)  # fmt: skip
    run("terms", project, "--accept-proposed")
    run("train", project, "--rounds", arguments.rounds)


def export(project: Path, series: Path, out: Path) -> Path:
    """Export what the newest round proposes for the series, and check it; return the object."""
    before = set(out.glob("*.dcm"))
    chosen = ("--cases", SERIES, "--include-unreviewed")
    run("export", project, out, "--format", "dicom-seg", *chosen)
    (found,) = set(out.glob("*.dcm")) - before
    run("verify-seg", found, "--source", series)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--output", type=Path, required=True, help="a new folder, or one trained before"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dcmqi", help="where segimage2itkimage lies; default: the PATH")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    project, series = arguments.output / "project", arguments.data / "dicom" / SERIES
    if not project.exists():
        train(arguments, project, series)
    found = export(project, series, arguments.output / "objects")
    grid = grid_of_series(series)
    masks = [voxels_on(grid, points) for points in by_hand(found, 2)]
    print(f"{[int(mask.sum()) for mask in masks]} voxels, read by hand")
    for number, points in enumerate(by_dcmqi(found, 2, arguments.dcmqi), start=1):
        different = np.count_nonzero(voxels_on(grid, points) != masks[number - 1])
        print(f"segment {number}: {different} voxels different when read with dcmqi")
    if arguments.picture:
        draw_overlay(grid, masks, arguments.picture)


if __name__ == "__main__":
    main()

"""Time and memory of rounds as they were estimated, beside what was found, for kinds of project.

    python Testing/benchmarks/estimates.py --output FOLDER [--only NAME ...]

Writes made-up hearts, makes a small project of each kind on the command line, and trains round 0
and a joint round of few steps, each in a worker of its own as a person's would be. Nothing is known
of the computer at the beginning; so the time of each round is estimated from its own first steps
and a few real slices. The memory is that of the worker. A ratio above 1 means that it took more.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from own_process import print_table
from scipy import ndimage

from PseudoLabelCLLib.curation.samples.sample_data import make_phantom, phantom_schema
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.round import RoundCost
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.storage.files.own_seals import STATE_VARIABLE
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

NUM_UNLABELLED = 2
CHANNELS = ("first", "second")


@dataclass(frozen=True)
class Kind:
    """A kind of project.

    Args:
        shape: Slices, rows and columns of its volumes.
        spacing_mm: Distances of columns, rows and slices.
        steps: Of round 0 and of the joint round.
        settings: Further ones.
        num_channels: Images of each patient.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    steps: tuple[int, int]
    settings: tuple[str, ...] = ()
    num_channels: int = 1


KINDS = {
    "2-D": Kind((10, 160, 160), (1.5, 1.5, 8.0), (12, 8)),
    "2-D, large slices": Kind((8, 512, 512), (0.7, 0.7, 5.0), (10, 6)),
    "2-D, two channels": Kind((10, 160, 160), (1.5, 1.5, 8.0), (12, 8), num_channels=2),
    "3-D": Kind((32, 80, 80), (1.5, 1.5, 1.5), (10, 6), ("preprocess.dimension=3",)),
}


def main() -> None:
    """Measure the kinds that were asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    arguments = parser.parse_args()
    rows = []
    for name in arguments.only:
        folder = arguments.output.absolute() / name.replace(" ", "-").replace(",", "")
        folder.mkdir(parents=True)
        for index, cost in enumerate(_costs(folder, KINDS[name])):
            rows.append(_row(name, index, cost))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    columns = ("project", "round", "estimated (s)", "took (s)", "ratio")
    print_table((*columns, "estimated (GB)", "used (GB)", "ratio"), rows)


def _costs(folder: Path, kind: Kind) -> list[RoundCost]:
    volumes = folder / "volumes"
    volumes.mkdir()
    names = [_write_heart(volumes, number, kind) for number in range(1 + NUM_UNLABELLED)]
    table = folder / "cases.csv"
    table.write_text(_table_of(names, kind), encoding="utf-8")
    supervised, joint = kind.steps
    settings = (
        f"training.supervised.num_steps={supervised}",
        f"training.joint.num_steps={joint}",
        *kind.settings,
    )
    project = folder / "project"
    words = ["create", project, "--table", table]
    words += ["--channels", ",".join(CHANNELS)] if kind.num_channels > 1 else []
    words += [word for one in settings for word in ("--set", one)]
    _run(folder, words)
    for _ in range(2):
        _run(folder, ["train", project, "--device", "cpu"])
    return [one.cost for one in load_project(project).rounds if one.cost is not None]


def _run(folder: Path, words: list[object]) -> None:
    environment = os.environ | {STATE_VARIABLE: str(folder / "state")}
    command = [sys.executable, "-m", "PseudoLabelCLLib", *map(str, words)]
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment)


def _table_of(names: list[str], kind: Kind) -> str:
    several = kind.num_channels > 1
    further = f",{CHANNELS[1]}" if several else ""
    lines = [f"id,role,{CHANNELS[0] if several else 'image'},annotation{further}"]
    for number, name in enumerate(names):
        role = "unlabelled" if number else "annotated"
        annotation = "" if number else f"volumes/{name}.seg.nrrd"
        second = f",volumes/{name}-2.nrrd" if several else ""
        lines.append(f"{name},{role},volumes/{name}.nrrd,{annotation}{second}")
    return "\n".join(lines) + "\n"


def _write_heart(folder: Path, number: int, kind: Kind) -> str:
    """Write a made-up heart, stretched to the shape of its kind, and return its name."""
    phantom = make_phantom(np.random.default_rng([0, number]), oblique=False)
    place = phantom.volume.geometry
    geometry = Geometry(kind.shape[::-1], kind.spacing_mm, place.origin_mm, place.direction)
    name = f"heart-{number}"
    image = _stretched(phantom.volume.array, kind.shape, order=1)
    write_volume(folder / f"{name}.nrrd", Volume(image, geometry))
    if kind.num_channels > 1:
        write_volume(folder / f"{name}-2.nrrd", Volume(image.max() - image, geometry))
    labels = _stretched(phantom.truth.array, kind.shape, order=0)
    if not number:
        path = folder / f"{name}.seg.nrrd"
        write_segmentation(path, LabelVolume(labels, geometry), phantom_schema())
    return name


def _stretched(array: npt.NDArray, shape: tuple[int, int, int], order: int) -> npt.NDArray:
    factors = [wanted / found for wanted, found in zip(shape, array.shape, strict=True)]
    return ndimage.zoom(array, factors, order=order, mode="nearest", grid_mode=True)


def _row(name: str, index: int, cost: RoundCost) -> tuple[str, ...]:
    gigabytes = [None if n is None else n / 1e9 for n in (cost.expected_bytes, cost.peak_bytes)]
    return (
        name,
        str(index),
        *_figures(cost.expected_s, cost.seconds, 0),
        *_figures(gigabytes[0], gigabytes[1], 2),
    )


def _figures(expected: float | None, found: float | None, digits: int) -> tuple[str, str, str]:
    if expected is None or found is None:
        return ("not known" if expected is None else f"{expected:.{digits}f}"), "", ""
    return f"{expected:.{digits}f}", f"{found:.{digits}f}", f"{found / expected:.2f}"


if __name__ == "__main__":
    main()

"""Time and memory of a project as its volumes without a segmentation go from 10 to 200.

    python Testing/benchmarks/scaling.py --output FOLDER [--cases 10 50 200]

Writes made-up hearts, stretched to so many slices and pixels that the voxels of all cases would be
seen in the memory if they lay there. Makes a project of each size on the command line, and trains
round 0 and one joint round of few steps in a process of its own, which is watched from outside:
what the worker tells is timed as it comes, and its memory is read from /proc while it runs (Linux).
"Anonymous" memory is what the worker itself holds; resident memory also counts pages of files that
the system keeps and can drop. Beside it stands what slices and labels of all cases take on disk.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
from own_process import print_table
from scipy import ndimage

from PseudoLabelCLLib.curation.samples.sample_data import make_phantom, phantom_schema
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

WATCH_EVERY_S = 0.05
PIXEL_MM, SLICE_MM = 1.5, 3.0
SETTINGS = (
    f"preprocess.in_plane_spacing_mm={PIXEL_MM}",
    "training.validations_per_round=1",
    "training.checkpoints_per_round=1",
)
KNOWN = ("annotated", "validation")
REST = "rest"


@dataclass
class Watched:
    """What was seen of one training.

    Args:
        seconds: Spent on each stage, by the stage's name.
        counts: Steps of each stage.
        anonymous_mb: Most memory that the worker itself held in each stage.
        resident_mb: Most memory of the worker, pages of files included.
    """

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    counts: dict[str, int] = field(default_factory=dict)
    anonymous_mb: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    resident_mb: float = 0.0


def main() -> None:
    arguments = _arguments()
    output = arguments.output.absolute()
    output.mkdir(parents=True)
    results = {}
    for num_cases in arguments.cases:
        folder = output / f"{num_cases:04d}"
        results[num_cases] = _measure(folder, num_cases, arguments)
        (output / "result.json").write_text(json.dumps(results, indent=2))
    _print(results, arguments)


def _measure(folder: Path, num_cases: int, arguments: argparse.Namespace) -> dict:
    volumes = folder / "volumes"
    volumes.mkdir(parents=True)
    shape = (arguments.slices, arguments.side, arguments.side)
    hearts = [_write_heart(volumes, n, shape) for n in range(len(KNOWN) + num_cases)]
    steps = (
        f"preprocess.window_size=[{arguments.side},{arguments.side}]",
        f"training.supervised.num_steps={arguments.steps}",
        f"training.joint.num_steps={arguments.steps}",
    )
    words = [
        "create", folder / "project",
        *(w for role, heart in zip(KNOWN, hearts, strict=False) for w in (f"--{role}", *heart)),
        "--unlabelled", *(image for image, _ in hearts[len(KNOWN) :]),
        *(word for setting in (*SETTINGS, *steps, *arguments.set) for word in ("--set", setting)),
    ]  # fmt: skip
    start = time.monotonic()
    subprocess.run(_command(words), check=True, stdout=sys.stderr)
    create_s = time.monotonic() - start
    watched = _watch_training(folder / "project", arguments.device)
    return {
        "create_s": create_s,
        "seconds": watched.seconds,
        "counts": watched.counts,
        "anonymous_mb": watched.anonymous_mb,
        "resident_mb": watched.resident_mb,
        "slices_mb": _size_mb(folder / "project", "images.npy"),
        "labels_mb": _size_mb(folder / "project", "classes-*.npy"),
    }


def _write_heart(folder: Path, number: int, shape: tuple[int, int, int]) -> tuple[Path, Path]:
    """Write a made-up heart of (slices, rows, columns) and its segmentation."""
    phantom = make_phantom(np.random.default_rng([0, number]), oblique=False)
    place = phantom.volume.geometry
    geometry = Geometry(
        shape[::-1], (PIXEL_MM, PIXEL_MM, SLICE_MM), place.origin_mm, place.direction
    )
    image, segmentation = folder / f"{number:04d}.nrrd", folder / f"{number:04d}.seg.nrrd"
    write_volume(image, Volume(_stretched(phantom.volume.array, shape, order=1), geometry))
    labels = LabelVolume(_stretched(phantom.truth.array, shape, order=0), geometry)
    write_segmentation(segmentation, labels, phantom_schema())
    return image, segmentation


def _stretched(array: npt.NDArray, shape: tuple[int, int, int], order: int) -> npt.NDArray:
    factors = [wanted / found for wanted, found in zip(shape, array.shape, strict=True)]
    return ndimage.zoom(array, factors, order=order, mode="nearest", grid_mode=True)


def _size_mb(project: Path, name: str) -> float:
    """What the files of this name take on disk, over all cases."""
    return sum(path.stat().st_size for path in project.glob(f"preprocessed/*/{name}")) / 2**20


def _command(words: list[object]) -> list[str]:
    return [sys.executable, "-m", "PseudoLabelCLLib", *map(str, words)]


def _watch_training(project: Path, device: str) -> Watched:
    """Train two rounds and look at the worker until it ends."""
    watched, told, stage = Watched(), _Told(project), REST
    words = ["train", project, "--rounds", "2", "--device", device]
    with subprocess.Popen(_command(words), stdout=sys.stderr) as process:
        last = time.monotonic()
        while process.poll() is None:
            time.sleep(WATCH_EVERY_S)
            for event in told.news():
                if event["type"] == "Artifact":
                    continue  # it tells of a file in the midst of a stage
                stage = event.get("stage", REST)
                watched.seconds[stage] += time.monotonic() - last
                last = time.monotonic()
                if "num_steps" in event:
                    watched.counts[stage] = event["num_steps"]
            anonymous_mb, peak_mb = _memory_of_worker(process.pid)
            watched.anonymous_mb[stage] = max(watched.anonymous_mb[stage], anonymous_mb)
            watched.resident_mb = max(watched.resident_mb, peak_mb)
    if process.returncode:
        raise SystemExit(f"The training of '{project}' ended with code {process.returncode}.")
    return watched


class _Told:
    """Reads what the worker has told since the last look, from the events that it keeps."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._read = 0

    def news(self) -> list[dict]:
        """The new events; a line that is not yet whole waits."""
        for path in self._project.glob("jobs/*/events.jsonl"):
            content = path.read_bytes()
            end = content.rfind(b"\n") + 1
            fresh, self._read = content[self._read : end], max(self._read, end)
            return [json.loads(line) for line in fresh.splitlines()]
        return []


def _memory_of_worker(pid: int) -> tuple[float, float]:
    """Anonymous memory now, and most resident memory so far, of the largest process below."""
    found = [(0.0, 0.0)]
    try:
        for child in psutil.Process(pid).children(recursive=True):
            lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
            kept = {key: value.split() for key, _, value in (s.partition(":") for s in lines)}
            found.append(
                (int(kept["RssAnon"][0]) / 1024, int(kept["VmHWM"][0]) / 1024)
                if "RssAnon" in kept
                else (0.0, 0.0)
            )
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        pass  # it ended while we looked
    return max(found)


def _print(results: dict[int, dict], arguments: argparse.Namespace) -> None:
    """One row for each stage, one column for each size."""
    print(
        f"{arguments.device}, {arguments.steps} steps a round, made-up hearts of "
        f"{arguments.slices} slices of {arguments.side} x {arguments.side}."
    )
    stages = sorted({stage for result in results.values() for stage in result["counts"]})
    print_table(
        ("seconds", *_columns(results)),
        [
            ("create, in all", *(f"{result['create_s']:.1f}" for result in results.values())),
            *((f"{s}, each", *_seconds_each(results, s)) for s in stages),
            ("checks and starts, in all", *(f"{r['seconds'][REST]:.1f}" for r in results.values())),
        ],
    )
    print_table(
        ("most memory of the worker, MB", *_columns(results)),
        [
            ("resident, files included", *(f"{r['resident_mb']:.0f}" for r in results.values())),
            *((f"anonymous, {s}", *_anonymous(results, s)) for s in (REST, *stages)),
        ],
    )
    print_table(
        ("on disk, mapped, MB", *_columns(results)),
        [
            (f"{what} of all cases", *(f"{r[f'{what}_mb']:.0f}" for r in results.values()))
            for what in ("slices", "labels")
        ],
    )


def _columns(results: dict[int, dict]) -> list[str]:
    return [f"{num_cases} cases" for num_cases in results]


def _seconds_each(results: dict[int, dict], stage: str) -> list[str]:
    return [
        f"{result['seconds'][stage] / max(1, result['counts'][stage]):.3f}"
        if stage in result["counts"]
        else ""
        for result in results.values()
    ]


def _anonymous(results: dict[int, dict], stage: str) -> list[str]:
    """A stage too short to be seen has none."""
    seen = [result["anonymous_mb"].get(stage, 0.0) for result in results.values()]
    return [f"{mb:.0f}" if mb else "" for mb in seen]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    parser.add_argument("--cases", type=int, nargs="+", default=[10, 50, 200])
    parser.add_argument("--slices", type=int, default=40, help="of each volume")
    parser.add_argument("--side", type=int, default=128, help="rows and columns; 32, 64, 96, ...")
    parser.add_argument("--steps", type=int, default=10, help="of each round")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()

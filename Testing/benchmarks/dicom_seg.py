"""A DICOM segmentation of a large series written and verified, beside dcmqi's writer.

    python Testing/benchmarks/dicom_seg.py [--dcmqi FOLDER] [--repeats N] [--slices N] [--side N]

Both sides get the same series and the same five structures, and run in processes of their own, in
turns, so that a neighbour's load meets both alike. The program writes, reads back with a second
reader and compares every voxel; dcmqi only writes. Counted is all from the start of the process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# Libraries are imported by the children alone: what a process holds when it starts a child counts
# as memory of the child.
sys.path.append(str(Path(__file__).resolve().parents[1] / "proof"))
from programs import find_program

ROWS = Path(__file__).with_name("dicom_seg_rows.py")
HERE, DCMQI = "here, written and verified", "dcmqi `itkimage2segimage`, written"


@dataclass(frozen=True)
class Run:
    """What one process took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def command_of(side: str, folder: Path, programs: str | None) -> list[str]:
    """Return what is run for one side."""
    if side == HERE:
        return [sys.executable, str(ROWS), "write", str(folder)]
    program = find_program("itkimage2segimage", programs)
    return [
        program, "--inputDICOMDirectory", str(folder / "series"),
        "--inputImageList", str(folder / "labels.nrrd"),
        "--inputMetadata", str(folder / "meta.json"), "--outputDICOM", str(folder / "dcmqi.dcm"),
    ]  # fmt: skip


def measure(command: list[str]) -> Run:
    """Run a command in a process of its own.

    Raises:
        RuntimeError: It failed.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, stdout=told, stderr=told)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            raise RuntimeError(told.read()[-600:].decode(errors="replace"))
    # kilobytes on Linux, bytes on macOS
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak)


def print_results(runs: dict[str, list[Run]], folder: Path) -> None:
    """Print a table, the sizes of the files and the ratio of the best runs."""
    print("| | seconds | processor seconds | peak memory |")
    print("|---|--:|--:|--:|")
    for side, of_side in runs.items():
        seconds = sorted(run.seconds for run in of_side)
        span = f"{seconds[0]:.1f}" + (f" - {seconds[-1]:.1f}" if len(seconds) > 1 else "")
        cpu, peak = min(r.cpu_seconds for r in of_side), max(r.peak_bytes for r in of_side)
        print(f"| {side} | {span} | {cpu:.1f} | {peak / 1e9:.2f} GB |")
    sizes = [p.stat().st_size for p in (*(folder / "here").glob("*.dcm"), folder / "dcmqi.dcm")
             if p.exists()]  # fmt: skip
    print(f"\nFiles: {', '.join(f'{size / 1e6:.0f} MB' for size in sorted(set(sizes)))}.")
    if len(runs) == 2:
        in_turns = [a.seconds / b.seconds for a, b in zip(runs[HERE], runs[DCMQI], strict=True)]
        cpu = [min(r.cpu_seconds for r in runs[side]) for side in (HERE, DCMQI)]
        told = ", ".join(f"{ratio:.2f}" for ratio in in_turns)
        print(f"Times dcmqi's, turn by turn: {told}; in processor time {cpu[0] / cpu[1]:.2f}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dcmqi", help="where itkimage2segimage lies; default: the PATH")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--side", type=int, default=512)
    arguments = parser.parse_args()
    sides = [HERE, DCMQI]
    try:
        find_program("itkimage2segimage", arguments.dcmqi)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        sides.remove(DCMQI)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = [str(arguments.side), str(arguments.slices)]
        measure([sys.executable, str(ROWS), "make", str(folder), *size])
        runs: dict[str, list[Run]] = {side: [] for side in sides}
        for _ in range(arguments.repeats):
            for side in sides:
                runs[side].append(measure(command_of(side, folder, arguments.dcmqi)))
        print(f"{arguments.side} x {arguments.side} x {arguments.slices}, 5 segments")
        print_results(runs, folder)


if __name__ == "__main__":
    main()

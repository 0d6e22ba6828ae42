"""All that waits for a GPU, in one command of at most nine minutes, the most important first.

    python Testing/benchmarks/gpu_day.py prepare --pack FOLDER --data FOLDER
    python Testing/benchmarks/gpu_day.py run --pack FOLDER --results FOLDER [--device cpu --tiny]
    python Testing/benchmarks/gpu_day.py run --results FOLDER --print

`prepare` needs the product and its packages; it writes less than 45 MiB. `run` needs torch and
numpy alone. Each part is a process of its own with its share of the time, and leaves a file; a
part with a whole result is not run again, one that was cut off goes on with its next row. To run a
part again, delete its file.
"""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu_day_rows import table_of

ROOT = Path(__file__).parents[2]
# A part with less time than this is not begun.
LEAST_S = 15.0


@dataclass(frozen=True)
class Part:
    """A part of the day.

    Args:
        description: What it shows.
        module: Whose function measures it.
        function: Takes what is asked and the rows.
        share_s: How long it may take.
    """

    description: str
    module: str
    function: str
    share_s: float


PARTS = {
    "correctness": Part(
        "the same as on a CPU", "gpu_day_correctness", "correctness", 75
    ),
    "waiting": Part(
        "no waiting within a step; resuming", "gpu_day_waiting", "waiting", 35
    ),
    "hearts": Part(
        "from the click to the review, profile `quick`", "gpu_day_rounds", "hearts", 105
    ),
    "speed": Part("steps of a round, and beside plain loops", "gpu_day_speed", "speed", 85),
    "retreat": Part("memory runs out", "gpu_day_memory", "retreat", 40),
    "memory": Part("peak memory beside our estimate", "gpu_day_memory", "memory", 35),
    "atrium": Part(
        "from the click to the review in 3-D, profile `quick`", "gpu_day_rounds", "atrium", 70
    ),
    "paper": Part("round 0 of profile `paper`", "gpu_day_speed", "paper", 20),
    "compiled": Part(
        "forward and backward pass, compiled and as a CUDA graph", "gpu_day_speed", "compiled", 45
    ),
}  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Do what is asked; returns the exit status."""
    arguments = _parser().parse_args(words)
    # the product need not be installed
    sys.path.insert(0, str(ROOT))
    if arguments.command == "prepare":
        importlib.import_module("gpu_day_prepare").prepare(arguments.data, arguments.pack)
        return 0
    if arguments.part:
        part = PARTS[arguments.part]
        importlib.import_module("gpu_day_child").measure(arguments, part.module, part.function)
        return 0
    if not arguments.print:
        _run(arguments)
    print(table_of(arguments.results, [(name, part.description) for name, part in PARTS.items()]))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="pack what `run` reads")
    prepare.add_argument("--pack", type=Path, required=True)
    prepare.add_argument("--data", type=Path, required=True, help="with acdc/ and left_atrium/")
    run = commands.add_parser("run", help="run the parts that have no result, print the table")
    run.add_argument("--results", type=Path, required=True)
    run.add_argument("--pack", type=Path, help="what `prepare` wrote")
    run.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    run.add_argument("--tiny", action="store_true", help="tiny sizes: does it run through?")
    run.add_argument("--minutes", type=float, default=9.0, help="for all parts together")
    run.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART")
    run.add_argument("--skip", nargs="+", choices=list(PARTS), metavar="PART", default=[])
    run.add_argument("--print", action="store_true", help="print the table of the results alone")
    run.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)  # a child's
    return parser


def _run(arguments: argparse.Namespace) -> None:
    if arguments.pack is None:
        raise SystemExit("run needs --pack FOLDER, the folder that prepare wrote")
    arguments.results.mkdir(parents=True, exist_ok=True)
    end_s = time.monotonic() + 60 * arguments.minutes
    for name in arguments.only or PARTS:
        if name in arguments.skip or _is_finished(arguments, name):
            continue
        time_s = min(PARTS[name].share_s, end_s - time.monotonic())
        note = arguments.results / f"{name}.note"
        note.unlink(missing_ok=True)
        if time_s < LEAST_S:
            note.write_text("Not begun: no time was left.", encoding="utf-8")
            continue
        problem = _run_child(arguments, name, time_s)
        if problem:
            note.write_text(problem, encoding="utf-8")


def _is_finished(arguments: argparse.Namespace, name: str) -> bool:
    path = arguments.results / f"{name}.json"
    if not path.exists():
        return False
    told = json.loads(path.read_text(encoding="utf-8"))
    asked = {"device": arguments.device, "tiny": arguments.tiny}
    if told["asked"] != asked:
        raise SystemExit(
            f"'{path}' was made with {told['asked']}, not with {asked}: choose other --results"
        )
    return bool(told["is_finished"])


def _run_child(arguments: argparse.Namespace, name: str, time_s: float) -> str:
    """Run a part in a process of its own; returns what went wrong, or nothing."""
    words = [
        "run", "--part", name, "--pack", str(arguments.pack), "--device", arguments.device,
        "--results", str(arguments.results), *(["--tiny"] if arguments.tiny else []),
    ]  # fmt: skip
    log = arguments.results / f"{name}.log"
    print(f"{time.strftime('%H:%M:%S')} {name}, at most {time_s:.0f} s", flush=True)
    with log.open("a", encoding="utf-8") as file:
        child = subprocess.Popen(
            [sys.executable, __file__, *words],
            stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            status = child.wait(time_s)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return f"Cut off after its {time_s:.0f} s; run again, it goes on with the next row."
    return "" if status == 0 else f"Ended with exit status {status}; see '{log.name}'."


if __name__ == "__main__":
    raise SystemExit(main())

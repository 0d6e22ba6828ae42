"""Rows of a benchmark, each measured in a process of its own, and their Markdown table."""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.process.process_tree import kept_memory, short_waits


def common_arguments(doc: str) -> argparse.ArgumentParser:
    """Arguments that every benchmark of speed has."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--clock",
        choices=["wall", "cpu"],
        default="wall",
        help="what counts; cpu is processor time, for one thread on a machine that others use too",
    )
    parser.add_argument("--side", type=int, default=192, help="rows and columns of a slice")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each row; the best counts")
    parser.add_argument("--only", nargs="+", help="the rows to measure; default: all")
    parser.add_argument("--row", help=argparse.SUPPRESS)  # a child measures this one
    return parser


def measure_rows(
    names: Sequence[str],
    repeats: int,
    with_kept_memory: Callable[[str], bool],
    words: Sequence[str] = (),
) -> dict[str, dict]:
    """Run this script once more for every row, in turns, and keep the fastest run of each.

    In turns, so that a neighbour's load meets all rows alike.

    Args:
        names: The rows.
        repeats: How many turns.
        with_kept_memory: Whether a row keeps freed memory, as the worker does; waits are short in
            every row, so that other programs on the machine slow all rows down alike.
        words: More arguments for the script.
    """
    best: dict[str, dict] = {}
    for turn in range(repeats):
        for name in names:
            print(f"turn {turn + 1} of {repeats}: {name}", file=sys.stderr, flush=True)
            environment = kept_memory(os.environ) if with_kept_memory(name) else {}
            environment |= short_waits(os.environ)
            result = _measure_row([*words, "--row", name], environment)
            if name not in best or result["seconds"] < best[name]["seconds"]:
                best[name] = result
    return best


def _measure_row(words: Sequence[str], environment: Mapping[str, str]) -> dict:
    done = subprocess.run(
        [sys.executable, *sys.argv, *words],
        env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def seconds_of(
    call: Callable[[], object], num_calls: int, arguments: argparse.Namespace
) -> dict[str, float]:
    """Time calls after two that do not count.

    Returns:
        seconds: Of one call by the chosen clock.
        wall_seconds: The median over the calls; on a GPU, which lags behind, the mean.
        cpu_seconds: Processor time of all threads, the median over the calls.
    """
    for _ in range(2):
        call()
    _wait(arguments.device)
    clock, used = [time.perf_counter()], [time.process_time()]
    for _ in range(num_calls):
        call()
        clock.append(time.perf_counter())
        used.append(time.process_time())
    _wait(arguments.device)
    mean_s = (time.perf_counter() - clock[0]) / num_calls
    wall_s = mean_s if arguments.device == "cuda" else _median_step(clock)
    cpu_s = _median_step(used)
    counts_s = cpu_s if arguments.clock == "cpu" else wall_s
    return {"seconds": counts_s, "wall_seconds": wall_s, "cpu_seconds": cpu_s}


def compute_device(name: str, *, half_precision: bool) -> ComputeDevice:
    """The device that a row asks for, without the trial that a project makes."""
    return ComputeDevice(name, name, Text("asked for by the benchmark"), half_precision)


def peak_mb(device: str) -> float:
    """Most memory so far: allocated on the GPU, or resident in this process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print("\n| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _median_step(times: Sequence[float]) -> float:
    return statistics.median(b - a for a, b in itertools.pairwise(times))

"""Training beside other busy programs, with the waits of idle threads as they are and kept short.

    python Testing/benchmarks/busy_machine.py [--repeats 5] [--seconds 8] [--openmp LIBRARY]

Every measurement is a training process of its own with the worker's priority and number of
threads: alone, beside one endless loop of Python, and beside a second training, whose steps count
as well (the mean of the two). "Long waits" is the worker's environment without `short_waits`,
"short waits" is the environment as it is. The two take turns, so that a neighbour's load meets
both; the figures are medians over the turns, and so are the ratios, each of neighbours in one turn.

PyTorch for Linux comes with GNU's OpenMP library. `--openmp` loads another one before it, which
then stands in for it, such as the libiomp5.so of the package intel-openmp: that is what PyTorch for
Windows comes with, and a relative of the one on macOS.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from own_process import compute_device, print_table
from phantom_slices import NUM_CLASSES, phantom_slices

from PseudoLabelCLLib.process.process_tree import kept_memory, short_waits

SITUATIONS = ("alone", "beside one busy process", "two at once")
ARMS = ("long waits", "short waits")
NICENESS = 5
WIDTHS = (8, 8, 8, 8, 8, 8)
SIDE = 64


def train(seconds: float) -> float:
    """Say that all is ready, wait for a line, train, and return the steps per second."""
    import torch  # noqa: PLC0415 - only the measured process needs it

    from PseudoLabelCLLib.domain.config import Profile  # noqa: PLC0415
    from PseudoLabelCLLib.domain.network_config import NetworkConfig  # noqa: PLC0415
    from PseudoLabelCLLib.domain.profiles import config_for  # noqa: PLC0415
    from PseudoLabelCLLib.learning.device import choose_number_of_threads  # noqa: PLC0415
    from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork  # noqa: PLC0415
    from PseudoLabelCLLib.learning.training.sampling import SlicePool  # noqa: PLC0415
    from PseudoLabelCLLib.learning.training.training import RoundData, Trainer, start_training  # noqa: PLC0415

    os.nice(NICENESS)
    choose_number_of_threads()
    config = config_for(Profile.QUICK).training
    network = SegmentationNetwork(
        replace(NetworkConfig(), widths=WIDTHS), NUM_CLASSES, torch.Generator().manual_seed(0)
    )
    device = compute_device("cpu", half_precision=False)
    state = start_training(network, config.supervised, device, seed=0)
    truth = SlicePool([phantom_slices(20, SIDE)], NUM_CLASSES)
    steps = Trainer(state, RoundData(truth, SlicePool([], NUM_CLASSES)), config, device).steps()
    for _ in range(3):
        next(steps)
    print("ready", flush=True)
    sys.stdin.readline()
    begin, num_steps = time.perf_counter(), 0
    while (passed := time.perf_counter() - begin) < seconds:
        next(steps)
        num_steps += 1
    return num_steps / passed


def measure(situation: str, arm: str, arguments: argparse.Namespace) -> float:
    """Return the steps per second of a training in a situation."""
    with contextlib.ExitStack() as stack:
        num_trainings = 2 if situation == "two at once" else 1
        trainings = [
            stack.enter_context(_child(arm, arguments, ["--train"])) for _ in range(num_trainings)
        ]
        for training in trainings:
            assert training.stdout.readline() == b"ready\n"
        if situation == "beside one busy process":
            stack.enter_context(_busy_process())
        for training in trainings:
            training.stdin.write(b"\n")
            training.stdin.flush()
        return statistics.mean(json.loads(training.stdout.readline()) for training in trainings)


@contextlib.contextmanager
def _child(arm: str, arguments, words: list[str]) -> Iterator[subprocess.Popen]:
    left_out = {"OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= kept_memory(environment)
    if arguments.openmp:
        environment["LD_PRELOAD"] = arguments.openmp
    if arm == "short waits":
        environment |= short_waits(environment) | arguments.set
    command = [sys.executable, __file__, *words, "--seconds", str(arguments.seconds)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def _busy_process() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def _setting(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="turns; medians are shown")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--openmp", help="an OpenMP library to use instead of PyTorch's own")
    parser.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="NAME=VALUE",
        help="another variable, or value, for the short waits",
    )  # fmt: skip
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.set = dict(arguments.set)
    if arguments.train:
        print(json.dumps(train(arguments.seconds)), flush=True)
        return
    found: dict[tuple[str, str], list[float]] = {}
    for turn in range(arguments.repeats):
        for situation in SITUATIONS:
            for arm in ARMS if turn % 2 == 0 else ARMS[::-1]:
                speed = measure(situation, arm, arguments)
                found.setdefault((situation, arm), []).append(speed)
                told = f"turn {turn + 1} of {arguments.repeats}: {situation}, {arm}: {speed:.2f}"
                print(told, file=sys.stderr, flush=True)
    cores = len(os.sched_getaffinity(0))
    print(f"Training steps per second, {cores} cores, {arguments.repeats} turns.")
    rows = []
    for situation in SITUATIONS:
        long, short = (found[situation, arm] for arm in ARMS)
        ratios = [after / before for before, after in zip(long, short, strict=True)]
        told = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        rows.append([situation, *(f"{statistics.median(s):.2f}" for s in (long, short)), told])
    print_table(["", *ARMS, "ratio"], rows)


if __name__ == "__main__":
    main()

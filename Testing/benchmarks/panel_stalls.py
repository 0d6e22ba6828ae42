"""How long the panel stands still while a worker trains at full speed: a minute of a 10 ms timer.

    python Testing/benchmarks/panel_stalls.py --output FOLDER [--worker-core 0]

makes a project of phantoms in FOLDER and trains it with the real worker. Meanwhile a person
resizes, opens steps, chooses rows and opens cases. Also measured: opening the module without a
project.
"""

import argparse
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# How much must be trained that the minute does not come to its end before.
LONG = {
    "training.supervised.num_steps": "1000000",
    "preprocess.window_size": "[32, 32]",
    "network.widths": "[4, 4, 4, 4, 4, 4]",
    "network.embedding_size": "4",
    "training.supervised.batch_size": "2",
}
ACTION_EVERY_S = 0.25


def opened_s() -> tuple[float, float, "object"]:
    """Return the seconds for the imports, for the panel itself, and the panel."""
    start = time.perf_counter()
    from loop_watch import a_real_panel  # noqa: PLC0415 - the imports are measured

    imported = time.perf_counter()
    panel = a_real_panel()
    return imported - start, time.perf_counter() - imported, panel


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--worker-core", type=int, help="the core that the worker is bound to")
    parser.add_argument("--repeat", type=int, default=1, help="how often each event is heard")
    parser.add_argument("--trace", type=Path, help="where the stacks of long gaps are written")
    arguments = parser.parse_args()
    importing_s, opening_s, panel = opened_s()
    print(f"imports {importing_s:.2f} s, opening without a project {opening_s:.2f} s")
    from loop_watch import LoopWatch  # noqa: PLC0415 - as above

    trace = arguments.trace.open("w") if arguments.trace else None
    watch = LoopWatch(trace)
    try:
        make_project(panel, arguments.output.absolute())
        start_training(panel, arguments.worker_core)
        count = count_events(panel, arguments.repeat)
        actions = person(panel)
        watch.start()
        end = time.perf_counter() + arguments.seconds
        while time.perf_counter() < end:
            next(actions)()
            panel.run_for(ACTION_EVERY_S)
        figures = watch.stop()
        print(json.dumps({name: round(value, 2) for name, value in figures.items()}))
        print(f"events of the worker: {count()} in {arguments.seconds:.0f} s")
        panel.click("pauseButton")
        panel.until(lambda state: not state.train.is_running)
    finally:
        panel.close()


def make_project(panel: "object", folder: Path) -> None:
    """Make the sample project, with settings that report as often as can be."""
    folder.mkdir(parents=True, exist_ok=True)
    panel.answers.paths = [str(folder)]
    panel.click("sampleProjectButton")
    panel.until(lambda state: panel.is_idle() and len(state.cases.rows) > 2)
    for name, value in LONG.items():
        panel.presenter.train.change_setting(name, value)
        panel.until(lambda state, n=name, v=value: state.train.settings[n] == v and panel.is_idle())


def start_training(panel: "object", core: int | None) -> None:
    """Click Train and wait until the network learns."""
    panel.click("trainButton")
    panel.until(lambda state: bool(state.train.fraction) and bool(state.train.loss.x))
    if core is not None:
        for thread in Path(f"/proc/{panel.workers[-1].pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def count_events(panel: "object", repeat: int) -> Callable[[], int]:
    """Count what is heard of the worker from now on; each event may come many times over."""
    worker = panel.workers[-1]
    poll, heard = worker.poll_events, [0]

    def counting() -> list[object]:
        events = [event for event in poll() for _ in range(repeat)]
        heard[0] += len(events)
        return events

    worker.poll_events = counting
    return lambda: heard[0]


def person(panel: "object") -> Iterator[Callable[[], None]]:
    """What somebody does now and then: open a step, resize, choose, look at a case."""
    window = panel.module_widget.window
    steps = ("cases", "train", "review", "use")

    def open_step(name: str) -> None:
        panel.click(f"{name}StepButton")

    def scroll(height: int) -> None:
        window.resize(window.width(), height)

    def choose(row: int) -> None:
        panel.choose("caseTable", row)

    def open_case(number: int) -> None:
        rows = panel.presenter.state.cases.rows
        panel.presenter.review.show_case(rows[number % len(rows)].case_id)

    def widen(width: int) -> None:
        window.resize(width, window.height())

    for n in itertools.count():
        yield lambda n=n: scroll(700 + 10 * (n % 40))
        yield lambda n=n: choose(n % 3)
        yield lambda n=n: open_step(steps[n % len(steps)])
        yield lambda n=n: open_case(n)
        yield lambda n=n: widen(380 + 5 * (n % 10))


if __name__ == "__main__":
    main()

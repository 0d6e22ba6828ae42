"""Small real projects for the tests of faults, and what becomes of processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backend"))

import small_projects

from PseudoLabelCLLib.curation.cases.settings import change_settings
from PseudoLabelCLLib.storage.project.project_store import load_project

# The smallest training that is one.
_TINY = {
    "network.widths": "[4, 4, 4, 4, 4, 4]",
    "network.embedding_size": "4",
    "preprocess.window_size": "[32, 32]",
    "training.checkpoints_per_round": "400",
    "pseudo_label.num_augmented_copies": "2",
}
PATIENCE_S = 60.0


def untrained(folder: Path, num_steps: int = 4000, batch_size: int = 2) -> Path:
    """Make a project before round 0; as a rule it trains longer than any test looks at it."""
    root = small_projects.make_project(folder / "hearts")
    settings = {
        **_TINY,
        "training.supervised.num_steps": str(num_steps),
        "training.supervised.batch_size": str(batch_size),
    }
    change_settings(root, load_project(root), settings)
    return root


def in_review(folder: Path) -> Path:
    """Make a project whose round 0 waits for its review, "other-2" being the most doubtful."""
    root = untrained(folder)
    small_projects.put_in_review(root, 0)
    return root


def verdicts(root: Path) -> dict[str, str]:
    """Return the verdicts on disk by case."""
    project = load_project(root)
    return {
        review.case_id: review.verdict.value
        for case in project.cases
        for review in project.reviews_of(case.id)
    }


def wait_for_end(pid: int) -> float:
    """Wait until a process has ended; return the seconds."""
    start = time.monotonic()
    while is_running(pid):
        assert time.monotonic() - start < PATIENCE_S, f"process {pid} still runs"
        time.sleep(0.02)
    return time.monotonic() - start


def is_running(pid: int) -> bool:
    """Tell whether there is such a process that has not ended."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def end_at_once(pid: int) -> None:
    """Kill a process, as the system does when memory runs out, or a person does."""
    import signal  # noqa: PLC0415 - there is no SIGKILL on Windows

    os.kill(pid, signal.SIGKILL)

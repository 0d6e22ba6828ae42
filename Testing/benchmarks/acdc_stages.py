"""Stages of a benchmark: commands run once, timed, and remembered, so that a stop costs little."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from PseudoLabelCLLib import __version__
from PseudoLabelCLLib.domain.config import ProjectConfig
from PseudoLabelCLLib.domain.errors import ProjectInUseError, PseudoLabelCLError
from PseudoLabelCLLib.storage.files.atomic_files import read_json, write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import load_project, save_cases

# What a copied project does without: it belongs to one process, or to one run.
_NOT_COPIED = shutil.ignore_patterns("*.lock", "jobs")


class StageFailedError(PseudoLabelCLError):
    """A command of the benchmark ended badly."""


class StageLog:
    """The stages of one folder, kept in its stages.json; what they say goes to its log.txt.

    Args:
        folder: Where both lie.
        say: Told each stage that was run.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self._say = say
        self._file = folder / "stages.json"
        self.stages: dict[str, Any] = _read_object(self._file)

    def is_done(self, name: str) -> bool:
        """Tell whether a stage has come to its end."""
        return bool(self.stages.get(name, {}).get("is_done"))

    def take_over(self, name: str, stage: dict[str, Any]) -> None:
        """Note a stage that was run elsewhere, with the time that it took there."""
        self.stages[name] = {**stage, "is_shared": True}
        write_json(self._file, self.stages)

    def run(self, name: str, *words: object) -> None:
        """Run a command of the program and add its time to that of earlier, interrupted tries.

        Args:
            name: The stage.
            words: The command; without any, the stage turned out to be done and is only noted.

        Raises:
            StageFailedError: The command failed.
        """
        stage = self.stages.setdefault(name, {"seconds": 0.0, "peak_memory_gb": 0.0})
        stage.setdefault("cpu_seconds", 0.0)
        # a try that left neither success nor failure was killed, and its time is lost
        stage["is_whole_time"] = stage.get("is_whole_time", True) and not stage.get("is_running")
        stage.update(is_running=bool(words), is_done=False, program=_program())
        write_json(self._file, self.stages)
        if words:
            self._time(stage, words)
        stage["is_done"] = True
        write_json(self._file, self.stages)
        self._say(f"  {name}: {stage['seconds']:.0f} s, {stage['peak_memory_gb']:.1f} GB")

    def _time(self, stage: dict[str, Any], words: tuple[object, ...]) -> None:
        began, peak_gb, cpu_seconds = time.monotonic(), 0.0, 0.0
        try:
            peak_gb, cpu_seconds = _run_logged(self.folder / "log.txt", *map(str, words))
        finally:
            stage["cpu_seconds"] = round(stage["cpu_seconds"] + cpu_seconds, 1)
            stage["seconds"] = round(stage["seconds"] + time.monotonic() - began, 1)
            stage["peak_memory_gb"] = max(stage["peak_memory_gb"], round(peak_gb, 2))
            stage["is_running"] = False
            write_json(self._file, self.stages)


@contextmanager
def held(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a folder that two calls might work in at once; wait while another one does."""
    folder.mkdir(parents=True, exist_ok=True)
    is_told = False
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(project_lock(folder / "bench.lock", "a benchmark"))
                break
            except ProjectInUseError:
                if not is_told:
                    say(f"  waiting: another call works in {folder.parent.name}/{folder.name}")
                is_told = True
                time.sleep(5)
        yield


def link_tree(source: Path, target: Path) -> None:
    """Make the same folder elsewhere with links to the same files.

    It is as safe as copying, since the program never changes a file in its place.
    """
    shutil.copytree(source, target, copy_function=_link, ignore=_NOT_COPIED, dirs_exist_ok=True)


def _link(source: str, target: str) -> str:
    try:
        Path(target).hardlink_to(source)
    except FileExistsError:  # put there by an interrupted call
        return target
    except OSError:  # a disk without links
        shutil.copy2(source, target)
    return target


def copied_project(start: Path, run: Path, config: ProjectConfig) -> Path:
    """Return a run's own copy of a project after round 0, with the settings of its joint rounds.

    Files are linked, not copied: the program never changes a file in its place.

    Args:
        start: The project.
        run: The folder of the run.
        config: The settings of its joint rounds.
    """
    project = run / "project"
    if not project.exists():
        aside = run / ".copying"
        shutil.rmtree(aside, ignore_errors=True)
        link_tree(start, aside)
        save_cases(aside, replace(load_project(aside), config=config))
        aside.replace(project)
    return project


def forget_what_resumes(project: Path) -> None:
    """Delete a finished run's checkpoints and uncertainty maps, which fill the disk."""
    for folder in ProjectLayout(project).rounds.iterdir():
        (folder / "checkpoint.pt").unlink(missing_ok=True)
        shutil.rmtree(folder / "uncertainty", ignore_errors=True)


def require_data(data: Path) -> None:
    """End the program if a data set has no images or no labels."""
    for folder in ("images", "labels"):
        if not (data / folder).is_dir():
            raise SystemExit(f"The folder '{data / folder}' was not found. Check --data.")


def _run_logged(log: Path, *words: str) -> tuple[float, float]:
    """Run the command line, or a script of a benchmark.

    Returns:
        The peak memory in GB and the processor seconds of it all.
    """
    is_script = words[0].endswith(".py")
    command = [sys.executable, *(() if is_script else ("-m", "PseudoLabelCLLib")), *words]
    with log.open("ab") as file:
        file.write(f"\n$ pseudolabelcl {' '.join(words)}\n".encode())
        file.flush()
        child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException as stop:
            if not isinstance(stop, KeyboardInterrupt):  # Ctrl-C reaches the child by itself
                child.send_signal(signal.SIGINT)
            child.wait()
            raise
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
        raise StageFailedError(
            f"'{words[0]}' ended with {child.returncode}:\n" + "\n".join(said), f"See '{log}'."
        )
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return float(usage.ru_maxrss * unit / 2**30), usage.ru_utime + usage.ru_stime


def _read_object(path: Path) -> dict[str, Any]:
    told = read_json(path) if path.exists() else {}
    return told if isinstance(told, dict) else {}


def _program() -> str:
    """The version of the program and the revision of its sources, where they are known."""
    words = ["git", "describe", "--always", "--dirty"]
    try:
        told = subprocess.run(
            words, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f"{__version__} ({told.stdout.strip()})"

"""One cell of the ACDC benchmark, from its tables to its figures, from wherever it stands."""

import csv
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from acdc_protocol import (
    LABELS,
    Cell,
    ProtocolError,
    Roles,
    key_of,
    roles_of,
    run_config,
    start_settings,
)
from acdc_result import gather
from acdc_stages import StageLog, copied_project, forget_what_resumes, held, link_tree

from PseudoLabelCLLib.command_line.settings import config_from_arguments
from PseudoLabelCLLib.domain.config import Profile, ProjectConfig
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.storage.files.atomic_files import read_json, write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project

# The redistributed files have lost their orientation: what their contents say is taken.
ANSWERS = ("--answer", "slice-order=reversed", "--answer", "vanishing=train")


@dataclass(frozen=True)
class Bench:
    """What all cells of a call have in common.

    Args:
        data: Folder with `images/` and `labels/`.
        output: Where everything goes.
        settings: Changed settings, as typed.
        num_rounds: Round 0 included.
        equal_time: Steps of the baseline for one joint step; None counts slices.
        device: As typed.
    """

    data: Path
    output: Path
    settings: tuple[str, ...]
    num_rounds: int
    equal_time: float | None
    device: str

    def file(self, kind: str, number: int) -> Path:
        """Return where an image or a label file lies."""
        return self.data / kind / f"patient{number:03d}.nii.gz"

    def with_truth(self) -> tuple[int, ...]:
        """Return every patient whose segmentation is at hand."""
        return tuple(int(path.name[7:10]) for path in sorted((self.data / "labels").glob("pat*")))


@dataclass(frozen=True)
class Start:
    """A project after round 0, which several cells go on from.

    Args:
        folder: With the project, its tables, and the times of its stages.
        roles: Who does what.
        settings: As typed.
        profile: Of the settings.
        pretraining: Folder where the same pre-training is kept for others; None without one.
    """

    folder: Path
    roles: Roles
    settings: tuple[str, ...]
    profile: Profile
    pretraining: Path | None

    @property
    def project(self) -> Path:
        """The project's folder."""
        return self.folder / "project"

    @property
    def config(self) -> ProjectConfig:
        """All settings."""
        return config_from_arguments(self.profile.value, self.settings)


def run_cell(bench: Bench, cell: Cell) -> None:
    """Bring a cell to its result, from wherever it stands."""
    config, settings = run_config(cell, bench.settings, bench.equal_time)
    asked = {
        **_told(cell),
        "rounds": bench.num_rounds,
        "chosen": list(bench.settings),
        "settings": list(settings),
    }
    path = bench.output / "results" / f"{cell.name}.json"
    if path.exists():
        _require_same(path, asked)
        say("  finished before")
        return
    start = _start_of(bench, cell)
    with held(start.folder, say):
        before = _train_start(bench, start)
    run = bench.output / "runs" / f"{cell.name}-{key_of(asked)}"
    with held(run, say):
        after = _train_run(bench, start, run, config)
        figures = gather(
            start.folder,
            run,
            lambda case_id: bench.file("labels", int(case_id)),
            {"start": before.stages, "run": after.stages},
        )
        write_json(path, {"asked": asked, "roles": to_json(start.roles), **figures})
        forget_what_resumes(run / "project")
    last = figures["rounds"][-1]["test"]["dice"]["mean"]
    say(f"  test Dice {last:.3f}, {figures['seconds'] / 60:.1f} minutes in all")


def _train_run(bench: Bench, start: Start, run: Path, config: ProjectConfig) -> StageLog:
    """Train and measure the joint rounds in a copy of the start's project."""
    log = StageLog(run, say)
    project = copied_project(start.project, run, config)
    later = range(1, bench.num_rounds)
    for index in later:
        _train_round(bench, log, project, index)
    if later:
        _evaluate(bench, log, project, start.folder / "test.csv", [*map(str, later)])
    return log


def _start_of(bench: Bench, cell: Cell) -> Start:
    roles = roles_of(cell, bench.with_truth())
    settings = start_settings(cell, bench.settings)
    common = (cell.profile.value, settings)
    pretraining = None
    if cell.method.pretraining is not Pretraining.NONE:
        volumes = sorted((*roles.annotated, *roles.unlabelled))
        pretraining = bench.output / "pretraining" / key_of(common, volumes)
    key = key_of(common, asdict(roles))
    return Start(bench.output / "starts" / key, roles, settings, cell.profile, pretraining)


def _train_start(bench: Bench, start: Start) -> StageLog:
    """Make the project, pre-train, train round 0 and measure it, as far as that is not done."""
    log, project = StageLog(start.folder, say), start.project
    _write_tables(bench, start)
    if not log.is_done("create"):
        # a project that is there is whole: it was made aside
        words = () if project.exists() else (
            "create", project, "--table", start.folder / "cases.csv", "--labels", LABELS,
            "--profile", start.profile.value, *(w for s in start.settings for w in ("--set", s)),
        )  # fmt: skip
        log.run("create", *words)
        _link_known_slices(bench, start)
    if start.pretraining is not None:
        _pretrain(bench, start, log)
    _train_round(bench, log, project, 0)
    _keep_slices(bench, start)
    _evaluate(bench, log, project, start.folder / "test.csv", ["0"])
    return log


def _pretrain(bench: Bench, start: Start, log: StageLog) -> None:
    """Pre-train, or take the same pre-training of another start with the times that it took."""
    kept = start.pretraining
    if kept is None or log.is_done("pretraining"):
        return
    with held(kept, say):
        if (kept / "stage.json").exists():
            link_tree(kept / "pretraining", start.project / "pretraining")
            log.take_over("pretraining", json.loads((kept / "stage.json").read_text()))
            return
        log.run("pretraining", "pretrain", start.project, "--device", bench.device, *ANSWERS)
        link_tree(start.project / "pretraining", kept / "pretraining")
        write_json(kept / "stage.json", log.stages["pretraining"])


def _train_round(bench: Bench, log: StageLog, project: Path, index: int) -> None:
    name = f"round {index}"
    if log.is_done(name):
        return
    # a kill may have come between the round's end and its mark here
    words = (
        () if _has_round(project, index) else ("train", project, "--device", bench.device, *ANSWERS)
    )
    log.run(name, *words)


def _has_round(project: Path, index: int) -> bool:
    rounds = load_project(project).rounds
    ended = (RoundState.IN_REVIEW, RoundState.CLOSED)
    return len(rounds) > index and rounds[index].state in ended


def _evaluate(
    bench: Bench, log: StageLog, project: Path, table: Path, rounds: Sequence[str]
) -> None:
    """Measure on the test volumes, as the product predicts and as the papers do, once each."""
    for stage, words in (("test", ()), ("test once", ("--single",))):
        if not log.is_done(stage):
            log.run(
                stage, "evaluate", project, "--table", table, "--rounds", *rounds, *words,
                "--output", log.folder / f"{stage}.json", "--device", bench.device,
            )  # fmt: skip


def _link_known_slices(bench: Bench, start: Start) -> None:
    """Take the slices that other starts have made; the program checks that they fit."""
    kept = _kept_slices(bench, start)
    for number in (*start.roles.annotated, *start.roles.validation, *start.roles.unlabelled):
        here = ProjectLayout(start.project).preprocessed(f"{number:03d}")
        if (kept / here.name).exists():
            link_tree(kept / here.name, here)


def _keep_slices(bench: Bench, start: Start) -> None:
    kept = _kept_slices(bench, start)
    for entry in ProjectLayout(start.project).preprocess_plan.parent.iterdir():
        if entry.is_dir() and not (kept / entry.name).exists():
            link_tree(entry, kept / entry.name)


def _kept_slices(bench: Bench, start: Start) -> Path:
    return bench.output / "slices" / key_of(to_json(start.config.preprocess))


def _write_tables(bench: Bench, start: Start) -> None:
    roles = asdict(start.roles)
    tested = [("ignored", number) for number in roles.pop("test")]
    cases = [(role, number) for role, numbers in roles.items() for number in numbers]
    for name, rows in (("cases.csv", cases), ("test.csv", tested)):
        with (start.folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "role", "image", "annotation"))
            for role, number in rows:
                label = "" if role == "unlabelled" else bench.file("labels", number)
                writer.writerow((f"{number:03d}", role, bench.file("images", number), label))


def _told(cell: Cell) -> dict[str, Any]:
    return {
        "labelled": cell.labelled,
        "combination": cell.combination,
        "method": cell.method.name,
        "recipe": cell.recipe.value,
        "profile": cell.profile.value,
        "seed": cell.seed,
    }


def _require_same(path: Path, asked: dict[str, Any]) -> None:
    """Refuse to take a result for one that was made in another way.

    Raises:
        ProtocolError: It was.
    """
    before: Any = read_json(path)
    other = [name for name, value in asked.items() if before["asked"].get(name) != value]
    if other:
        raise ProtocolError(
            f"'{path.name}' was made with other {' and '.join(other)}.",
            "Choose another --output, or move that file away.",
        )


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

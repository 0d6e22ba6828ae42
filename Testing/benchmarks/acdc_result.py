"""The figures of one run of the ACDC benchmark, gathered from its project."""

import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from PseudoLabelCLLib.domain.config import ProjectConfig
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.storage.files.atomic_files import read_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

Stages = dict[str, Any]


def gather(
    start: Path, run: Path, truth_of: Callable[[str], Path], stages: dict[str, Stages]
) -> dict[str, Any]:
    """Return the figures of all rounds, and where the time went.

    Args:
        start: Folder of the shared round 0.
        run: Folder of the run, with its project.
        truth_of: Where the segmentation of a patient lies, if it is at hand.
        stages: Those of the start and those of the run, by the folder's kind.
    """
    root = run / "project"
    project = load_project(root)
    hidden = [case.id for case in project.cases_to_propose() if truth_of(case.id).exists()]
    averaged, once = (
        [model for folder in (start, run) for model in _models(folder / f"{stage}.json")]
        for stage in ("test", "test once")
    )
    rounds = [
        {
            "round": index,
            "test": _test_figures(model),
            "test_once": _test_figures(once[index]),
            "validation_dice": _validation_dice(root, index),
            "pseudo_label_dice": _pseudo_label_dice(root, project, index, hidden, truth_of),
        }
        for index, model in enumerate(averaged)
    ]
    told = list(_stages(project.config, stages))
    return {
        "config": to_json(project.config),
        "device": _device(root),
        "hidden_truth": hidden,
        "rounds": rounds,
        "stages": told,
        "seconds": round(sum(stage["seconds"] for stage in told), 1),
        "is_whole_time": all(stage["is_whole_time"] for stage in told),
        "peak_memory_gb": max(stage["peak_memory_gb"] for stage in told),
    }


def dice_of_labels(ours: Any, theirs: Any, values: Sequence[int]) -> dict[int, float]:
    """Return the Dice of each label value; one that neither side holds does not count.

    Args:
        ours: Label values.
        theirs: Label values of the same shape.
        values: Those that count.
    """
    dice = {}
    for value in values:
        mine, yours = np.asarray(ours) == value, np.asarray(theirs) == value
        total = int(mine.sum()) + int(yours.sum())
        if total:
            dice[value] = 2 * int((mine & yours).sum()) / total
    return dice


def spread(values: Iterable[float | None]) -> dict[str, Any]:
    """Return mean, standard deviation (n - 1 below) and number of the values that there are."""
    counted = [value for value in values if value is not None]
    return {
        "mean": statistics.fmean(counted) if counted else None,
        "sd": statistics.stdev(counted) if len(counted) > 1 else None,
        "n": len(counted),
    }


def _models(path: Path) -> list[dict[str, Any]]:
    told: Any = read_json(path) if path.exists() else {"models": []}
    return list(told["models"])


def _test_figures(model: dict[str, Any]) -> dict[str, Any]:
    volumes: dict[str, Any] = {}
    for case in model["cases"]:
        dice = {quality["name"]: quality["dice"] for quality in case["quality"]["classes"]}
        counted = [value for value in dice.values() if value is not None]
        mean = statistics.fmean(counted) if counted else None
        volumes[case["id"]] = {"mean": mean, "structures": dice}
    names = [quality["name"] for quality in model["summary"]["classes"]]
    return {
        "dice": spread(volume["mean"] for volume in volumes.values()),
        "structures": {
            name: spread(volume["structures"][name] for volume in volumes.values())
            for name in names
        },
        "volumes": volumes,
        "hd95_mm": model["summary"]["mean"]["hd95_mm"]["mean"],
        "assd_mm": model["summary"]["mean"]["assd_mm"]["mean"],
    }


def _validation_dice(root: Path, index: int) -> float | None:
    path = ProjectLayout(root).evaluation(index)
    told: Any = read_json(path) if path.exists() else None
    return None if told is None else told["summary"]["mean"]["dice"]["mean"]


def _pseudo_label_dice(
    root: Path, project: Project, index: int, hidden: list[str], truth_of: Callable[[str], Path]
) -> dict[str, Any]:
    """Dice of a round's pseudo-labels, as they lie in the project, with the truth kept from it."""
    volumes = {}
    for case_id in hidden:
        proposal = read_segmentation(ProjectLayout(root).proposal(index, case_id), project.schema)
        truth = read_segmentation(truth_of(case_id), project.schema)
        dice = dice_of_labels(proposal[0].array, truth[0].array, project.schema.values)
        volumes[case_id] = statistics.fmean(dice.values())
    return {**spread(volumes.values()), "volumes": volumes}


def _stages(config: ProjectConfig, stages: dict[str, Stages]) -> Iterable[dict[str, Any]]:
    steps = {"round 0": config.training.supervised.num_steps, "pretraining": _pretraining(config)}
    for kind, logged in stages.items():
        for name, stage in logged.items():
            is_joint = name.startswith("round ") and name != "round 0"
            yield {
                "name": name,
                "is_shared": kind == "start",
                "steps": config.training.joint.num_steps if is_joint else steps.get(name),
                "seconds": stage["seconds"],
                "is_whole_time": stage["is_whole_time"],
                "peak_memory_gb": stage["peak_memory_gb"],
                "program": stage["program"],
            }


def _pretraining(config: ProjectConfig) -> int:
    settings = config.pretraining
    if settings.method is Pretraining.POSITIONAL:
        return settings.positional.num_steps
    return settings.global_local.global_steps + settings.global_local.local_steps


def _device(root: Path) -> str:
    settled: Any = read_json(ProjectLayout(root).settled_device)
    precision = "bfloat16" if settled["half_precision"] else "float32"
    return f"{settled['description']}, {precision}; {os.cpu_count()} processor cores"

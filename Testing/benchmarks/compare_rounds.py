"""A picture of what the joint rounds changed: the first and the last round beside the reference.

    python Testing/benchmarks/compare_rounds.py FOLDER picture.png

`FOLDER` is what `whole_loop.py` wrote. The rows are the best, the middle and the worst test volume
of the last round.
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from comparison_picture import ComparisonRow, write_comparison_picture

from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import read_volume


def main(folder: Path, picture: Path) -> None:
    project = load_project(folder / "project")
    layout = ProjectLayout(folder / "project")
    models = json.loads((folder / "test.json").read_text())["models"]
    with (folder / "test.csv").open(encoding="utf-8") as file:
        files = {row["id"]: row for row in csv.DictReader(file)}
    chosen = _best_middle_worst(models[-1])
    rounds = (0, len(models) - 1)
    with tempfile.TemporaryDirectory() as passing:
        predicted = {}
        for index in rounds:
            images = [files[case]["image"] for case, _ in chosen]
            output = Path(passing) / str(index)
            _predict(layout.model(index), images, output)
            predicted[index] = output
        rows = tuple(
            _row(case, dice, files[case], [predicted[index] for index in rounds], project.schema)
            for case, dice in chosen
        )
    titles = ("image", "round 0", f"round {rounds[1]}", "reference")
    write_comparison_picture(picture, rows, titles, project.schema)


def _best_middle_worst(model: dict) -> list[tuple[str, float]]:
    dice = {
        case["id"]: float(np.mean([c["dice"] or 0.0 for c in case["quality"]["classes"]]))
        for case in model["cases"]
    }
    order = sorted(dice, key=dice.__getitem__, reverse=True)
    return [(case, dice[case]) for case in (order[0], order[len(order) // 2], order[-1])]


def _predict(model: Path, images: list[str], output: Path) -> None:
    command = [sys.executable, "-m", "PseudoLabelCLLib", "predict", str(model), *images]
    subprocess.run([*command, "--output", str(output)], check=True)


def _row(case: str, dice: float, files: dict, predicted: list[Path], schema) -> ComparisonRow:
    volume = read_volume(Path(files["image"]))
    reference = read_segmentation(Path(files["annotation"]), schema)[0].array
    name = Path(files["image"]).name.removesuffix(".nii.gz") + ".seg.nrrd"
    segmentations = [read_segmentation(folder / name, schema)[0].array for folder in predicted]
    fullest = int((reference > 0).sum(axis=(1, 2)).argmax())
    spacing = volume.geometry.spacing_mm
    return ComparisonRow(
        title=f"{case}\nDice {dice:.2f}",
        image=volume.array[fullest],
        segmentations=tuple(s[fullest] for s in (*segmentations, reference)),
        pixel_size_mm=(spacing[1], spacing[0]),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

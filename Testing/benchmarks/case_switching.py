"""Switching between two large cases in the panel: how long, and how long the panel stands still.

    python Testing/benchmarks/case_switching.py --output FOLDER

makes a project of volumes of 512 x 512 x 200 voxels with two rounds in FOLDER (kept for the next
time), opens it in the real panel with a real service, and goes from case to case by clicks. What
the application itself adds is measured by `switching_in_slicer.py` with the same project.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from loop_watch import LoopWatch, RealPanel, a_real_panel
from vtk.util.numpy_support import vtk_to_numpy

from PseudoLabelCLLib.curation.cases.add_cases import add_case
from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

SIZE = (512, 512, 200)
NUM_LABELS = 3
CASES = ("case A", "case B")
DISCARD = 1  # the second answer to what shall become of changes
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def make_project(root: Path, size: tuple[int, int, int]) -> None:
    """Make an annotated case and two that have proposals of two rounds, with maps of doubt."""
    grid = Geometry(size, (0.8, 0.8, 1.5), (-200.0, -200.0, -100.0), IDENTITY)
    schema = LabelSchema.from_values(tuple(range(1, NUM_LABELS + 1)))
    project = Project("Large", schema, config_for(Profile.QUICK))
    create_project(root, project)
    data = root.parent / "data"
    data.mkdir(exist_ok=True)
    annotation = data / "annotated.seg.nrrd"
    write_segmentation(annotation, LabelVolume(_labels(size, 0), grid), schema)
    for number, case_id in enumerate(("annotated", *CASES)):
        image = data / f"{case_id}.nrrd"
        write_volume(image, Volume(_image(size, number), grid))
        role = CaseRole.UNLABELLED if number else CaseRole.ANNOTATED
        labels = None if number else str(annotation)
        project, _ = add_case(root, project, NewCase(case_id, role, str(image), annotation=labels))
    for index, state in ((0, RoundState.CLOSED), (1, RoundState.IN_REVIEW)):
        _put_round(root, project, Round(index, state, num_truth_cases=1), grid)


def _put_round(root: Path, project: Project, a_round: Round, grid: Geometry) -> None:
    layout = ProjectLayout(root)
    save_round(root, a_round)
    for number, case_id in enumerate(CASES, start=1):
        index = a_round.index
        labels = _labels(grid.size, 10 * number + index)
        write_segmentation(
            layout.proposal(index, case_id), LabelVolume(labels, grid), project.schema
        )
        doubt = (np.abs(np.diff(labels, axis=2, prepend=0)) > 0).astype(np.float32)
        write_volume(layout.uncertainty(index, case_id), Volume(doubt, grid))
        per_slice = tuple(0.5 if k % 20 == number else 0.01 for k in range(grid.size[2]))
        told = Doubt(0.1 * number, 0.9, per_slice, "The copies differ.")
        write_json(layout.doubt(index, case_id), to_json(told))


def _image(size: tuple[int, int, int], seed: int) -> npt.NDArray[np.int16]:
    noise = np.random.default_rng(seed).integers(-30, 30, size[::-1], dtype=np.int16)
    return noise + 200 * _labels(size, seed)


def _labels(size: tuple[int, int, int], seed: int) -> npt.NDArray[np.int16]:
    """Balls beside each other, at places that depend on the seed."""
    rng = np.random.default_rng(seed)
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in size[::-1]]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    labels = np.zeros(size[::-1], np.int16)
    for value in range(1, NUM_LABELS + 1):
        dz, dy, dx = rng.uniform(-0.3, 0.3, 3)
        inside = (x - dx) ** 2 + (y - dy) ** 2 + (z - dz) ** 2 < (0.6 - 0.12 * value) ** 2
        labels[inside] = value
    return labels


def look_at(panel: RealPanel, watch: LoopWatch, case_id: str) -> dict[str, float]:
    """Click to the other case."""
    order = [row[0] for row in panel.texts("queueTable")]
    button = "nextCaseButton" if case_id == order[1] else "previousCaseButton"
    return measured(panel, watch, (button,), case_id)


def correct(panel: RealPanel, watch: LoopWatch, case_id: str) -> dict[str, float]:
    """Change the shown proposal and save it: the other case comes by itself."""
    draw(panel)
    return measured(panel, watch, ("acceptButton",), case_id)


def leave_unsaved(panel: RealPanel, watch: LoopWatch, case_id: str) -> dict[str, float]:
    """Change the shown proposal and go on, and discard the changes when asked."""
    draw(panel)
    order = [row[0] for row in panel.texts("queueTable")]
    button = "nextCaseButton" if case_id == order[1] else "previousCaseButton"
    return measured(panel, watch, (button,), case_id, answer=DISCARD)


def draw(panel: RealPanel) -> None:
    """Paint a cube into the first structure, as the Segment Editor would."""
    proposal = panel.panel._review.proposal.case.proposal
    labelmap = proposal.GetSegmentation().GetLayerDataObject(0, "Binary labelmap")
    voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(
        labelmap.GetDimensions()[::-1]
    )
    k, j, i = np.random.default_rng().integers(5, 25, 3)  # beside the structures, new each time
    voxels[k : k + 20, j : j + 20, i : i + 20] ^= 1
    labelmap.Modified()
    panel.until(lambda state: state.review.extents)


def measured(
    panel: RealPanel,
    watch: LoopWatch,
    buttons: tuple[str, ...],
    case_id: str,
    answer: int | None = None,
) -> dict[str, float]:
    """Click, and wait for a case; return the seconds and the gaps of the event loop."""
    panel.until(lambda _state: panel.is_idle())
    panel.run_for(1.0)
    watch.start()
    start = time.perf_counter()
    for button in buttons:
        panel.click(button)
    if answer is not None:
        panel.presenter.answer(answer)
    panel.until(lambda _state: panel.is_shown(case_id))
    seconds = time.perf_counter() - start
    panel.run_for(1.0)
    return {"seconds": seconds, **watch.stop()}


WAYS = {"look at": look_at, "correct": correct, "leave unsaved": leave_unsaved}


def run(panel: RealPanel, watch: LoopWatch, num_times: int) -> dict[str, list[dict[str, float]]]:
    """Go from the first case to the second and back in all ways."""
    panel.until(lambda state: len(state.review.queue) == len(CASES) and panel.is_idle())
    first, second = (row[0] for row in panel.texts("queueTable"))
    panel.choose("queueTable", 0)
    panel.click("showCaseButton")
    panel.until(lambda _state: panel.is_shown(first))
    panel.run_for(8.0)  # the service makes the files of the second one ready meanwhile
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    for name, way in WAYS.items():
        for _ in range(num_times):
            rows[name].append(way(panel, watch, second))
            print(name, json.dumps({k: round(v, 3) for k, v in rows[name][-1].items()}))
            rows["look at"].append(look_at(panel, watch, first))
    return rows


def main() -> None:
    """Make the project if there is none, switch, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--size", type=int, nargs=3, default=SIZE)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--trace", type=Path, help="where the stacks of long gaps are written")
    arguments = parser.parse_args()
    root = arguments.output.absolute() / "project"
    if not root.exists():
        arguments.output.mkdir(parents=True, exist_ok=True)
        make_project(root, tuple(arguments.size))
    trace = arguments.trace.open("w") if arguments.trace else None
    panel, watch = a_real_panel(), LoopWatch(trace)
    try:
        panel.open(root)
        rows = run(panel, watch, arguments.times)
    finally:
        panel.close()
    print("| what | switches | seconds, median | longest gap, ms | of it its own, ms |")
    print("|---|---|---|---|---|")
    for name, found in rows.items():
        gaps, owns = ([row[key] for row in found] for key in ("largest_ms", "largest_own_ms"))
        seconds = statistics.median(row["seconds"] for row in found)
        print(
            f"| {name} | {len(found)} | {seconds:.2f} | {statistics.median(gaps):.0f} (at most "
            f"{max(gaps):.0f}) | {statistics.median(owns):.0f} (at most {max(owns):.0f}) |"
        )


if __name__ == "__main__":
    main()

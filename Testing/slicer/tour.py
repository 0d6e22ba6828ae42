"""The whole loop in a real Slicer, with a real mouse: what is stored is what was seen.

Call: python Testing/slicer/tour.py SLICER [--python PYTHON] [--pictures FOLDER]. PYTHON is an
interpreter that has PyTorch, if Slicer's own has not. It needs xdotool and an X display. Every step
ends with a picture, the largest gap of the event loop and the error lines of the log; the last
line says PASSED or FAILED, the exit code is 0 or 1.
"""

import argparse
import re
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from driving.application import Application, DrivingError, require_tools

from PseudoLabelCLLib.curation.samples.sample_data import write_sample_cases
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "PseudoLabelCL"
# Rounds of about a minute; what they learn is poor, and nobody measures it here.
SMALL_ROUNDS = {
    "training.supervised.num_steps": "150",
    "training.joint.num_steps": "40",
    "training.supervised.batch_size": "4",
    "preprocess.max_window_size": "96",
}
TRAINED_WITHIN_S = 1200.0
SAMPLES_SEED = 7
# A busy computer takes some time over it.
LAID_OUT_WITHIN_S = 3.0
# A centre is told with two decimals of a millimetre, by two programs.
SAME_PLACE_MM = 0.05
_TROUBLE = re.compile(r"^\[(WARNING|ERROR|CRITICAL|FATAL)\]\[(\w+)\] \S+ \S+ \[[^]]*\] (.*)$")
_WITHOUT_WORDS = re.compile(r"\([^)]*\) -?\s*")  # where it comes from, and nothing else
_CHANGING = re.compile(r"0x[0-9a-f]+|\d+")


@dataclass
class StepRecord:
    """What a step showed."""

    name: str
    seconds: float
    largest_gap_ms: float
    p99_gap_ms: float
    troubles: list[str] = field(default_factory=list)


def troubles_in(lines):
    """Return the lines of Slicer's log that tell of trouble, as they were written.

    A line without a word is none: what is written to standard error before the module is loaded
    can begin with an empty one.
    """
    matches = ((line, _TROUBLE.match(line)) for line in lines)
    return [line for line, match in matches if match and not _WITHOUT_WORDS.fullmatch(match[3])]


def without_numbers(line):
    """Return what a line of the log says, so that two that differ in numbers alone are alike."""
    match = _TROUBLE.match(line)
    return _CHANGING.sub("#", match.group(3) if match else line)


class Tour:
    """One pass through the loop.

    Args:
        app: The running Slicer.
        folder: A folder of its own.
        pictures: Where the pictures go.
        python: The interpreter that has PyTorch, or empty.
        own_troubles: Lines that this Slicer logs without the module.
    """

    def __init__(self, app, folder, pictures, python, own_troubles):
        self.app, self.folder, self.pictures, self.python = app, folder, pictures, python
        self.records = []
        self._own = own_troubles
        self._num_lines = 0

    @property
    def root(self):
        """The project's folder."""
        return self.folder / "projects" / "Tour"

    def run(self):
        """Go through all steps; each checks what it brought."""
        for step in (
            self.open_module,
            self.segment_a_volume,
            self.make_project,
            self.add_volumes,
            self.check,
            self.train_round_0,
            self.accept,
            self.correct,
            self.correct_voxels_only,
            self.reject,
            self.take_back,
            self.leave_edits_to_the_question,
            self.end_a_round_while_a_case_is_shown,
            self.delete_the_shown_volume,
            self.use_the_model,
            self.export,
            self.close_project,
            self.open_again,
        ):
            self._do(step)

    def _do(self, step):
        name = step.__name__.replace("_", " ")
        print(f"- {name}", flush=True)
        self.app.ask("take_gaps")
        began_s = time.monotonic()
        try:
            step()
            self.app.until("the next case is in the views", lambda s: not s["is_loading"])
            self._check_layout()
        finally:
            self._record(name, time.monotonic() - began_s)

    def _record(self, name, seconds):
        gaps = self.app.ask("take_gaps")
        self._picture(name.replace(" ", "-"))
        troubles = self._new_troubles()
        record = StepRecord(name, seconds, gaps["largest_ms"], gaps["p99_ms"], troubles)
        self.records.append(record)
        print(
            f"  {seconds:.0f} s, largest gap {record.largest_gap_ms:.0f} ms, "
            f"99th percentile {record.p99_gap_ms:.0f} ms",
            flush=True,
        )
        for line in troubles:
            print(f"  log: {line[:300]}", flush=True)

    def _picture(self, name):
        """Write a picture of the screen; one that is there already is written over."""
        self.app.picture(self.pictures / f"{name}.png")

    def _new_troubles(self):
        lines = Path(self.app.ask("log_file")).read_text(errors="replace").splitlines()
        new, self._num_lines = lines[self._num_lines :], len(lines)
        return [line for line in troubles_in(new) if without_numbers(line) not in self._own]

    # --- the steps

    def open_module(self):
        """The panel is there, fits the window, and says what this computer can do."""
        app = self.app
        app.ask("open_module")
        if self.python:
            app.ask("use_python", self.python)
        time.sleep(3)
        for name in ("projectButton", "newProjectButton", "casesStepButton", "useStepButton"):
            check(app.ask("facts", name)["in_sight"], f"{name} is out of sight.")

    def segment_a_volume(self):
        """A volume is loaded and segmented, as a clinician has done it before."""
        cases = write_sample_cases(self.folder / "volumes", SAMPLES_SEED, num_unlabelled=5)
        self.cases = {case.case_id: case for case in cases}
        first = next(case for case in cases if case.annotation is not None)
        self.app.ask("load_annotated", str(first.image), str(first.annotation))
        self.annotated = first.image.name.partition(".")[0]

    def make_project(self):
        """New project, from the segmentation in the scene; it lies where the person said."""
        app = self.app
        projects = self.folder / "projects"
        projects.mkdir()
        app.click("newProjectButton")
        app.click("newNameEdit")
        app.type("Tour")
        app.ask("set_path", "newFolderEdit", str(projects))
        app.ask("choose_node", "newSegmentationSelector", "vtkMRMLSegmentationNode")
        app.click("createProjectButton")
        app.until("the project is open", lambda s: s["root"] == str(self.root))
        for name, value in SMALL_ROUNDS.items():
            app.ask("change_setting", name, value)
            app.until(f"{name} is changed", lambda s: not s["changes"])
        check((self.root / "project.json").is_file(), "The project is not on the disk.")

    def add_volumes(self):
        """The segmented volume and its segmentation are proposed; a folder brings the others."""
        app = self.app
        app.click("addButton")
        app.until("the annotated volume was added", lambda s: len(s["cases"]) == 1)
        role = app.state()["cases"][0][1]
        check(role == "annotated", f"The segmented volume was added as '{role}'.")
        others = [c for c in self.cases.values() if c.kind == "unlabelled"]
        folder = self.folder / "unlabelled"
        folder.mkdir()
        for case in others:
            (folder / case.image.name).write_bytes(case.image.read_bytes())
        app.click("addFolderButton")
        self._answer_file_dialog(folder)
        app.until(
            "the folder was searched", lambda s: app.ask("facts", "addFoundButton")["enabled"]
        )
        app.ask("choose_text", "foundRoleCombo", "unlabelled")
        app.click("addFoundButton")
        app.until("the volumes were added", lambda s: len(s["cases"]) == 1 + len(others))
        names = [row[0] for row in app.ask("rows", "caseTable")]
        check(all("..." not in name for name in names), f"Names are cut: {names}")

    def check(self):
        """The check of the cases finds nothing that stops the training."""
        self.app.click("checkButton")
        self.app.until("the training can begin", lambda s: s["can_train"])

    def train_round_0(self):
        """Round 0, with its curve, its bar and its time left."""
        self._train(0)

    def accept(self):
        """Accept stores what is on the screen."""
        case = self._show_queued(0)
        shown = self.app.ask("voxels_shown")
        self._give_verdict(case, "acceptButton")
        self._check_stored(case, 0, "accepted", shown)

    def correct(self):
        """A stroke, then the same button saves the correction; what is stored was on the screen."""
        app, case = self.app, self._show_queued(1)
        before = app.ask("voxels_shown")
        k = self._draw()
        state = app.until("the panel says what counts", lambda s: "k = " in "".join(s["extents"]))
        check("correction" in state["accept"][0].lower(), f"The button says {state['accept'][0]}.")
        shown = app.ask("voxels_shown")
        check(shown != before, "The stroke changed nothing.")
        self._give_verdict(case, "acceptButton")
        review = self._check_stored(case, 0, "corrected", shown)
        says = state["extents"][0]
        check(
            f"k = {k})" in says, f"Drawn was in slice {k} as Slicer counts; the panel says {says}."
        )
        stored = self._number_in_file(case, k)
        check(review.truth_slices == (stored,), f"{review.truth_slices} counts, not {stored}.")

    def correct_voxels_only(self):
        """A stroke across slices, of which only the voxels near it shall count."""
        app, case = self.app, self._show_queued(2)
        self._draw("Green")
        app.until("the panel says what counts", lambda s: "k = " in "".join(s["extents"]))
        app.ask("choose_index", "extentCombo", 1)
        time.sleep(1)
        self._picture("voxels-that-count")
        shown = app.ask("voxels_shown")
        self._give_verdict(case, "acceptButton")
        self._check_stored(case, 0, "corrected", shown)

    def reject(self):
        """Reject stores no segmentation."""
        case = self._show_queued(3)
        self._give_verdict(case, "rejectButton")
        check(self._review(case, 0).segmentation is None, "A rejected proposal left voxels.")

    def take_back(self):
        """Take back: the proposal waits again."""
        case = self._show_queued(3)
        self.app.click("takeBackButton")
        self.app.until(f"{case} waits again", lambda s: dict(s["queue"])[case] == "")
        check(self._review(case, 0) is None, "The verdict is still on the disk.")
        self._give_verdict(case, "rejectButton")

    def leave_edits_to_the_question(self):
        """Unsaved strokes: showing another case asks, and Cancel loses nothing."""
        app, case = self.app, self._show_queued(4)
        self._draw()
        app.until("the stroke is seen", lambda s: "correction" in s["accept"][0].lower())
        shown = app.ask("voxels_shown")
        app.click("previousCaseButton")
        state = app.until("it is asked", lambda s: bool(s["answers"]))
        facts = app.ask("facts", f"answerButton{len(state['answers'])}")
        check(facts["in_sight"], "The question is out of sight.")
        check(not state["accept"][1], "A verdict is possible while the question stands.")
        self._picture("question")
        app.click(f"answerButton{len(state['answers'])}")
        app.until("the question is gone", lambda s: not s["answers"])
        check(app.state()["case"] == case, "Cancel left the case.")
        check(app.ask("voxels_shown") == shown, "Cancel changed what was drawn.")
        app.click("previousCaseButton")
        app.until("it is asked again", lambda s: bool(s["answers"]))
        app.click("answerButton2")  # discard
        app.until("another case is shown", lambda s: s["case"] not in ("", case))

    def end_a_round_while_a_case_is_shown(self):
        """Round 1 ends while round 0's proposal is shown: no verdict is possible on the old one."""
        app, case = self.app, self._show_queued(4)
        old = app.state()["identity"]
        self._train(1)
        state = app.state()
        is_same = state["identity"] == old
        check(not (is_same and state["accept"][1]), "Accept is possible on round 0's proposal.")
        case = self._show_queued(0)
        check(app.state()["identity"][1] == 1, "The proposal shown is not round 1's.")
        shown = app.ask("voxels_shown")
        self._give_verdict(case, "acceptButton")
        self._check_stored(case, 1, "accepted", shown)

    def delete_the_shown_volume(self):
        """The shown volume is deleted by hand: the case is left at once, and that is said."""
        app, case = self.app, self._show_queued(1)
        app.click("editButton")
        app.ask("delete_shown_volume")
        state = app.until("the case is left", lambda s: s["case"] != case)
        check(case in " ".join(state["message"]) or state["case"], "Nothing is said about it.")
        check(not app.ask("has_brush"), "The brush still paints.")

    def use_the_model(self):
        """The model segments a new volume; the result is in the scene, over its volume alone."""
        app = self.app
        new = next(c for c in self.cases.values() if c.kind == "test")
        app.ask("load_volume", str(new.image))
        app.click("useStepButton")
        app.until("the newest model is read by itself", lambda s: bool(s["model"]))
        app.ask("mark_volume", "applyList", new.image.name.partition(".")[0])
        app.click("applyButton")
        app.until("it is segmented", lambda s: bool(s["use_results"]) and not s["uses"], 600)
        time.sleep(2)
        seen = app.ask("segmentations_seen")
        check(len(seen) == 1, f"These segmentations lie over the result: {seen}")

    def export(self):
        """What a person accepted or corrected goes out, voxel for voxel."""
        app = self.app
        app.click("exportChoiceButton")
        target = self.folder / "exported"
        target.mkdir()
        app.ask("choose_index", "exportFormatCombo", app.ask("format_index", "seg.nrrd"))
        app.ask("set_path", "exportFolderEdit", str(target))
        app.click("exportButton")
        app.until("it is exported", lambda s: bool(s["export_results"]) and not s["exports"])
        files = sorted(path.name for path in target.rglob("*.seg.nrrd"))
        check(bool(files), "Nothing was exported.")

    def close_project(self):
        """Close the project from its menu."""
        self.app.click("projectButton")
        self.app.click_at(self.app.ask("menu_place", "Close the project"))
        self.app.until("the project is closed", lambda s: not s["root"])

    def open_again(self):
        """Open it again by a double-click among the recent ones: all verdicts are there."""
        app = self.app
        before = load_project(self.root)
        app.click_at(app.ask("list_place", "recentList", 0), times=2)
        state = app.until("the project is open", lambda s: s["root"] == str(self.root))
        check(state["rounds"] == [0, 1], f"There are rounds {state['rounds']}.")
        after = load_project(self.root)
        check(after.reviews == before.reviews, "Opening changed the verdicts.")

    # --- what the steps share

    def _train(self, index):
        app = self.app
        app.click("trainStepButton")
        app.click("trainButton")
        app.until(f"round {index} is trained", lambda s: s["trains"], 60)
        time.sleep(20)
        self._picture(f"training-round-{index}")
        app.until(
            f"round {index} is there to review",
            lambda s: not s["trains"] and index in s["rounds"] and bool(s["queue"]),
            TRAINED_WITHIN_S,
        )

    def _show_queued(self, row):
        """Show the case of a row of the queue by a double-click, and look that it is alone."""
        app = self.app
        app.click("reviewStepButton")
        case = app.state()["queue"][row][0]
        app.click_at(app.ask("row_place", "queueTable", row), times=2)
        app.until(f"{case} is shown", lambda s: s["case"] == case and not s["is_loading"])
        deadline_s = time.monotonic() + 20
        while app.ask("voxels_shown") is None or app.ask("volume_seen") != case:
            check(time.monotonic() < deadline_s, f"{case} is not in the views.")
            time.sleep(0.1)
        seen = app.ask("segmentations_seen")
        check(len(seen) == 1 and seen[0].startswith(case), f"Over {case} lie {seen}.")
        return case

    def _draw(self, view="Red"):
        """Take the brush and draw a stroke; return the slice that is shown."""
        app = self.app
        if not app.ask("has_brush"):
            app.click("editButton")
        k = app.ask("slice_with_most")
        width = app.ask("panel_width")
        app.stroke(view, ((0.45, 0.45), (0.5, 0.5), (0.55, 0.52)))
        check(app.ask("panel_width") == width, "Edit changed the width of the panel.")
        return k

    def _number_in_file(self, case, k):
        """A slice's number in the file: Slicer reverses the slices of a left-handed volume."""
        image = sitk.ReadImage(str(self.cases[case].image))
        is_left_handed = np.linalg.det(np.reshape(image.GetDirection(), (3, 3))) < 0
        return image.GetSize()[2] - 1 - k if is_left_handed else k

    def _give_verdict(self, case, button):
        before = dict(self.app.state()["queue"])[case]  # perhaps a verdict of the round before
        self.app.click(button)
        self.app.until(
            f"the verdict on {case} is saved",
            lambda s: dict(s["queue"])[case] not in ("", before),
        )

    def _review(self, case, round_index):
        reviews = load_project(self.root).reviews
        mine = [r for r in reviews if r.case_id == case and r.round_index == round_index]
        return mine[0] if mine else None

    def _check_stored(self, case, round_index, verdict, shown):
        """Compare what is on the disk with what was on the screen, by another reader."""
        review = self._review(case, round_index)
        check(review is not None, f"No verdict on {case} is on the disk.")
        check(review.verdict.value == verdict, f"{case} is {review.verdict.value} on the disk.")
        file = ProjectLayout(self.root).resolve(review.segmentation)
        stored = stored_voxels(file, load_project(self.root).schema)
        for name, (count, centre) in shown.items():
            its_count, its_centre = stored[name]
            check(count == its_count, f"{name} of {case}: {count} voxels seen, {its_count} stored.")
            if count:
                apart_mm = float(np.max(np.abs(np.subtract(centre, its_centre))))
                check(apart_mm < SAME_PLACE_MM, f"{name} of {case} is stored {apart_mm} mm away.")
        return review

    def _answer_file_dialog(self, folder):
        """Type a path into Qt's own dialog and press Return."""
        self.app.dialog()
        self.app.type(str(folder))
        self.app.key("Return")
        time.sleep(0.5)
        if self.app.ask("dialog") is not None:
            self.app.key("Return")

    def _check_layout(self):
        deadline_s = time.monotonic() + LAID_OUT_WITHIN_S
        while (faults := self.app.ask("overlaps")) and time.monotonic() < deadline_s:
            time.sleep(0.2)
        check(not faults, f"The layout of the panel: {'; '.join(faults)}")


def stored_voxels(file, schema):
    """Return voxels and centre (RAS, mm) of each structure in a stored segmentation, by name."""
    labels = read_segmentation(file, schema)[0]
    image = sitk.GetImageFromArray(labels.array)
    image.SetSpacing(labels.geometry.spacing_mm)
    image.SetOrigin(labels.geometry.origin_mm)
    image.SetDirection(labels.geometry.direction)
    found = {}
    for label in schema:
        places = np.argwhere(labels.array == label.value)
        centre = None
        if len(places):
            x, y, z = image.TransformContinuousIndexToPhysicalPoint(
                places.mean(axis=0)[::-1].tolist()
            )
            centre = [-x, -y, z]
        found[label.name] = [len(places), centre]
    return found


def check(is_right, otherwise):
    """Go on if something is as it should be.

    Raises:
        DrivingError: It is not; the text says what was found instead.
    """
    if not is_right:
        raise DrivingError(otherwise)


def troubles_without_module(slicer):
    """Start Slicer once without the module: what it logs then is its own."""
    app = Application(slicer, None)
    try:
        time.sleep(5)
        lines = Path(app.ask("log_file")).read_text(errors="replace").splitlines()
    finally:
        app.close()
    return {without_numbers(line) for line in troubles_in(lines)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("slicer", help="the launcher of 3D Slicer")
    parser.add_argument("--python", default="", help="an interpreter that has PyTorch")
    parser.add_argument("--pictures", type=Path, help="a folder for the pictures")
    parser.add_argument("--size", default="1600x1000", help="of the window, pixels")
    arguments = parser.parse_args()
    try:
        require_tools()
    except DrivingError as error:
        print(error)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="PseudoLabelCL-tour-"))
    pictures = arguments.pictures or folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    size = tuple(int(number) for number in arguments.size.split("x"))
    return 0 if take(arguments, folder, pictures, size) else 1


def take(arguments, folder, pictures, size):
    """Take the tour, and tell how it went."""
    own = troubles_without_module(arguments.slicer)
    app = Application(arguments.slicer, MODULE_FOLDER, size)
    tour = Tour(app, folder, pictures, arguments.python, own)
    error = ""
    try:
        print(app.ask("about"))
        tour.run()
    except Exception:  # noqa: BLE001 - whatever went wrong is the outcome
        error = traceback.format_exc()
        app.picture(pictures / "failed.png")
    finally:
        app.close()
    troubles = [line for record in tour.records for line in record.troubles]
    largest_ms = max((record.largest_gap_ms for record in tour.records), default=0.0)
    print(f"Largest gap of the event loop: {largest_ms:.0f} ms")
    print(f"Lines of trouble in the log: {len(troubles)}")
    print(f"Pictures: {pictures}")
    is_well = not error and not troubles
    print(error, end="")
    print(f"Tour of PseudoLabelCL: {'PASSED' if is_well else 'FAILED'}")
    return is_well


if __name__ == "__main__":
    sys.exit(main())

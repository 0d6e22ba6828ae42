"""In another language no English word is left: with the real service, worker's events and probe."""

import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from foreign_words import english_in, translate
from line_service import LineService
from presenter_fakes import Clock
from PseudoLabelCLGui.panel_state import Light, MarkedLine
from PseudoLabelCLGui.presenter import Presenter
from PseudoLabelCLGui.presenter.facts.use_facts import ExportChoices
from PseudoLabelCLGui.translation import forget_translator, translated, use_translator
from round_maker import GRID, SCHEMA, UNLABELLED, RoundMaker, StandInWorker, make_project

from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.doubt import COPIES_AGREE, Doubt
from PseudoLabelCLLib.domain.errors import TrainingError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.messages.job_messages import (
    Line,
    Notice,
    NoticeLevel,
    WorkerCrashed,
    decode_line,
    encode_line,
)
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.process.exit_codes import exit_code_in_words
from PseudoLabelCLLib.process.failure import failure_of
from PseudoLabelCLLib.process.probe_findings import ProbeFindings
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

GERMAN = Path(__file__).parents[2] / "Resources" / "Translations" / "PseudoLabelCL_de.ts"
# Names, files and units of this file's volumes; numbers need no words.
KNOWN = (
    r"[\w.-]*/[\w./-]+|[\w-]+\.(nrrd|nii\.gz|seg\.nrrd|nhdr|mha|nii|hdr|img|csv|json|NRRD|mhd)\b"
    r"|\.(nii|nrrd|gz|nhdr|mha|mhd|seg|hdr|img)\b|'[^']*'|\bNRRD\b|torch>=2.10|\blabel [12]\b"
)


class Scene:
    """A scene without volumes, and a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has_image(self, _case_id: str) -> bool:
        return True

    def temporary_folder(self) -> Path:
        return self._folder


class Loop:
    """A presenter with the real service's handlers behind real lines, in another language."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "project"
        self.services: list[LineService] = []
        self.workers: list[StandInWorker] = []
        self.seen: list = []
        self.presenter = Presenter(
            self._start_service, self._start_worker, scene=Scene(folder), clock=Clock()
        )

    def _start_service(self) -> LineService:
        self.services.append(LineService(lambda *_: None, lambda *_: None))
        return self.services[-1]

    def _start_worker(self, _job, _folder) -> StandInWorker:
        self.workers.append(StandInWorker(RoundMaker(self.root)))
        return self.workers[-1]

    def settle(self) -> None:
        for _ in range(12):
            for service in self.services:
                service.handle(20)
            self.presenter.tick()
            self.seen.append(self.presenter.state)

    def told(self) -> str:
        """What the message line says; the next message has to be another."""
        message = self.presenter.state.message
        assert message.text
        self.presenter.close_message()
        return f"{message.text} {message.remedy}"

    def volume(self, name: str, *, grid: Geometry = GRID, value: float | None = None) -> Path:
        voxels = np.random.default_rng(9).normal(100, 9, grid.array_shape).astype(np.float32)
        if value is not None:
            voxels[:] = value
        write_volume(self.folder / name, Volume(voxels, grid))
        return self.folder / name

    def labels(self, name: str, grid: Geometry = GRID) -> Path:
        drawn = np.zeros(grid.array_shape, np.int16)
        drawn[1:3, 1:4, 1:5] = 1
        write_segmentation(self.folder / name, LabelVolume(drawn, grid), SCHEMA)
        return self.folder / name

    def assert_translated(self, known: str = KNOWN) -> None:
        assert self.seen
        for state in self.seen:
            assert english_in(state, known) == {}


@pytest.fixture
def loop(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    use_translator(lambda file: Path(file).stem, translate)
    made = Loop(tmp_path)
    make_project(made.root)
    yield made
    for service in made.services:
        service.close()
    forget_translator()


@pytest.fixture
def opened(loop):
    loop.presenter.project.open(str(loop.root))
    loop.settle()
    assert loop.presenter.state.project.root == str(loop.root)
    return loop


@pytest.fixture
def in_review(loop):
    maker = RoundMaker(loop.root)
    maker.begin()
    maker.finish()
    layout = ProjectLayout(loop.root)
    reason = Text(COPIES_AGREE, agreement=0.8, structure="label 1", least=0.5, slice="k = 2")
    for case_id in UNLABELLED:
        write_json(layout.doubt(0, case_id), to_json(Doubt(0.2, 0.8, (0.1,) * 4, reason)))
    loop.presenter.project.open(str(loop.root))
    loop.settle()
    return loop


def test_a_word_that_nobody_translated_is_found():
    state = Presenter(None, None, scene=None, clock=Clock()).state
    assert english_in(state, KNOWN)


def test_a_project_that_is_not_there_or_damaged(loop):
    loop.presenter.project.open(str(loop.folder / "other"))
    loop.settle()
    assert str(loop.folder / "other") in loop.told()
    (loop.root / "project.json").write_text('{"schema_version": 2, "name": 1}', "utf-8")
    loop.presenter.project.open(str(loop.root))
    loop.settle()
    loop.told()
    loop.assert_translated(KNOWN + r"|project\.json|schema|config|cases")


def test_an_open_project_and_what_comes_next(opened):
    assert opened.presenter.state.train.sentence
    opened.assert_translated()


@pytest.mark.parametrize(
    "make",
    [
        lambda loop: (loop.folder / "nothing.nrrd", None),
        lambda loop: (loop.volume("flat.nrrd", value=5.0), None),
        lambda loop: (loop.volume("nan.nrrd", value=float("nan")), None),
        lambda loop: (
            loop.volume("far.nrrd"),
            loop.labels("far.seg.nrrd", replace(GRID, origin_mm=(500.0, 0.0, 0.0), size=(8, 8, 5))),
        ),
    ],
)
def test_a_volume_that_cannot_be_added(opened, make):
    image, label = make(opened)
    annotation = None if label is None else str(label)
    role = CaseRole.UNLABELLED if label is None else CaseRole.ANNOTATED
    opened.presenter.cases.add_volumes((NewCase("new", role, str(image), None, annotation),))
    opened.settle()
    assert opened.presenter.state.cases.findings
    opened.assert_translated()


def test_questions_about_files_with_their_answers(opened):
    shifted = replace(GRID, origin_mm=(2.0, 0.0, 0.0))
    image, label = opened.volume("new.nrrd"), opened.labels("new.seg.nrrd", shifted)
    opened.presenter.cases.add_volumes(
        (NewCase("new", CaseRole.ANNOTATED, str(image), None, str(label)),)
    )
    opened.settle()
    (asked,) = opened.presenter.state.cases.questions
    assert len(asked.choices) > 1
    opened.assert_translated(KNOWN + r"|^new:")


def test_what_a_search_and_a_check_of_the_cases_find(opened):
    found = []
    opened.presenter.listeners.on_found = found.append
    opened.labels("heart-label.nrrd")
    opened.volume("heart.nrrd")
    opened.presenter.cases.add_paths((str(opened.folder),))
    opened.settle()
    opened.seen += [
        MarkedLine(Light.AMBER, translated(text))
        for answer in found
        for text in (
            *(volume.description for volume in answer.volumes),
            *(text for one in answer.problems for text in (one.message, one.remedy)),
        )
    ]
    assert len(opened.seen) > 3
    opened.presenter.cases.check()
    opened.settle()
    assert opened.presenter.state.cases.findings
    opened.assert_translated()


def test_settings_structures_and_roles_that_are_refused(opened):
    opened.presenter.train.change_setting("training.seed", "-1")
    opened.settle()
    opened.told()
    opened.presenter.train.change_setting("network.widths", "x")
    opened.settle()
    opened.told()
    opened.presenter.cases.set_role(("u1",), CaseRole.VALIDATION)
    opened.settle()
    assert "'u1'" in opened.told()
    opened.assert_translated(KNOWN + "|, training:|, network|widths")


def test_the_review_and_verdicts_that_are_refused(in_review):
    loop = in_review
    assert "80%" in loop.presenter.state.review.queue[0].reason
    loop.presenter.review.show_case("u1")
    loop.settle()
    layout = ProjectLayout(loop.root)
    file = layout.proposal(0, "u1")
    file.write_bytes(file.read_bytes() + b" ")
    loop.presenter.review.accept_many(("u1",))
    loop.settle()
    shutil.rmtree(loop.root)
    loop.presenter.review.accept_many(("u2",))
    loop.settle()
    loop.told()
    loop.assert_translated()


def test_exports_and_their_findings(in_review):
    loop = in_review
    target = loop.folder / "out"
    target.write_text("a file is in the way", "utf-8")
    loop.presenter.export.write_files(str(target))
    loop.settle()
    loop.told()
    loop.presenter.export.check(ExportChoices(folder=str(loop.folder / "dicom")))
    loop.settle()
    assert loop.presenter.state.export.findings
    loop.assert_translated()


def heard(event):
    """The event as it comes over the line."""
    return decode_line(encode_line(Line("job", 0, event))).message


NOTICES = [
    Text("Round {index} continues after step {step}.", index=1, step=5),
    Text("{device}: {reason}", device="CPU", reason=Text("a trial step ran on it")),
]
ENDINGS = [
    failure_of(TrainingError(Text("The loss is not a number."), Text("Lower the rate."))),
    failure_of(VolumeError(Text("'{path}' {found}.", path="/v.nrrd", found=Text("is cut off")))),
    failure_of(MemoryError()),
    failure_of(PermissionError(13, "Permission denied", "/p/file")),
    WorkerCrashed(-9, *exit_code_in_words(-9)),
    WorkerCrashed(1, *exit_code_in_words(1)),
]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda one: type(one).__name__)
def test_what_a_worker_tells_and_how_it_ends(opened, ending):
    loop = opened
    loop.presenter.close_message()
    loop.presenter.train.start()
    loop.settle()
    worker = loop.workers[-1]
    worker._events += [heard(Notice(NoticeLevel.WARNING, one)) for one in NOTICES]
    worker._events.append(heard(Progress(Text("Round {index}: training", index=0), 1, 10, 90.0)))
    loop.settle()
    assert loop.presenter.state.train.stage
    worker.is_alive = False
    worker._events.append(heard(ending))
    loop.settle()
    assert loop.presenter.state.message.light is Light.RED
    loop.assert_translated(KNOWN + r"|\bSIGKILL\b|\bCPU\b|MemoryError")


@pytest.mark.parametrize(
    "take",
    [
        lambda probe: probe.cannot_start(FileNotFoundError(2, "?")),
        lambda probe: probe.end_step("system", 1, 9.0),
        lambda probe: probe.take({"version": "3.8.1"}),
        lambda probe: (
            probe.take({"version": "3.12.1"}),
            probe.take({"package": "numpy", "version": "1.0", "error": ""}),
            probe.take({"package": "torch", "version": None, "error": ""}),
        ),
        lambda probe: (
            probe.take({"version": "3.12.1", "device_kind": "cpu", "device": "CPU"}),
            probe.take({"refusals": []}),
        ),
    ],
)
def test_what_this_computer_lacks(opened, take):
    probe = ProbeFindings("/bin/python")
    take(probe)
    report = probe.report(is_complete=True)
    opened.presenter.readiness.found(replace(report, missing=(), broken=()))
    opened.settle()
    opened.assert_translated(KNOWN + r"|\bPython\b|PyTorch|numpy|CPU|SimpleITK|scipy|pillow|pydicom"
                             r"|highdicom|jinja2|torch|safetensors|monai|\bGB\b")  # fmt: skip


def test_in_german_a_refusal_and_a_question_are_german_with_their_values(loop):
    words = {
        (context.findtext("name"), one.findtext("source")): one.findtext("translation")
        for context in ET.parse(GERMAN).getroot().iter("context")
        for one in context.iter("message")
    }
    use_translator(
        lambda file: f"{Path(file).parent.name}.{Path(file).stem}",
        lambda context, text: words.get((context, text), text),
    )
    loop.presenter.project.open(str(loop.folder / "weg"))
    loop.settle()
    folder = loop.folder / "weg"
    assert loop.told() == f"Den Ordner „{folder}“ gibt es nicht. Prüfen Sie den Pfad."
    loop.presenter.project.open(str(loop.root))
    loop.settle()
    image = loop.volume("neu.nrrd")
    label = loop.labels("neu.seg.nrrd", replace(GRID, origin_mm=(2.0, 0.0, 0.0)))
    loop.presenter.cases.add_volumes(
        (NewCase("neu", CaseRole.ANNOTATED, str(image), None, str(label)),)
    )
    loop.settle()
    (asked,) = loop.presenter.state.cases.questions
    assert asked.text.startswith("neu: Die Segmentierung „neu.seg.nrrd“ hat entlang jeder Achse")
    assert "(Bild: 8 x 8 x 4 Voxel von 1 x 1 x 4 mm um (" in asked.text
    assert asked.text.endswith("24 markierte Voxel würden verschoben.")
    assert [shown for _value, shown, _effect in asked.choices] == [
        "Voxel für Voxel verwenden",
        "Weglassen",
    ]
    message = loop.presenter.state.message
    assert message.text == "Es gibt eine Frage zu den Dateien von „neu“."
    assert message.remedy == "Wählen Sie die Antwort unter der Tabelle der Fälle."


def test_the_service_dies(opened):
    opened.presenter.cases.check()
    opened.services[-1].kill()
    opened.settle()
    opened.told()
    opened.assert_translated()

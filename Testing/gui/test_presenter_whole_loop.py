"""The presenter with the real service and the real worker: from phantoms to an export."""

import sys
import time
from pathlib import Path

import pytest
from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter import Presenter

from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.process.service_process import ServiceProcess
from PseudoLabelCLLib.process.worker_process import WorkerProcess

PYTHON = Path(sys.executable)
LIMIT_S = 600.0  # two trainings, on a machine that is busy with other tests
# The smallest training that is one.
TINY = {
    "network.widths": "[4, 4, 4, 4, 4, 4]",
    "network.embedding_size": "4",
    "preprocess.window_size": "[32, 32]",
    "preprocess.in_plane_spacing_mm": "4.0",
    "training.supervised.num_steps": "2",
    "training.supervised.batch_size": "2",
    "training.joint.num_steps": "2",
    "training.joint.batch_size": "2",
    "pseudo_label.num_augmented_copies": "2",
}


class Scene:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has_image(self, _case_id: str) -> bool:
        return False

    def temporary_folder(self) -> Path:
        return self._folder


class Loop:
    """A presenter with real processes, and a clock that gives up."""

    def __init__(self, folder: Path) -> None:
        self.services: list[ServiceProcess] = []
        self.workers: list[WorkerProcess] = []
        self.slowest_s = 0.0
        self.presenter = Presenter(self._start_service, self._start_worker, scene=Scene(folder))

    def _start_service(self) -> ServiceProcess:
        self.services.append(ServiceProcess.start(PYTHON))
        return self.services[-1]

    def _start_worker(self, job, folder: Path) -> WorkerProcess:
        worker = WorkerProcess.start(
            job, folder, python=PYTHON, environment={"OMP_NUM_THREADS": "1"}
        )
        self.workers.append(worker)
        return worker

    @property
    def state(self):
        return self.presenter.state

    def until(self, condition, *, may_fail: bool = False) -> None:
        end = time.monotonic() + LIMIT_S
        while not condition(self.state):
            assert time.monotonic() < end, self.state.message
            start = time.process_time()
            self.presenter.tick()
            self.slowest_s = max(self.slowest_s, time.process_time() - start)
            message = self.state.message
            assert may_fail or message.light is not Light.RED, message
            time.sleep(0.01)

    def rest(self) -> None:
        self.presenter.shut_down()
        for worker in self.workers:
            worker.close(30.0)


@pytest.fixture
def loop(tmp_path):
    one = Loop(tmp_path)
    yield one
    one.rest()


def idle(state) -> bool:
    return state.cases.add.enabled and not state.train.is_running


@pytest.mark.slow
@pytest.mark.long
def test_a_person_trains_reviews_loses_the_service_and_exports(loop, tmp_path):  # noqa: PLR0915 - one day of one person
    presenter = loop.presenter
    presenter.project.make_sample(str(tmp_path / "samples"))
    loop.until(lambda state: idle(state) and len(state.cases.rows) > 1)
    root = loop.state.project.root
    for name, value in TINY.items():
        presenter.train.change_setting(name, value)
        loop.until(lambda state, name=name, value=value: state.train.settings[name] == value)
        loop.until(idle)

    presenter.train.start(2)
    loop.until(lambda state: state.message.text == "Round 1 is done.")
    assert loop.state.train.train.text == "Train round 2"
    assert [row.index for row in loop.state.rounds.rows] == [0, 1]
    queue = loop.state.review.queue
    assert queue

    shown = []

    def show(files):
        shown.append(files)
        presenter.review.case_is_on_screen(files)

    presenter.listeners.on_case_files = show
    presenter.message_step()
    loop.until(lambda state: state.review.case_id == queue[0].case_id)
    assert Path(shown[0].image).is_file()
    assert Path(shown[0].proposal).is_file()
    presenter.review.accept()
    loop.until(lambda state: state.review.queue[0].verdict == "accepted")

    loop.services[-1].kill()
    loop.until(lambda state: len(loop.services) == 2 and idle(state))
    assert loop.state.review.queue[0].verdict == "accepted"

    presenter.export.write_files(str(tmp_path / "out"), SegmentationFormat.NIFTI)
    loop.until(lambda state: bool(state.export.results))
    assert list((tmp_path / "out").glob("*.nii.gz"))

    loop.until(lambda state: bool(state.use.model))  # it was read by itself
    row = next(row for row in loop.state.cases.rows if row.case_id == queue[0].case_id)
    image = row.tool_tip.splitlines()[0]
    presenter.use.apply((image,), str(tmp_path / "applied"))
    loop.until(lambda state: state.message.text == "The volumes are segmented.")
    assert len(list((tmp_path / "applied").iterdir())) == 1

    presenter.train.start()
    loop.until(lambda state: state.train.stage.startswith("Round 2"))
    presenter.project.close()
    presenter.project.open(root)
    loop.until(lambda state: state.train.train.enabled)
    assert loop.state.train.train.text in ("Continue round 2", "Train round 3")
    # of the processor: the machine may be busy with other things
    assert loop.slowest_s < 0.05

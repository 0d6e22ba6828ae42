"""A presenter with a pretended service, worker, scene and clock."""

from presenter_fakes import ROOT, Clock, Disk, FakeService, FakeWorker, Scene
from PseudoLabelCLGui.presenter import Presenter


class Stage:
    """A presenter, and all that is around it.

    Args:
        disk: The pretended project.
        by_hand: Whether services handle requests only when told.
    """

    def __init__(self, disk: Disk, *, by_hand: bool = False) -> None:
        self.disk, self.by_hand = disk, by_hand
        self.services: list[FakeService] = []
        self.workers: list[FakeWorker] = []
        self.clock, self.scene = Clock(), Scene()
        self.heard: list[tuple] = []
        self.start_error: Exception | None = None
        self.service_error: Exception | None = None
        self.presenter = Presenter(
            self._start_service, self._start_worker, scene=self.scene, clock=self.clock
        )
        self.reads_files = True
        for name in vars(self.presenter.listeners):
            setattr(self.presenter.listeners, name, self._listener(name))

    def _listener(self, name: str):
        def hear(*args) -> None:
            self.heard.append((name, *args))
            if name == "on_case_files" and self.reads_files:
                self.presenter.review.case_is_on_screen(*args)

        return hear

    def _start_service(self) -> FakeService:
        if self.service_error is not None:
            raise self.service_error
        self.services.append(FakeService(self.disk, by_hand=self.by_hand))
        return self.services[-1]

    def _start_worker(self, job, folder) -> FakeWorker:
        if self.start_error is not None:
            raise self.start_error
        self.workers.append(FakeWorker(job, folder, self.disk))
        return self.workers[-1]

    @property
    def service(self) -> FakeService:
        return self.services[-1]

    @property
    def worker(self) -> FakeWorker:
        return self.workers[-1]

    @property
    def state(self):
        return self.presenter.state

    def settle(self) -> None:
        """Tick until nothing changes any more."""
        for _ in range(50):
            before = len(self.heard)
            if not self.presenter.tick() and len(self.heard) == before:
                return
        raise AssertionError("the presenter never comes to rest")

    def names_heard(self) -> list[str]:
        return [heard[0] for heard in self.heard]

    def answer(self, text: str) -> None:
        """Press the answer with this text."""
        texts = [one.text for one in self.state.message.answers]
        self.presenter.answer(texts.index(text))
        self.settle()

    def train_round(self, dice: float | None = None) -> None:
        """Let the worker that was started do its round."""
        self.worker.begin()
        self.settle()
        self.worker.finish(dice)
        self.settle()


def opened(disk: Disk) -> Stage:
    stage = Stage(disk)
    stage.presenter.project.open(ROOT)
    stage.settle()
    return stage

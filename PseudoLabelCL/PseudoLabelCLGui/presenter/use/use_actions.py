"""Using the model: segmenting volumes one after the other, model files."""

from pathlib import Path

from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.facts.training_facts import Ending, Work, WorkKind
from PseudoLabelCLGui.presenter.faults import (
    fault_of_crash,
    fault_of_failure,
    fault_of_start,
)
from PseudoLabelCLGui.presenter.reasons import (
    newest_model,
    no_apply,
    no_project,
)
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.doubt import reason_in_patterns
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.question import GivenAnswer
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.messages.answers import ModelSummary
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    Event,
    JobCancelled,
    JobCompleted,
    JobFailed,
    Notice,
    NoticeLevel,
    TerminalEvent,
    WorkerCrashed,
)
from PseudoLabelCLLib.messages.jobs import (
    DeviceChoice,
    PredictJob,
)
from PseudoLabelCLLib.messages.requests import ReadModel, SaveModel
from PseudoLabelCLLib.process.job_files import new_job_id
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

NUM_RESULTS = 500
# The files that a worker tells of: of a whole file, or of one volume of several but the first.
_RESULT = "segmentation"
_RESULT_OF_FRAME = "frame segmentation"


class UseActions:
    """The actions of step "use".

    Args:
        core: What all parts share.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    # --- model files

    def load_model(self, file: str) -> None:
        """Take a model file for segmenting volumes."""
        core = self._core

        def read(answer: ModelSummary) -> None:
            core.facts.use.model, core.facts.use.is_chosen = answer, True

        core.begin("use")
        core.ask(ReadModel(file), read)

    def load_newest_model(self) -> None:
        """Take the model of the newest round, and from then on that of every newer one."""
        core = self._core
        core.begin("use")
        if newest_model(core.facts.view) is None:
            core.refuse(_("No round of this project has been trained yet."), topic="use")
            return
        core.facts.use.is_chosen, core.facts.use.followed = False, ""
        self._read_newest(is_quiet=False)

    def follow_project(self) -> None:
        """Read the newest model of the project by itself, unless a person chose a file."""
        if not self._core.facts.use.is_chosen and not self._core.facts.predicts:
            self._read_newest(is_quiet=True)

    def _read_newest(self, *, is_quiet: bool) -> None:
        core, use = self._core, self._core.facts.use
        newest = newest_model(core.facts.view)
        file = (newest.model if newest else None) or ""
        if not file:
            use.model, use.followed = None, ""
            return
        stamp = f"{file} {newest.finished if newest else ''}"
        if stamp == use.followed:
            return
        use.followed = stamp

        def read(answer: ModelSummary) -> None:
            if use.followed == stamp and not use.is_chosen:
                use.model = answer

        def failed() -> None:
            if use.followed == stamp and is_quiet:
                use.model = None  # pressing the button says why

        core.ask(ReadModel(file), read, failed=failed, is_quiet=is_quiet)

    def save_model(self, file: str) -> None:
        """Save the newest model as one file."""
        core = self._core
        newest = newest_model(core.facts.view)
        if not core.may(no_project, topic="use"):
            return
        if newest is None:
            core.refuse(_("No round of this project has been trained yet."), topic="use")
        else:
            core.ask(SaveModel(newest.index, file), self._model_saved)

    def _model_saved(self, answer: ModelSummary) -> None:
        self._add_result(_("Model saved: {file}").format(file=answer.file))

    # --- segmenting

    def apply(
        self,
        images: tuple[str, ...],
        output_folder: str,
        format: SegmentationFormat = SegmentationFormat.SEG_NRRD,  # noqa: A002 - as in the job
        series_uids: tuple[str | None, ...] = (),
        further_images: tuple[tuple[NamedImage, ...], ...] = (),
    ) -> None:
        """Segment volumes: files or folders of DICOM slices; `on_segmented` tells of each.

        Args:
            images: The volumes; of a model of several channels, the first one of each patient.
            output_folder: Where the segmentations go; empty for a passing folder.
            format: Kind of file.
            series_uids: Which DICOM series, one for each volume, or none at all.
            further_images: The other images of each patient, or none at all.
        """
        core = self._core
        if not core.may(no_apply, topic="use"):
            return
        if not images:
            core.refuse(_("Choose at least one volume."), topic="use")
        else:
            use = core.facts.use
            volumes = tuple(zip(images, series_uids or (None,) * len(images), strict=True))
            use.queue, use.batch = list(dict.fromkeys(volumes)), []
            use.further = dict(zip(volumes, further_images, strict=False))
            use.one_by_one, use.asked, use.answers = False, (), ()
            use.output_folder = output_folder or str(core.scene.temporary_folder() / "segmented")
            use.format = format
            self._next()

    def cancel(self) -> None:
        """Stop after the volume that is being segmented."""
        core = self._core
        if core.facts.work is not None and core.facts.predicts:
            core.facts.use.queue.clear()
            core.facts.use.asked = ()
            core.facts.work.ending = Ending.STOP
            core.worker.request_cancel()
            core.is_dirty = True

    def go_on(self) -> None:
        """Segment the volumes that are left."""
        if self._core.may(no_apply, topic="use"):
            self._next()

    def answer_question(self, number: int, value: str) -> None:
        """Answer a question about the volumes; `state.use.questions` has them.

        Which volume of a file is meant is asked once for files that hold as many.
        """
        use = self._core.facts.use
        if number >= len(use.asked) or not self._core.may(no_apply, topic="use"):
            return
        asked = use.asked[number]
        is_frames = asked.kind is QuestionKind.FRAMES
        same = tuple(
            one
            for one in use.asked
            if one is asked
            or (is_frames and one.kind is asked.kind and one.choices == asked.choices)
        )
        given = (GivenAnswer(one.kind, value, one.case_id) for one in same)
        use.answers = (*use.answers, *given)
        use.asked = tuple(one for one in use.asked if one not in same)
        self._core.is_dirty = True
        if not use.asked:
            use.one_by_one = True
            self._next()

    def _next(self) -> None:
        facts, use = self._core.facts, self._core.facts.use
        if not use.queue or use.model is None:
            return
        use.batch = use.queue[:1] if use.one_by_one else list(use.queue)
        use.queue = use.queue[len(use.batch) :]
        images, series_uids = zip(*use.batch, strict=True)
        job = PredictJob(
            use.model.file,
            images,
            use.output_folder,
            facts.device,
            use.format,
            series_uids=series_uids if any(series_uids) else (),
            answers=use.answers,
            further_images=tuple(use.further[volume] for volume in use.batch)
            if use.further
            else (),
            processes=facts.processes,
        )
        try:
            self._core.worker.start(job, self._job_folder(job))
        except (PseudoLabelCLError, OSError) as error:
            use.queue, use.batch = [*use.batch, *use.queue], []
            self._core.tell_fault(fault_of_start(error), topic="use", go_on=self.go_on)
            return
        facts.monitor.begin()
        facts.work = Work(WorkKind.PREDICT, "", 0)

    def _job_folder(self, job: PredictJob) -> Path:
        view = self._core.facts.view
        if view is not None and not self._core.facts.is_away:
            return ProjectLayout(Path(view.root)).job_folder(new_job_id(job))
        return self._core.scene.temporary_folder() / new_job_id(job)

    # --- what the worker says

    def hear(self, event: Event) -> None:
        """Deal with an event of a worker that segments volumes."""
        core = self._core
        core.facts.monitor.hear(event)
        if isinstance(event, Notice) and event.level is NoticeLevel.WARNING:
            self._add_result(translated(event.text))
        elif isinstance(event, Artifact) and event.kind in (_RESULT, _RESULT_OF_FRAME):
            self._segmented(event.path, is_shown=event.kind == _RESULT)
        elif isinstance(event, TerminalEvent):
            core.facts.work = None
            core.facts.monitor.begin()
            self._ended(event)

    def _segmented(self, path: str, *, is_shown: bool) -> None:
        """Tell of a result; Slicer shows the first volume of a file, so no other's result."""
        use = self._core.facts.use
        if use.batch:
            use.current, _series_uid = use.batch.pop(0)  # they come in the order of the job
        if use.current:
            use.num_segmented += 1
            line = _("{volume}: {file}")
            self._add_result(line.format(volume=Path(use.current).name, file=Path(path).name))
        if use.current and is_shown:
            self._core.listeners.on_segmented(use.current, path)

    def _ended(self, event: TerminalEvent) -> None:
        core, use = self._core, self._core.facts.use
        if isinstance(event, JobCompleted):
            self._add_reasons(event)
            use.batch = []
            if use.queue:
                self._next()
            else:
                core.tell(Light.GREEN, _("The volumes are segmented."), topic="use")
        elif isinstance(event, JobCancelled):
            use.queue, use.batch = [], []
            text = _("Segmenting was stopped; finished volumes are kept.")
            core.tell(Light.AMBER, text, topic="use")
        else:
            self._failed(event)

    def _failed(self, event: JobFailed | WorkerCrashed) -> None:
        core, use = self._core, self._core.facts.use
        if isinstance(event, JobFailed) and event.questions:
            use.queue, use.batch = [*use.batch, *use.queue], []
            use.asked = event.questions
            text = _("There is a question about '{volume}'.")
            remedy = _("Choose the answer below the list of volumes.")
            name = event.questions[0].case_id
            core.tell(Light.AMBER, text.format(volume=name), remedy, topic="use")
            return
        is_unfit = isinstance(event, JobFailed) and event.error_type == "VolumeError"
        if is_unfit and len(use.batch) > 1:
            # which one is unfit shows when each has a worker of its own
            use.one_by_one, use.queue, use.batch = True, [*use.batch, *use.queue], []
            self._next()
            return
        if is_unfit and use.batch:
            name = Path(use.batch.pop()[0]).name
            self._add_result(
                _("Error: {volume}: {why}").format(volume=name, why=translated(event.message))
            )
            if use.queue:
                self._next()
            else:
                core.tell(
                    Light.RED, translated(event.message), translated(event.remedy), topic="use"
                )
            return
        use.queue, use.batch = [*use.batch, *use.queue], []
        is_on_cpu = core.facts.device is DeviceChoice.CPU
        if isinstance(event, JobFailed):
            fault = fault_of_failure(event, is_on_cpu=is_on_cpu)
        else:
            fault = fault_of_crash(event, is_on_cpu=is_on_cpu)
        core.tell_fault(fault, topic="use", go_on=self.go_on)

    def _add_reasons(self, event: JobCompleted) -> None:
        """Add where to look, for the volumes that the model was unsure about."""
        told = event.result.get("segmentations")
        for one in told if isinstance(told, list) else ():
            if isinstance(one, dict) and one.get("reason"):
                name = Path(str(one.get("image"))).name
                self._add_result(f"{name}: {translated(reason_in_patterns(str(one['reason'])))}")

    def _add_result(self, line: str) -> None:
        use = self._core.facts.use
        use.results = [*use.results, line][-NUM_RESULTS:]

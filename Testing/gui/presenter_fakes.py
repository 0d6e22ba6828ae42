"""A small service, worker and project on a pretended disk, for tests of the presenter."""

from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.review import ProposalIdentity, Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.messages.answers import (
    CaseFiles,
    CasesChecked,
    CorrectionPreview,
    DicomExportChecked,
    DicomExported,
    DicomExportResult,
    DicomFinding,
    Done,
    Exported,
    ExportedFile,
    FoundVolume,
    History,
    ModelSummary,
    SampleVolume,
    SampleVolumes,
    VolumesAdded,
    VolumesFound,
)
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    JobCancelled,
    JobCompleted,
    JobStarted,
    Metrics,
)
from PseudoLabelCLLib.messages.jobs import PredictJob, PretrainJob, TrainJob
from PseudoLabelCLLib.messages.project_view import (
    CaseState,
    CaseView,
    PlanView,
    ProjectView,
    RoundFigures,
    RoundView,
)
from PseudoLabelCLLib.messages.requests import (
    Accept,
    AddVolumes,
    ChangeLabels,
    ChangeSettings,
    CheckCases,
    CheckDicomExport,
    ChooseSlices,
    CloseProject,
    Correct,
    CreateProject,
    Export,
    ExportDicom,
    FindVolumes,
    GoBack,
    MakeSampleData,
    OpenProject,
    PreviewCorrection,
    ReadHistory,
    ReadModel,
    Reject,
    RemoveCases,
    SaveModel,
    SavePretrainedModel,
    SetRole,
    ShowCase,
    StartFrom,
    TakeBackVerdict,
)
from PseudoLabelCLLib.messages.service_messages import Answered, Refused, ServiceEnded

LABELS = LabelSchema((LabelClass(1, "liver", "#e69f00"),))
GRID = Geometry((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
ROOT = "/p"


@dataclass
class Disk:
    """What lies in the project folder, whoever reads it."""

    roles: dict[str, CaseRole] = field(default_factory=dict)
    drawn: dict[str, int | None] = field(default_factory=dict, kw_only=True)
    rounds: list[RoundState] = field(default_factory=list)
    verdicts: dict[tuple[int, str], Verdict] = field(default_factory=dict)
    dice: list[float | None] = field(default_factory=list)
    is_pretrained: bool = False
    pretraining: str = "none"
    start: str = ""
    num_joint_rounds: int | None = None
    exists: bool = True
    labels: LabelSchema = LABELS
    from_dicom: set[str] = field(default_factory=set)
    findings: dict[str, tuple[DicomFinding, ...]] = field(default_factory=dict)
    generation: int = 0
    times: dict[int, tuple[str, str]] = field(default_factory=dict)
    seen: str = ""
    there: set[str] = field(default_factory=set)
    doubts: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def with_cases(num_unlabelled: int = 3, rounds: tuple[RoundState, ...] = ()) -> "Disk":
        roles = {"a": CaseRole.ANNOTATED}
        roles |= {f"u{n}": CaseRole.UNLABELLED for n in range(num_unlabelled)}
        return Disk(roles, list(rounds), dice=[None] * len(rounds))

    @property
    def is_interrupted(self) -> bool:
        begun = (RoundState.TRAINING, RoundState.PSEUDO_LABELLING)
        return bool(self.rounds) and self.rounds[-1] in begun

    @property
    def in_review(self) -> bool:
        return bool(self.rounds) and self.rounds[-1] is RoundState.IN_REVIEW

    @property
    def is_proposing(self) -> bool:
        return bool(self.rounds) and self.rounds[-1] is RoundState.PSEUDO_LABELLING

    def unlabelled(self) -> list[str]:
        return [c for c, role in self.roles.items() if role is CaseRole.UNLABELLED]

    def proposals(self) -> list[str]:
        """Those of the newest round that has any, by doubt."""
        found = [c for c in self.unlabelled() if not self.is_proposing or c in self.there]
        return sorted(found, key=lambda case_id: -self.doubt_of(case_id))

    def doubt_of(self, case_id: str) -> float:
        return self.doubts.get(case_id, 1 / (list(self.roles).index(case_id) + 1))

    @property
    def proposed_by(self) -> int | None:
        """The newest round that has made all its proposals."""
        done = (RoundState.IN_REVIEW, RoundState.CLOSED)
        found = [index for index, state in enumerate(self.rounds) if state in done]
        return found[-1] if found else None

    def proposed_for(self, case_id: str) -> int | None:
        """The newest round that has a proposal for a case."""
        if self.is_proposing and case_id in self.there:
            return len(self.rounds) - 1
        return self.proposed_by

    def identity(self, case_id: str, index: int | None) -> ProposalIdentity | None:
        if index is None or case_id not in self.unlabelled():
            return None
        return ProposalIdentity(case_id, index, f"{case_id}-{index}-{self.generation}")

    def view(self) -> ProjectView:
        num_human = sum(role is CaseRole.ANNOTATED for role in self.roles.values())
        index = len(self.rounds) - self.is_interrupted
        config = config_for(Profile.QUICK)
        if self.num_joint_rounds is not None:
            training = replace(config.training, num_joint_rounds=self.num_joint_rounds)
            config = replace(config, training=training)
        method = Pretraining(self.pretraining)
        config = replace(config, pretraining=replace(config.pretraining, method=method))
        return ProjectView(
            root=ROOT,
            name="Livers",
            labels=self.labels,
            config=config,
            cases=tuple(self._case(n, c, role) for n, (c, role) in enumerate(self.roles.items())),
            rounds=tuple(
                RoundView(
                    n, s, 1, 2, 0, *self.times.get(n, ("", "")), f"/r{n}.html", f"/m{n}.plcl"
                )
                for n, s in enumerate(self.rounds)
            ),
            plan=PlanView(
                index, f"Round {index} will learn.", num_human, 0, 0, num_human > 0,
                self.is_interrupted, self.seen, is_estimated="computer" in self.seen,
            ),
            review_order=tuple(self.proposals()) if self.in_review or self.is_proposing else (),
            labels_are_settled=bool(self.rounds),
            is_pretrained=self.is_pretrained,
            free_disk_bytes=10**11,
            start=Text("Round 0 starts from {file}.", file=self.start) if self.start else NO_TEXT,
            so_far=Text(
                "{count} of {total} proposals are there.",
                count=len(self.there), total=len(self.unlabelled()),
            ) if self.is_proposing else NO_TEXT,
        )  # fmt: skip

    def _case(self, number: int, case_id: str, role: CaseRole) -> CaseView:
        is_there = self.in_review or (self.is_proposing and case_id in self.there)
        is_proposed = role is CaseRole.UNLABELLED and is_there
        verdict = self.verdicts.get((len(self.rounds) - 1, case_id)) if is_proposed else None
        judged = [(i, v) for (i, c), v in sorted(self.verdicts.items()) if c == case_id]
        last_round, last = judged[-1] if judged else (None, None)
        state = CaseState.ANNOTATED if role is CaseRole.ANNOTATED else CaseState.WAITING
        drawn = self.drawn.get(case_id)
        annotation = f"{case_id}.seg.nrrd" if role.needs_annotation else None
        case = Case(
            case_id,
            role,
            f"/v/{case_id}.nrrd",
            GRID,
            annotation,
            drawn_slices=None if drawn is None else tuple(range(drawn)),
        )
        return CaseView(
            case, case.image, image_is_missing=False, annotation=None, num_slices=4,
            state=CaseState.PROPOSED if is_proposed else state,
            doubt=self.doubt_of(case_id) if is_proposed else None,
            reason="The edges are unsure." if is_proposed else "", verdict=verdict,
            is_confirmed=role is CaseRole.ANNOTATED
            or verdict in (Verdict.ACCEPTED, Verdict.CORRECTED),
            is_from_dicom=case_id in self.from_dicom,
            proposal=self.identity(case_id, self.proposed_for(case_id)),
            last_verdict=last, last_verdict_round=last_round,
        )  # fmt: skip


class ServiceError(Exception):
    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class FakeService:
    """Handles requests like the service does: in order, refusing what the disk does not allow."""

    def __init__(self, disk: Disk, *, by_hand: bool = False) -> None:
        self.disk = disk
        self.by_hand = by_hand
        self.waiting: deque = deque()
        self.asked: list = []
        self.events: list = []
        self.refusals: list[tuple[type, str, str]] = []
        self.is_open = False
        self.has_ended = False
        self.closed_after_s: float | None = None

    def ask(self, request) -> int:
        self.asked.append(request)
        self.waiting.append((len(self.asked) - 1, request))
        return len(self.asked) - 1

    def poll(self) -> list:
        if not self.by_hand:
            self.handle(len(self.waiting))
        events, self.events = self.events, []
        return events

    def close(self, patience_s: float = 5.0) -> None:
        self.closed_after_s = patience_s
        self.handle(len(self.waiting))
        self.has_ended = True

    def handle(self, number: int = 1) -> None:
        for _ in range(min(number, len(self.waiting))):
            if self.has_ended:
                return
            to, request = self.waiting.popleft()
            try:
                self.events.append(Answered(to, self._answer(request)))
            except ServiceError as error:
                self.events.append(Refused(to, error.error_type, str(error), "Do this."))

    def crash(self) -> None:
        self.has_ended = True
        self.waiting.clear()
        self.events.append(ServiceEnded("The helper crashed.", "Open again.", ""))

    def refuse(self, kind: type, error_type: str, message: str = "It did not work.") -> None:
        self.refusals.append((kind, error_type, message))

    def requests(self, kind: type) -> list:
        return [request for request in self.asked if isinstance(request, kind)]

    def _answer(self, request):
        for refusal in self.refusals:
            if isinstance(request, refusal[0]):
                self.refusals.remove(refusal)
                raise ServiceError(*refusal[1:])
        if isinstance(request, OpenProject | CreateProject):
            return self._open()
        outside = {
            ReadModel: lambda: ModelSummary(request.file, "f", LABELS, "Trained on 3 volumes."),
            MakeSampleData: lambda: SampleVolumes(
                (SampleVolume("s1", CaseRole.ANNOTATED, "/s1", "/s1.seg"),), LABELS
            ),
        }
        if type(request) in outside:
            return outside[type(request)]()
        if not self.is_open:
            raise ServiceError("ProjectError", "No project is open.")
        if not self.disk.exists:
            raise ServiceError("StorageError", "The folder is gone.")
        return self._in_project(request)

    def _open(self) -> ProjectView:
        if not self.disk.exists:
            raise ServiceError("ProjectError", "There is no project.")
        self.is_open = True
        return self.disk.view()

    def _in_project(self, request):
        answers = {
            CloseProject: self._close,
            FindVolumes: self._find,
            AddVolumes: self._add,
            CheckCases: lambda _request: CasesChecked(()),
            ReadHistory: self._history,
            ShowCase: self._files,
            PreviewCorrection: self._preview,
            Export: lambda _: Exported((ExportedFile("a", "/out/a.seg.nrrd", "a person"),)),
            SaveModel: lambda request: ModelSummary(request.file, "f", LABELS, "Trained."),
            SavePretrainedModel: lambda _: Done(),
            CheckDicomExport: lambda request: DicomExportChecked(self._found(request.choices)),
            ExportDicom: self._export_dicom,
        }
        if type(request) in answers:
            return answers[type(request)](request)
        self._change(request)
        return self.disk.view()

    def _found(self, choices) -> tuple[DicomFinding, ...]:
        """What stops a case stays until it is accepted or found elsewhere."""
        (case_id,) = choices.case_ids
        mended = choices.accept_losses or choices.look_in or choices.volume_kind
        own = () if mended else self.disk.findings.get(case_id, ())
        return (*self.disk.findings.get("", ()), *own)

    def _export_dicom(self, request) -> DicomExported:
        (case_id,) = request.choices.case_ids
        notices = tuple(one.message for one in self._found(request.choices) if not one.stops)
        file = f"{request.output_folder}/{case_id}.dcm"
        volume = (f"{request.output_folder}/{case_id}.volume/1.dcm",)
        line = DicomExportResult(
            case_id, "accepted", file, notices=notices,
            volume_files=volume if request.choices.volume_kind else (),
        )  # fmt: skip
        return DicomExported((line,))

    def _close(self, _request) -> Done:
        self.is_open = False
        return Done()

    def _find(self, request) -> VolumesFound:
        return VolumesFound((FoundVolume("found", request.path, None, "4x4x4"),), ())

    def _add(self, request) -> VolumesAdded:
        self.disk.roles |= {v.case_id: v.role for v in request.volumes}
        return VolumesAdded(self.disk.view(), ())

    def _history(self, _request) -> History:
        figures = enumerate(self.disk.dice)
        return History(tuple(RoundFigures(n, dice, None, 0, 0.2) for n, dice in figures))

    def _files(self, request: ShowCase) -> CaseFiles:
        disk = self.disk
        index = request.round_index
        if index is None:
            index = disk.proposed_for(request.case_id)
        verdict = disk.verdicts.get((index, request.case_id))
        reviewed = "/corrected.npy" if verdict is Verdict.CORRECTED else None
        return CaseFiles(
            request.case_id, index, GRID, "/i.npy", "/p.npy", reviewed, None, None, None, 2, (1, 2),
            identity=disk.identity(request.case_id, index),
        )  # fmt: skip

    def _preview(self, request: PreviewCorrection) -> CorrectionPreview:
        self._require_newest(request.proposal)
        return CorrectionPreview(request.proposal, (1, 2), 5, 1240, "/near.npy")

    def _require_newest(self, proposal: ProposalIdentity) -> None:
        newest = self.disk.proposed_for(proposal.case_id)
        if proposal != self.disk.identity(proposal.case_id, newest):
            raise ServiceError("ReviewError", f"'{proposal.case_id}' has a newer proposal.")

    def _change(self, request) -> None:
        changes = {
            SetRole: lambda r: self.disk.roles.update(dict.fromkeys(r.case_ids, r.role)),
            ChooseSlices: lambda r: self.disk.drawn.update(
                dict.fromkeys(r.case_ids, 2 if r.only_drawn else None)
            ),
            RemoveCases: self._remove,
            ChangeSettings: self._set,
            StartFrom: lambda r: setattr(self.disk, "start", Path(r.model).name),
            ChangeLabels: lambda r: setattr(self.disk, "labels", r.labels),
            GoBack: self._go_back,
            Accept: lambda r: self._judge(r.proposals, Verdict.ACCEPTED),
            Reject: lambda r: self._judge(r.proposals, Verdict.REJECTED),
            Correct: lambda r: self._judge((r.proposal,), Verdict.CORRECTED),
            TakeBackVerdict: self._take_back,
        }
        if type(request) in changes:
            changes[type(request)](request)

    def _remove(self, request) -> None:
        for case_id in request.case_ids:
            self.disk.roles.pop(case_id, None)

    def _set(self, request) -> None:
        self.disk.pretraining = request.values.get("pretraining.method", self.disk.pretraining)

    def _go_back(self, request) -> None:
        disk = self.disk
        disk.generation += 1
        del disk.rounds[request.round_index + 1 :]
        del disk.dice[request.round_index + 1 :]
        if disk.rounds:
            disk.rounds[-1] = RoundState.IN_REVIEW

    def _take_back(self, request) -> None:
        self._require_newest(request.proposal)
        key = (len(self.disk.rounds) - 1, request.proposal.case_id)
        self.disk.verdicts.pop(key, None)

    def _judge(self, proposals, verdict: Verdict) -> None:
        if not self.disk.in_review and not self.disk.is_proposing:
            raise ServiceError("ReviewError", "No round is in review.")
        for one in proposals:
            self._require_newest(one)
        index = len(self.disk.rounds) - 1
        self.disk.verdicts |= {(index, one.case_id): verdict for one in proposals}


class FakeWorker:
    """Does a job when told to, and leaves on the disk what the worker leaves."""

    def __init__(self, job, folder: Path, disk: Disk) -> None:
        self.job, self.folder, self.disk = job, folder, disk
        self.events: list = [JobStarted(2, "train")]
        self.is_cancel_asked = False
        self.is_alive = True
        self.is_closed = False

    def poll_events(self) -> list:
        events, self.events = self.events, []
        return events

    def request_cancel(self) -> None:
        self.is_cancel_asked = True

    def close(self, patience_s: float = 5.0) -> None:
        assert patience_s == 0.0, "closing a worker must not wait"
        assert not self.is_alive, "closing kills a worker that still saves"
        self.is_closed = True

    def begin(self) -> None:
        """The first step: a training closes the review before it and opens its round."""
        if isinstance(self.job, TrainJob):
            if self.disk.in_review:
                self.disk.rounds[-1] = RoundState.CLOSED
            if not self.disk.is_interrupted:
                self.disk.rounds.append(RoundState.TRAINING)
                self.disk.dice.append(None)
        self.events.append(Progress("Round: training", 1, 10, 90.0))

    def propose(self, *case_ids: str) -> None:
        """Make some proposals of the round, once it is trained."""
        if not self.disk.is_proposing:
            self.disk.rounds[-1] = RoundState.PSEUDO_LABELLING
            self.disk.there.clear()
        for case_id in case_ids:
            self.disk.there.add(case_id)
            self.events.append(Artifact("proposal", f"{case_id}.seg.nrrd"))
            done, total = len(self.disk.there), len(self.disk.unlabelled())
            self.events.append(Progress("Round: pseudo-labels", done, total, 9.0))

    def step(self, number: int, loss: float) -> None:
        self.events.append(Metrics("Round: training", number, {"segmentation": loss}))

    def finish(self, dice: float | None = None) -> None:
        self.is_alive = False
        if isinstance(self.job, TrainJob):
            self.disk.rounds[-1] = RoundState.IN_REVIEW
            self.disk.dice[-1] = dice
        elif isinstance(self.job, PretrainJob):
            self.disk.is_pretrained = True
        elif isinstance(self.job, PredictJob):
            for image in self.job.images:
                self.segment(image)
        self.events.append(JobCompleted({}))

    def segment(self, image: str) -> None:
        self.events.append(Artifact("segmentation", f"{self.job.output_folder}/{image}.seg.nrrd"))

    def stop(self) -> None:
        self.is_alive = False
        self.events.append(JobCancelled(resumable=True))

    def end_with(self, event) -> None:
        self.is_alive = False
        self.events.append(event)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    def __init__(self) -> None:
        self.images: set[str] = set()

    def has_image(self, case_id: str) -> bool:
        return case_id in self.images

    def temporary_folder(self) -> Path:
        return Path("/tmp-of-scene")

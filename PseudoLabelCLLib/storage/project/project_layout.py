"""Where every file of a project lies; the only place that joins these paths.

A project may come from a stranger. No path that is given here leads out of the project's folder,
by dots or by a link; only images may lie elsewhere, and those are only read.
"""

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from PseudoLabelCLLib.domain.errors import ProjectDamagedError
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.links import is_link
from PseudoLabelCLLib.storage.files.network_paths import choose_server, require_chosen_server
from PseudoLabelCLLib.storage.files.own_seals import state_folder

SEGMENTATION_SUFFIX = SegmentationFormat.SEG_NRRD.suffix
TRUTH_MASK_SUFFIX = ".truth.nrrd"
_ROUND_NAME = re.compile(r"round_(\d{2,})")


@dataclass(frozen=True)
class ProjectLayout:
    """The paths of a project; each is looked at before it is given, so that none is a link.

    Every path of the project raises ProjectDamagedError where a part of it below the root is a
    link. That a folder is not one is remembered as long as the layout lives.

    Args:
        root: The project folder; it may be reached over links itself.
    """

    root: Path
    _no_links: set[tuple[str, ...]] = field(
        default_factory=set, init=False, repr=False, compare=False
    )

    def checked(self, path: Path) -> Path:
        """Return a path in the project, once no part of it below the root is a link.

        Raises:
            ProjectDamagedError: It is one, or the path lies elsewhere.
        """
        try:
            names = path.relative_to(self.root).parts
        except ValueError:
            names = (os.pardir,)
        if os.pardir in names:
            raise self._outside(str(path))
        for number in range(1, len(names) + 1):
            if names[:number] not in self._no_links:
                part = self.root.joinpath(*names[:number])
                self._refuse_link(part, names[:number], is_folder=number < len(names))
        return path

    def own(self, text: str) -> Path:
        """Return the file of the project that a stored text means.

        Raises:
            ProjectDamagedError: It lies outside the project, or a part of its path is a link.
        """
        if is_outside(text):
            raise self._outside(text)
        return self.checked(self.root / os.path.normpath(text))

    def _outside(self, text: str) -> ProjectDamagedError:
        return ProjectDamagedError(
            Text(
                "The project '{root}' names {text!r} as a file of its own, which lies outside.",
                root=self.root,
                text=text,
            ),
            Text("Restore the project from a backup, or get it again from where it came."),
        )

    def _shown(self, *names: str) -> Path:
        if os.access(self.root, os.W_OK) or not self.root.exists():
            return self._at("view", *names)
        # on a disk that cannot be written to: in a folder of the user's own
        key = hashlib.sha256(os.fsencode(self.root.resolve())).hexdigest()[:16]
        folder = state_folder() / "views"
        with contextlib.suppress(OSError):  # who writes there says so
            folder.mkdir(parents=True, exist_ok=True)
        return folder.joinpath(key, *names)

    def _at(self, *names: str) -> Path:
        path = self.root.joinpath(*names)
        if names[:-1] not in self._no_links or not _is_plain(names[-1]):
            return self.checked(path)
        self._refuse_link(path, names, is_folder=False)  # quickly, for one of many in a folder
        return path

    def _refuse_link(self, path: Path, names: tuple[str, ...], *, is_folder: bool) -> None:
        if is_link(path):
            raise ProjectDamagedError(
                Text(
                    "'{file}' in the project '{root}' is a link; a project holds no links.",
                    file="/".join(names),
                    root=self.root,
                ),
                Text(
                    "Put the file or folder itself in its place, or get the project again "
                    "from where it came."
                ),
            )
        if is_folder and path.is_dir():
            self._no_links.add(names)

    @property
    def project_file(self) -> Path:
        """Name, label schema, settings and cases."""
        return self._at("project.json")

    @property
    def lock(self) -> Path:
        """Held by the one user interface that has the project open."""
        # The file keeps its older name, which other versions of the program look for.
        return self._at("desk.lock")

    @property
    def worker_lock(self) -> Path:
        """Held by the one worker that trains."""
        return self._at("worker.lock")

    @property
    def review_lock(self) -> Path:
        """Held for moments: by whoever saves a verdict, by a training that closes the review."""
        return self._at("review.lock")

    @property
    def rounds(self) -> Path:
        """Folder of all rounds."""
        return self._at("rounds")

    @property
    def reviews(self) -> Path:
        """Folder of all verdicts."""
        return self._at("reviews")

    @property
    def exports(self) -> Path:
        """Folder of what goes out."""
        return self._at("exports")

    @property
    def jobs(self) -> Path:
        """Folder of the worker's jobs."""
        return self._at("jobs")

    @property
    def set_aside(self) -> Path:
        """Folder of what was taken out of the project; nothing in it counts or is deleted."""
        return self._at("set_aside")

    @property
    def view(self) -> Path:
        """Folder of what a user interface shows cases from; can be made again at any time.

        Where the project cannot be written to, it is one of the user's own.
        """
        return self._shown()

    def annotation(self, case_id: str) -> Path:
        """Return where a person's segmentation of a case lies."""
        return self._at("annotations", f"{case_id}.seg.nrrd")

    def volume_copy(self, case_id: str) -> Path:
        """Return where the project's own copy of an image lies, if it was asked for."""
        return self._at("volumes", f"{case_id}.nrrd")

    def channel_copy(self, case_id: str, channel: str) -> Path:
        """Return where the project's own copy of a further image lies, if it was asked for."""
        return self._at("volumes", channel, f"{case_id}.nrrd")

    def dicom_series(self, case_id: str) -> Path:
        """Return where the instances of the DICOM series of a case are remembered."""
        return self._at("dicom", f"{case_id}.json")

    @property
    def preprocess_plan(self) -> Path:
        """Pixel size and window of the network, settled before round 0."""
        return self._at("preprocessed", "plan.json")

    @property
    def settled_device(self) -> Path:
        """The precision in which the newest round was begun."""
        return self._at("preprocessed", "device.json")

    def preprocessed(self, case_id: str) -> Path:
        """Return the folder with the slices of a case for the network."""
        return self._at("preprocessed", case_id)

    @property
    def pretraining_record(self) -> Path:
        """What pre-training did: method, settings, volumes, losses."""
        return self._at("pretraining", "pretraining.json")

    @property
    def starting_model(self) -> Path:
        """The model of another project that round 0 starts from."""
        return self._at("start.plcl")

    @property
    def pretrained_weights(self) -> Path:
        """The weights that round 0 takes over."""
        return self._at("pretraining", "weights.pt")

    @property
    def pretrained_model(self) -> Path:
        """The same as a model file that other projects can start from."""
        return self._at("pretraining", "start.plcl")

    @property
    def pretraining_checkpoint(self) -> Path:
        """Where an interrupted pre-training can be resumed from."""
        return self._at("pretraining", "checkpoint.pt")

    def round_folder(self, index: int) -> Path:
        """Return the folder of a round."""
        return self._at("rounds", round_name(index))

    def round_file(self, index: int) -> Path:
        """Return where the state of a round lies."""
        return self._at("rounds", round_name(index), "round.json")

    def checkpoint(self, index: int) -> Path:
        """Return where a round's training can be resumed from."""
        return self._at("rounds", round_name(index), "checkpoint.pt")

    def moments(self, index: int) -> Path:
        """Return where the optimiser's moments at a round's selected weights lie, if kept."""
        return self._at("rounds", round_name(index), "moments.pt")

    def learning_curve(self, index: int) -> Path:
        """Return where the losses and scores of a round lie, one JSON object per line."""
        return self._at("rounds", round_name(index), "learning_curve.jsonl")

    def model(self, index: int) -> Path:
        """Return where the trained model of a round lies."""
        return self._at("rounds", round_name(index), "model.plcl")

    def evaluation(self, index: int) -> Path:
        """Return where the quality figures of a round lie."""
        return self._at("rounds", round_name(index), "evaluation.json")

    def report(self, index: int) -> Path:
        """Return where the report of a round lies."""
        return self._at("rounds", round_name(index), "report.html")

    def proposal(self, index: int, case_id: str) -> Path:
        """Return where the pseudo-label of a case lies."""
        return self._at("rounds", round_name(index), "proposals", f"{case_id}.seg.nrrd")

    def doubt(self, index: int, case_id: str) -> Path:
        """Return where the doubt score of a pseudo-label lies."""
        return self._at("rounds", round_name(index), "proposals", f"{case_id}.json")

    def uncertainty(self, index: int, case_id: str) -> Path:
        """Return where the voxel-wise uncertainty of a pseudo-label lies."""
        return self._at("rounds", round_name(index), "uncertainty", f"{case_id}.nrrd")

    def review_folder(self, index: int) -> Path:
        """Return the folder with the verdicts on a round's proposals."""
        return self._at("reviews", round_name(index))

    def review_history(self, index: int, *names: str) -> Path:
        """Return the folder of replaced verdicts on a round's proposals, or what lies in it."""
        return self._at("reviews", round_name(index), "history", *names)

    def shown_case(self, case_id: str, *names: str) -> Path:
        """Return the folder with the arrays from which a case is shown, or what lies in it."""
        return self._shown(case_id, *names)

    @property
    def agreements(self) -> Path:
        """How well corrections agree with proposals; can be made again at any time."""
        return self._shown("agreement.json")

    def review(self, index: int, case_id: str) -> Path:
        """Return where the verdict on a pseudo-label lies."""
        return self._at("reviews", round_name(index), f"{case_id}.json")

    def reviewed_segmentation(self, index: int, case_id: str) -> Path:
        """Return where the accepted or corrected segmentation lies."""
        return self._at("reviews", round_name(index), f"{case_id}{SEGMENTATION_SUFFIX}")

    def truth_mask(self, index: int, case_id: str) -> Path:
        """Return where the voxels lie that alone count of a corrected segmentation."""
        return self._at("reviews", round_name(index), f"{case_id}{TRUTH_MASK_SUFFIX}")

    def job_folder(self, job_id: str) -> Path:
        """Return the folder of a job."""
        return self._at("jobs", job_id)

    def relative(self, path: Path) -> str:
        """Return a path as the project stores it: seen from its folder, with forward slashes.

        A path on another drive stays absolute. Links among the parent folders are followed, so
        that the text means the same however the project was reached.
        """
        absolute = path.absolute()
        absolute = absolute.parent.resolve() / absolute.name
        try:
            return Path(os.path.relpath(absolute, self.root.resolve())).as_posix()
        except ValueError:  # Windows: another drive
            return absolute.as_posix()

    def choose(self, image: Path) -> Path:
        """Return the image that a person chose; from now on its server may be looked at."""
        text = self.relative(image)
        choose_server(text)
        return self.resolve(text)

    def resolve(self, text: str) -> Path:
        """Return the image that a stored text means, which may lie anywhere and is only read.

        The reverse of `relative`; for any other file there is `own`.

        Raises:
            UnknownServerError: It lies on a server of Windows that nobody here chose.
        """
        require_chosen_server(self.root, text)
        return Path(os.path.normpath(self.root.resolve() / text))


def _is_plain(name: str) -> bool:
    return name not in ("", os.curdir, os.pardir) and not any(c in name for c in "/\\:\0")


def is_outside(text: str) -> bool:
    """Return whether a stored path leaves the project, or is not a path."""
    if not text or "\0" in text:
        return True
    path = Path(os.path.normpath(text))
    return path.is_absolute() or bool(path.drive or path.root) or os.pardir in path.parts


def round_name(index: int) -> str:
    """Return the folder name of a round."""
    return f"round_{index:02d}"


def round_index(folder_name: str) -> int | None:
    """Return the index of the round that a folder belongs to, or None for any other folder."""
    match = _ROUND_NAME.fullmatch(folder_name)
    return int(match.group(1)) if match else None

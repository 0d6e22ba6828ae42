"""Where every file of a project lies; the only place that joins these paths."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

SEGMENTATION_SUFFIX = ".seg.nrrd"
TRUTH_MASK_SUFFIX = ".truth.nrrd"
_ROUND_NAME = re.compile(r"round_(\d{2,})")


@dataclass(frozen=True)
class ProjectLayout:
    """The paths of a project; nothing here touches the disk except to follow links.

    Args:
        root: The project folder.
    """

    root: Path

    @property
    def project_file(self) -> Path:
        """Name, label schema, settings and cases."""
        return self.root / "project.json"

    @property
    def desk_lock(self) -> Path:
        """Held by the one user interface that has the project open."""
        return self.root / "desk.lock"

    @property
    def worker_lock(self) -> Path:
        """Held by the one worker that trains."""
        return self.root / "worker.lock"

    @property
    def rounds(self) -> Path:
        """Folder of all rounds."""
        return self.root / "rounds"

    @property
    def reviews(self) -> Path:
        """Folder of all verdicts."""
        return self.root / "reviews"

    @property
    def exports(self) -> Path:
        """Folder of what goes out."""
        return self.root / "exports"

    @property
    def jobs(self) -> Path:
        """Folder of the worker's jobs."""
        return self.root / "jobs"

    @property
    def set_aside(self) -> Path:
        """Folder of what was taken out of the project; nothing in it counts or is deleted."""
        return self.root / "set_aside"

    @property
    def view(self) -> Path:
        """Folder of what a user interface shows cases from; can be made again at any time."""
        return self.root / "view"

    def annotation(self, case_id: str) -> Path:
        """Return where a person's segmentation of a case lies."""
        return self.root / "annotations" / f"{case_id}.seg.nrrd"

    def volume_copy(self, case_id: str) -> Path:
        """Return where the project's own copy of an image lies, if it was asked for."""
        return self.root / "volumes" / f"{case_id}.nrrd"

    def dicom_series(self, case_id: str) -> Path:
        """Return where the instances of the DICOM series of a case are remembered."""
        return self.root / "dicom" / f"{case_id}.json"

    @property
    def preprocess_plan(self) -> Path:
        """Pixel size and window of the network, settled before round 0."""
        return self.root / "preprocessed" / "plan.json"

    @property
    def settled_device(self) -> Path:
        """The precision in which the newest round was begun."""
        return self.root / "preprocessed" / "device.json"

    def preprocessed(self, case_id: str) -> Path:
        """Return the folder with the slices of a case for the network."""
        return self.root / "preprocessed" / case_id

    @property
    def pretraining_record(self) -> Path:
        """What pre-training did: method, settings, volumes, losses."""
        return self.root / "pretraining" / "pretraining.json"

    @property
    def pretrained_weights(self) -> Path:
        """The weights that round 0 takes over."""
        return self.root / "pretraining" / "weights.pt"

    @property
    def pretraining_checkpoint(self) -> Path:
        """Where an interrupted pre-training can be resumed from."""
        return self.root / "pretraining" / "checkpoint.pt"

    def round_folder(self, index: int) -> Path:
        """Return the folder of a round."""
        return self.rounds / round_name(index)

    def round_file(self, index: int) -> Path:
        """Return where the state of a round lies."""
        return self.round_folder(index) / "round.json"

    def checkpoint(self, index: int) -> Path:
        """Return where a round's training can be resumed from."""
        return self.round_folder(index) / "checkpoint.pt"

    def moments(self, index: int) -> Path:
        """Return where the optimiser's moments at a round's selected weights lie, if kept."""
        return self.round_folder(index) / "moments.pt"

    def learning_curve(self, index: int) -> Path:
        """Return where the losses and scores of a round lie, one JSON object per line."""
        return self.round_folder(index) / "learning_curve.jsonl"

    def model(self, index: int) -> Path:
        """Return where the trained model of a round lies."""
        return self.round_folder(index) / "model.plcl"

    def evaluation(self, index: int) -> Path:
        """Return where the quality figures of a round lie."""
        return self.round_folder(index) / "evaluation.json"

    def report(self, index: int) -> Path:
        """Return where the report of a round lies."""
        return self.round_folder(index) / "report.html"

    def proposal(self, index: int, case_id: str) -> Path:
        """Return where the pseudo-label of a case lies."""
        return self.round_folder(index) / "proposals" / f"{case_id}.seg.nrrd"

    def doubt(self, index: int, case_id: str) -> Path:
        """Return where the doubt score of a pseudo-label lies."""
        return self.round_folder(index) / "proposals" / f"{case_id}.json"

    def uncertainty(self, index: int, case_id: str) -> Path:
        """Return where the voxel-wise uncertainty of a pseudo-label lies."""
        return self.round_folder(index) / "uncertainty" / f"{case_id}.nrrd"

    def review_folder(self, index: int) -> Path:
        """Return the folder with the verdicts on a round's proposals."""
        return self.reviews / round_name(index)

    def review(self, index: int, case_id: str) -> Path:
        """Return where the verdict on a pseudo-label lies."""
        return self.review_folder(index) / f"{case_id}.json"

    def reviewed_segmentation(self, index: int, case_id: str) -> Path:
        """Return where the accepted or corrected segmentation lies."""
        return self.review_folder(index) / f"{case_id}{SEGMENTATION_SUFFIX}"

    def truth_mask(self, index: int, case_id: str) -> Path:
        """Return where the voxels lie that alone count of a corrected segmentation."""
        return self.review_folder(index) / f"{case_id}{TRUTH_MASK_SUFFIX}"

    def job_folder(self, job_id: str) -> Path:
        """Return the folder of a job."""
        return self.jobs / job_id

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

    def resolve(self, text: str) -> Path:
        """Return the path that a stored text means; the reverse of `relative`."""
        return Path(os.path.normpath(self.root.resolve() / text))


def round_name(index: int) -> str:
    """Return the folder name of a round."""
    return f"round_{index:02d}"


def round_index(folder_name: str) -> int | None:
    """Return the index of the round that a folder belongs to, or None for any other folder."""
    match = _ROUND_NAME.fullmatch(folder_name)
    return int(match.group(1)) if match else None

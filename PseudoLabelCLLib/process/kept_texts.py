"""What stays in the folder of a job names no place of this computer: a project may be handed on."""

import contextlib
import json
import logging
import sys
from pathlib import Path

from PseudoLabelCLLib.domain.errors import StorageError
from PseudoLabelCLLib.messages.jobs import EvaluateJob, Job, PredictJob
from PseudoLabelCLLib.process.jobs import job_to_json
from PseudoLabelCLLib.storage.files.atomic_files import write_text

_PROGRAM = Path(__file__).resolve().parents[2]


class KeptTexts:
    """Takes the folders of this computer out of texts before they are kept.

    Args:
        job_folder: Of the job; in a project it is `jobs/<job>`.
    """

    def __init__(self, job_folder: Path) -> None:
        self._names: dict[str, str] = {}
        with contextlib.suppress(RuntimeError):  # a user without a home
            self._add(Path.home(), "~")
        self._add(Path(sys.prefix), "PYTHON")
        self._add(_PROGRAM, "PROGRAM")
        self._add(job_folder, "JOB")
        if job_folder.parent.name == "jobs":
            self._add(job_folder.parent.parent, "PROJECT")

    def learn(self, job: Job) -> None:
        """Take out the folders, too, in which lies what a job names."""
        files: list[str | None] = [getattr(job, "model", None)]
        if isinstance(job, PredictJob):
            files += [*job.images, str(Path(job.output_folder) / "any")]
        if isinstance(job, EvaluateJob):
            files += [job.output, *(file for p in job.pairs for file in (p.image, p.reference))]
        for file in files:
            if file is not None and Path(file).is_absolute():
                self._add(Path(file).parent, "FOLDER")
        if project := getattr(job, "project", None):
            self._add(Path(project), "PROJECT")

    def keep_job(self, path: Path, job: Job) -> None:
        """Write the file of a job anew, without the folders; its reader has it already."""
        with contextlib.suppress(StorageError):
            text = json.dumps(job_to_json(job), indent=2, ensure_ascii=False)
            write_text(path, self.hidden(text) + "\n")

    def hidden(self, text: str) -> str:
        """Return a text with names in place of the folders of this computer."""
        for folder in sorted(self._names, key=len, reverse=True):
            text = text.replace(folder, self._names[folder])
        return text

    def hidden_line(self, data: bytes) -> bytes:
        """Return the same of a line in JSON."""
        return self.hidden(data.decode("utf-8", "surrogateescape")).encode(
            "utf-8", "surrogateescape"
        )

    def formatter(self, line: str) -> logging.Formatter:
        """Return what writes such lines to a log, tracebacks included."""
        hidden = self.hidden

        class Formatter(logging.Formatter):
            def format(self, record: logging.LogRecord) -> str:
                return hidden(super().format(record))

        return Formatter(line)

    def _add(self, folder: Path, name: str) -> None:
        text = str(folder)
        if folder.is_absolute() and len(folder.parts) > 1:
            self._names.setdefault(text, name)
            for ascii_only in (True, False):  # as JSON has it
                self._names.setdefault(json.dumps(text, ensure_ascii=ascii_only)[1:-1], name)

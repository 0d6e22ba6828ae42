"""Takes the folders of this computer out of stored texts: a project may be passed on."""

import contextlib
import json
import logging
import sys
from pathlib import Path

from PseudoLabelCLLib.domain.errors import StorageError
from PseudoLabelCLLib.messages.jobs import EvaluateJob, Job, PredictJob
from PseudoLabelCLLib.process.job_files import job_to_json
from PseudoLabelCLLib.storage.files.atomic_files import write_text

_PROGRAM = Path(__file__).resolve().parents[2]


class PathRedactor:
    """Replaces the folders of this computer by names in texts that are stored.

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

    def add_job(self, job: Job) -> None:
        """Replace the folders of a job's files, too."""
        files: list[str | None] = [getattr(job, "model", None)]
        if isinstance(job, PredictJob):
            files += [*job.images, str(Path(job.output_folder) / "any")]
            files += [image.image for images in job.further_images for image in images]
        if isinstance(job, EvaluateJob):
            files += [job.output, *(file for p in job.pairs for file in (p.image, p.reference))]
            files += [image.image for pair in job.pairs for image in pair.further_images]
        for file in files:
            if file is not None and Path(file).is_absolute():
                self._add(Path(file).parent, "FOLDER")
        if project := getattr(job, "project", None):
            self._add(Path(project), "PROJECT")

    def rewrite_job_file(self, path: Path, job: Job) -> None:
        """Write the file of a job again, without the folders; the worker has read it already."""
        with contextlib.suppress(StorageError):
            text = json.dumps(job_to_json(job), indent=2, ensure_ascii=False)
            write_text(path, self.redact(text) + "\n")

    def redact(self, text: str) -> str:
        """Return a text with names in place of folders."""
        for folder in sorted(self._names, key=len, reverse=True):
            text = text.replace(folder, self._names[folder])
        return text

    def redact_line(self, data: bytes) -> bytes:
        """Return a line of JSON with names in place of folders."""
        return self.redact(data.decode("utf-8", "surrogateescape")).encode(
            "utf-8", "surrogateescape"
        )

    def formatter(self, line: str) -> logging.Formatter:
        """Return a formatter for a log, whose tracebacks are redacted, too."""
        redact = self.redact

        class Formatter(logging.Formatter):
            def format(self, record: logging.LogRecord) -> str:
                return redact(super().format(record))

        return Formatter(line)

    def _add(self, folder: Path, name: str) -> None:
        text = str(folder)
        if folder.is_absolute() and len(folder.parts) > 1:
            self._names.setdefault(text, name)
            for ascii_only in (True, False):  # as JSON has it
                self._names.setdefault(json.dumps(text, ensure_ascii=ascii_only)[1:-1], name)

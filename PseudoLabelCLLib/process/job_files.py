"""Jobs on disk: what the program asks for and the worker reads."""

import secrets
import time
import typing
from pathlib import Path

from PseudoLabelCLLib.domain.errors import ProjectDamagedError, ProjectNewerError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.jobs import Job
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json, to_json
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, read_json, write_json

JOB_SCHEMA_VERSION = 1
JOB_FILE_NAME = "job.json"

_JOB_TYPES: dict[str, type[Job]] = {type_.kind: type_ for type_ in typing.get_args(Job)}


def new_job_id(job: Job) -> str:
    """Return a fresh name for a job's folder; names sort by time, then are random."""
    moment = time.strftime("%Y%m%d-%H%M%S")
    return f"{moment}-{job.kind}-{secrets.token_hex(3)}"


def write_job(folder: Path, job: Job) -> Path:
    """Write a job into its folder and return the file.

    The name of the folder is the job's id.

    Raises:
        StorageError: The disk refuses.
    """
    make_folder(folder)
    path = folder / JOB_FILE_NAME
    write_json(path, job_to_json(job))
    return path


def read_job(path: Path) -> Job:
    """Read a job.

    Raises:
        StorageError: The file is missing or cannot be read.
        ProjectDamagedError: It holds no job.
        ProjectNewerError: A newer program wrote it.
    """
    return job_from_json(read_json(path), path.name)


def job_to_json(job: Job) -> dict[str, JsonValue]:
    """Return a job as a JSON object with its schema version and kind."""
    body = to_json(job)
    assert isinstance(body, dict)  # a dataclass becomes an object
    return {"schema_version": JOB_SCHEMA_VERSION, "kind": job.kind, **body}


def job_from_json(value: JsonValue, where: str) -> Job:
    """Return the job in a JSON object; the reverse of `job_to_json`.

    Raises:
        ProjectDamagedError: It is no job.
        ProjectNewerError: A newer program wrote it.
    """
    if not isinstance(value, dict):
        raise ProjectDamagedError(
            Text("{where} holds no job: expected a JSON object.", where=where)
        )
    content = dict(value)
    version = from_json(int, content.pop("schema_version", None), f"{where}, schema_version")
    if version > JOB_SCHEMA_VERSION:
        raise ProjectNewerError(
            Text(
                "{where} was written by a newer version of the program (schema {version}, "
                "this one knows {known}).",
                where=where,
                version=version,
                known=JOB_SCHEMA_VERSION,
            ),
            Text("Update this program."),
        )
    kind = from_json(str, content.pop("kind", None), f"{where}, kind")
    if kind not in _JOB_TYPES:
        known = ", ".join(_JOB_TYPES)
        raise ProjectDamagedError(
            Text(
                "{where} asks for a job of kind '{kind}'; known are {kinds}.",
                where=where,
                kind=kind,
                kinds=known,
            )
        )
    return from_json(_JOB_TYPES[kind], content, where)

"""The errors that a user can see: each says what was found and what to do next."""

from PseudoLabelCLLib.domain.text import NO_TEXT, Text


class PseudoLabelCLError(Exception):
    """Something a person can fix.

    Args:
        message: What happened, with what was found and what was expected, in one or two sentences.
        remedy: What to do next, in one sentence; empty if the message already says so.
    """

    def __init__(self, message: Text, remedy: Text = NO_TEXT) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class ProjectError(PseudoLabelCLError):
    """A project folder cannot be used as asked."""


class ProjectGoneError(ProjectError):
    """The folder of the open project is no longer there, or another one is in its place."""


class ProjectDamagedError(ProjectError):
    """A file of the project is not what was written there."""


class ProjectNewerError(ProjectError):
    """A newer version of the program wrote this project."""


class ProjectInUseError(ProjectError):
    """Another process has the project open."""


class VolumeError(PseudoLabelCLError):
    """A volume cannot be read or cannot be used."""


class UnknownServerError(VolumeError):
    """A volume is said to lie on a server that nobody at this computer chose."""


class AnnotationError(PseudoLabelCLError):
    """A segmentation does not fit its volume or the label schema."""


class ReviewError(PseudoLabelCLError):
    """A verdict cannot be given as asked."""


class ModelFileError(PseudoLabelCLError):
    """A model file is damaged, unsafe, or does not fit."""


class DeviceError(PseudoLabelCLError):
    """No device can run the network."""


class TrainingError(PseudoLabelCLError):
    """Training cannot start or went wrong."""


class UnansweredError(TrainingError):
    """Training waits for answers that only a person can give."""


class StorageError(PseudoLabelCLError):
    """The disk refuses: full, read-only, vanished."""


class WorkerError(PseudoLabelCLError):
    """The worker process cannot be started or understood."""


class ProcessLostError(WorkerError):
    """One of several processes of a job has ended before the others."""


class PackageError(PseudoLabelCLError):
    """A Python package that is needed is missing or broken."""

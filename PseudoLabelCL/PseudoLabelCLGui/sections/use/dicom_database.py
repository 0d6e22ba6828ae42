"""Slicer's DICOM database, which takes files in without holding up the window."""

from collections.abc import Callable
from typing import Any

import ctk
import slicer

from PseudoLabelCLGui.translation import _

# Files that came in, files that were to come in.
Taken = Callable[[int, int], None]


class DicomDatabase:
    """Copies DICOM files into the database of the application; it indexes them in a thread.

    Args:
        taken: Told when all files are through.
    """

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._indexer: Any = None
        self._numAwaited = 0

    def problem(self) -> str:
        """Return why nothing can be taken in, or an empty text."""
        database = _database()
        if database is not None and database.isOpen:
            return ""
        return _("Slicer's DICOM database is not open. Open the DICOM module once to make it.")

    def add(self, files: tuple[str, ...]) -> None:
        """Take files in; those of two calls may come in together."""
        if self._indexer is None:
            self._indexer = ctk.ctkDICOMIndexer()
            self._indexer.backgroundImportEnabled = True
            self._indexer.connect("indexingComplete(int,int,int,int)", self._onComplete)
        self._numAwaited += len(files)
        self._indexer.setDatabase(_database())
        self._indexer.addListOfFiles(list(files), True)

    def cleanUp(self) -> None:
        """Release the indexer; it stops after the file that it is reading."""
        if self._indexer is not None:
            self._indexer.disconnect("indexingComplete(int,int,int,int)", self._onComplete)
            self._indexer = None

    def _onComplete(self, _patients: int, _studies: int, _series: int, numImages: int) -> None:
        numAwaited, self._numAwaited = self._numAwaited, 0
        _database().databaseChanged()  # it was changed through another connection
        self._taken(numImages, numAwaited)


def _database() -> Any:
    return getattr(slicer, "dicomDatabase", None)

"""Work that takes long and touches neither the scene nor Qt, such as writing a copied volume."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

Then = Callable[[Any], None]
Failed = Callable[[Exception], None]


@dataclass
class _Piece:
    work: Callable[[], Any]
    then: Then
    failed: Failed
    result: Any = None
    error: Exception | None = None
    finished: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            self.result = self.work()
        except Exception as error:  # noqa: BLE001 - reported on the GUI thread by `failed`
            self.error = error
        finally:
            self.finished.set()


class BackgroundWork:
    """Does pieces of work in threads, one thread each, and reports on the GUI thread.

    Args:
        guard: Calls a function and tells what goes wrong in it.
    """

    def __init__(self, guard: Callable[[Callable[[], None]], None]) -> None:
        self._guard = guard
        self._pieces: list[_Piece] = []

    @property
    def isBusy(self) -> bool:
        """Whether something is still being done."""
        return bool(self._pieces)

    def do(self, work: Callable[[], Any], then: Then, failed: Failed | None = None) -> None:
        """Do something that touches neither scene nor Qt, then call `then` with its result.

        Args:
            work: What is done in a thread.
            then: Told the result on the GUI thread.
            failed: Told an error there; by default it is raised.
        """
        piece = _Piece(work, then, failed or _raise)
        self._pieces.append(piece)
        threading.Thread(target=piece.run, daemon=True).start()

    def tick(self) -> None:
        """Report what has finished, in the order in which it was begun."""
        while self._pieces and self._pieces[0].finished.is_set():
            piece = self._pieces.pop(0)
            self._guard(partial(_report, piece))

    def wait(self) -> None:
        """Wait until all is written; only for leaving, so that no file is cut in half."""
        for piece in self._pieces:
            piece.finished.wait()
        self._pieces = []


def _report(piece: _Piece) -> None:
    if piece.error is not None:
        piece.failed(piece.error)
    else:
        piece.then(piece.result)


def _raise(error: Exception) -> None:
    raise error

"""Work on many volumes, each taken by the process that is free next."""

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.process_group import ProcessGroup

if TYPE_CHECKING:  # some builds of torch have none of it
    from torch.distributed.distributed_c10d import PrefixStore

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
Heard = Callable[[int, Any], None]

_LOOK_EVERY_S = 0.1


def shared_out(
    stage: Text,
    items: Sequence[_Item],
    work: Callable[[_Item, Report], _Result],
    group: ProcessGroup,
    report: Report,
    keep: Heard | None = None,
) -> list[_Result]:
    """Do the work on every item, in each process on those that it takes; return all results.

    What the other processes tell while they work, the first one tells when the item is done.

    Args:
        stage: What is done, for the progress; of each stage there is one in a job.
        items: The same in all processes.
        work: Does one item; what it returns must be plain data.
        group: The processes.
        report: The one who listens to this process.
        keep: Called in the first process with the place of each item that is done, and its result.

    Returns:
        In the order of the items; in a process that is not the first, nothing.

    Raises:
        Cancelled: Asked to stop; each item that was begun is finished.
        PseudoLabelCLError: The work on an item failed, in whichever process.
    """
    if group.store is None:
        results = []
        for number, item in enumerate(items):
            if report.is_cancelled():
                raise Cancelled
            results.append(work(item, report))
            if keep is not None:
                keep(number, results[-1])
            report.progress(stage, number + 1, len(items))
        return results
    line = _Line(group.store, str(stage))
    hearing = _Hearing(line, stage, len(items), report, keep) if group.is_first else None
    while not line.is_stopped() and (number := line.take()) < len(items):
        line.finish(_done(number, items[number], work, report))
        if hearing is not None:
            hearing.hear()
    while hearing is not None and not hearing.is_all:
        time.sleep(_LOOK_EVERY_S)
        hearing.hear()
    return [] if hearing is None else [hearing.results[number] for number in range(len(items))]


@dataclass
class _Done:
    """An item that was done, or failed, and what was told meanwhile."""

    number: int
    result: Any = None
    error: PseudoLabelCLError | None = None
    told: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)


def _done(
    number: int, item: _Item, work: Callable[[_Item, Report], _Result], report: Report
) -> _Done:
    done = _Done(number)
    try:
        done.result = work(item, _Noting(done, report))
    except PseudoLabelCLError as error:
        done.error = error
    return done


class _Noting:
    """Notes what is told of an item, for the process that speaks."""

    def __init__(self, done: _Done, own: Report) -> None:
        self._done = done
        self._own = own

    def progress(self, stage: Text, step: int, num_steps: int) -> None:
        self._note("progress", stage, step, num_steps)

    def metrics(self, stage: str, step: int, values: Any) -> None:
        self._note("metrics", stage, step, dict(values))

    def notice(self, text: Text, *, warning: bool = False) -> None:
        self._note("notice", text, warning=warning)

    def artifact(self, kind: str, path: Path) -> None:
        self._note("artifact", kind, path)

    def is_cancelled(self) -> bool:
        return self._own.is_cancelled()

    def _note(self, method: str, *values: Any, **named: Any) -> None:
        self._done.told.append((method, values, named))


class _Line:
    """Numbers that each process draws, and what was done, in the store of the processes."""

    def __init__(self, store: "PrefixStore", name: str) -> None:
        self._store = store
        self._name = name
        self._num_heard = 0

    def take(self) -> int:
        """Return the place of an item that no other process takes."""
        taken: int = self._store.add(f"{self._name}/taken", 1)
        return taken - 1

    def finish(self, done: _Done) -> None:
        number: int = self._store.add(f"{self._name}/finished", 1)
        self._store.set(f"{self._name}/{number - 1}", pickle.dumps(done).hex())

    def heard(self) -> list[_Done]:
        """Return what was finished since the last call."""
        found = []
        while self._store.check([key := f"{self._name}/{self._num_heard}"]):
            # from another process of this job, over a connection that only these share
            found.append(pickle.loads(bytes.fromhex(self._store.get(key).decode())))
            self._num_heard += 1
        return found

    def stop(self) -> None:
        """Let no process take another item."""
        self._store.set(f"{self._name}/stopped", "1")

    def is_stopped(self) -> bool:
        stopped: bool = self._store.check([f"{self._name}/stopped"])
        return stopped


class _Hearing:
    """The first process's knowledge of what all have done."""

    def __init__(
        self, line: _Line, stage: Text, number: int, report: Report, keep: Heard | None
    ) -> None:
        self.results: dict[int, Any] = {}
        self._line = line
        self._stage = stage
        self._number = number
        self._report = report
        self._keep = keep

    @property
    def is_all(self) -> bool:
        return len(self.results) == self._number

    def hear(self) -> None:
        """Tell what was done since, and stop where asked to.

        Raises:
            Cancelled: Asked to stop.
            PseudoLabelCLError: An item failed.
        """
        for done in self._line.heard():
            for method, values, named in done.told:
                getattr(self._report, method)(*values, **named)
            if done.error is not None:
                self._line.stop()
                raise done.error
            self.results[done.number] = done.result
            if self._keep is not None:
                self._keep(done.number, done.result)
            self._report.progress(self._stage, len(self.results), self._number)
        if self._report.is_cancelled() and not self.is_all:
            self._line.stop()
            raise Cancelled

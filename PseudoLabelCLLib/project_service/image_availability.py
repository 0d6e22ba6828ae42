"""Which images are gone, asked so that a network drive that hangs holds nobody up for long."""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

# Longer than a healthy network drive takes for one file.
PATIENCE_S = 2.0
# An image that was there a moment ago is not asked for again with every verdict.
REMEMBERED_S = 60.0


class ImageAvailability:
    """Remembers which images are there, and which drive hangs.

    One thread asks each drive, so that a drive that hangs makes no other look empty.

    Args:
        exists: Tells whether a path is there; it may hang.
        patience_s: How long one path may take before its drive counts as away.
        remembered_s: How long an image that was seen counts as there.
    """

    def __init__(
        self,
        exists: Callable[[Path], bool] = Path.exists,
        patience_s: float = PATIENCE_S,
        remembered_s: float = REMEMBERED_S,
    ) -> None:
        self._exists = exists
        self._patience_s = patience_s
        self._remembered_s = remembered_s
        self._seen_s: dict[Path, float] = {}
        self._asking: dict[str, threading.Thread] = {}

    def missing(self, images: Iterable[Path]) -> frozenset[Path]:
        """Return the images that are not there, or on a drive that does not answer."""
        now_s = time.monotonic()
        to_ask = [
            image
            for image in dict.fromkeys(images)
            if now_s - self._seen_s.get(image, -self._remembered_s) >= self._remembered_s
        ]
        drives: dict[str, list[Path]] = {}
        for image in to_ask:
            drives.setdefault(_drive_of(image), []).append(image)
        answers: queue.SimpleQueue[tuple[Path, bool]] = queue.SimpleQueue()
        num_asked = sum(self._ask(name, paths, answers) for name, paths in drives.items())
        there = self._heard(answers, num_asked)
        self._seen_s.update(dict.fromkeys(there, now_s))
        return frozenset(to_ask) - there

    def forget(self) -> None:
        """Ask for every image again the next time."""
        self._seen_s.clear()

    def _ask(
        self, drive: str, images: list[Path], answers: "queue.SimpleQueue[tuple[Path, bool]]"
    ) -> int:
        """Start to ask a drive; return how many answers are to come."""
        before = self._asking.get(drive)
        if before is not None and before.is_alive():
            return 0  # it hangs since an earlier time
        asking = threading.Thread(target=self._look, args=(images, answers), daemon=True)
        self._asking[drive] = asking
        asking.start()
        return len(images)

    def _look(self, images: list[Path], answers: "queue.SimpleQueue[tuple[Path, bool]]") -> None:
        for image in images:
            answers.put((image, self._is_there(image)))

    def _is_there(self, image: Path) -> bool:
        try:
            return self._exists(image)
        except (OSError, ValueError):  # refused, or no path at all
            return False

    def _heard(
        self, answers: "queue.SimpleQueue[tuple[Path, bool]]", num_asked: int
    ) -> frozenset[Path]:
        there = set()
        for _ in range(num_asked):
            try:
                image, is_there = answers.get(timeout=self._patience_s)
            except queue.Empty:
                break
            if is_there:
                there.add(image)
        return frozenset(there)


def _drive_of(path: Path) -> str:
    """What can be away as a whole: a drive letter or share, or a folder like /mnt/scans."""
    if path.drive:
        return path.drive
    return "/".join(path.parts[:3])

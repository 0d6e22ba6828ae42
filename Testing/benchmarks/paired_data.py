"""The data sets of the paired benchmark: which volume does what in each combination."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acdc_protocol import DEVELOPMENT_TEST, LABELS, UNLABELLED_LIST
from whole_loop import HIPPOCAMPUS_TEST


@dataclass(frozen=True)
class PairedData:
    """A data set with `images/` and `labels/`.

    Args:
        pattern: Of the files' names.
        labels: As the command line takes them.
        combinations: Which volumes are annotated, by name.
        validation: They select the weights of a round.
        unlabelled: Returns their numbers for those of the files in `images/`.
        test: They are measured once nothing is chosen any more.
    """

    pattern: str
    labels: str
    combinations: dict[str, tuple[int, ...]]
    validation: tuple[int, ...]
    unlabelled: Callable[[tuple[int, ...]], tuple[int, ...]]
    test: tuple[int, ...]

    def choosing(self, folder: Path, combination: str) -> tuple[int, ...]:
        """Return the volumes with a segmentation that a run neither learns from nor ends with.

        A setting is chosen on these. Their images may be among the unlabelled ones.
        """
        known = self._numbers(folder / "labels")
        taken = {*self.combinations[combination], *self.validation, *self.test}
        return tuple(number for number in known if number not in taken)

    def image(self, folder: Path, number: int) -> Path:
        """Return where an image lies."""
        return folder / "images" / self.pattern.format(number)

    def label(self, folder: Path, number: int) -> Path:
        """Return where a segmentation lies."""
        return folder / "labels" / self.pattern.format(number)

    def without_labels(self, folder: Path, combination: str) -> tuple[int, ...]:
        """Return the volumes that are unlabelled in a combination."""
        there = self._numbers(folder / "images")
        taken = {*self.combinations[combination], *self.validation}
        return tuple(number for number in self.unlabelled(there) if number not in taken)

    def _numbers(self, folder: Path) -> tuple[int, ...]:
        start, ending = self.pattern.split("{:03d}")
        names = sorted(path.name for path in folder.glob(f"{start}*{ending}"))
        return tuple(int(name[len(start) : -len(ending)]) for name in names)


def _but(*known: int) -> Callable[[tuple[int, ...]], tuple[int, ...]]:
    return lambda numbers: tuple(n for n in numbers if n not in known)


DATA_SETS = {
    "hearts": PairedData(
        "patient{:03d}.nii.gz",
        LABELS,
        {
            "c1": (2,), "c2": (42,), "c3": (95,), "c4": (22,), "c5": (62,),
            "c1x2": (42, 62), "c2x2": (2, 42), "c3x2": (42, 95), "c4x2": (2, 22), "c5x2": (2, 95),
        },
        (11, 71),
        lambda numbers: tuple(n for n in UNLABELLED_LIST if n in numbers),
        DEVELOPMENT_TEST,
    ),
    "hippocampus": PairedData(
        "hippocampus_{:03d}.nii.gz",
        "1=anterior hippocampus,2=posterior hippocampus",
        {"343": (343,), "374": (374,), "301": (301,), "264": (264,)},
        (156, 102),
        _but(343, 374, 301, 264, 156, 102, *HIPPOCAMPUS_TEST),
        HIPPOCAMPUS_TEST,
    ),
    "left-atrium": PairedData(
        "la_{:03d}.nii.gz",
        "1=left atrium",
        {"001": (1,), "002": (2,), "003": (3,), "004": (4,), "001+002": (1, 2)},
        (79, 80),
        lambda numbers: tuple(n for n in numbers if 11 <= n <= 40),
        tuple(range(61, 71)),
    ),
}  # fmt: skip

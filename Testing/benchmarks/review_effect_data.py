"""The volumes of `review_effect.py`: which are annotated, which the clinician knows, which test."""

import csv
import random
from pathlib import Path

from acdc_protocol import COMBINATIONS, DEVELOPMENT_TEST, LABELS, UNLABELLED_LIST
from whole_loop import HIPPOCAMPUS_TEST, Dataset

ACDC_POOL = (22, 42, 62, 95, 3, 23, 43, 63, 94, 31, 72)
HIPPOCAMPUS_LABELLED = (374, 301, 264)
# Which half of the hippocampus' test volumes becomes the pool.
HALVING_SEED = 0


def acdc(extra_unlabelled: int) -> tuple[Dataset, tuple[int, ...]]:
    """One annotated volume; the pool is the labelled lists' other volumes."""
    annotated, validation = COMBINATIONS[1]["c1"]
    taken = {*annotated, *validation, *ACDC_POOL}
    others = spread([n for n in UNLABELLED_LIST if n not in taken], extra_unlabelled)
    unlabelled = (*ACDC_POOL, *others)
    pattern, test = "patient{:03d}.nii.gz", DEVELOPMENT_TEST
    return Dataset(pattern, annotated, validation, unlabelled, test, LABELS), ACDC_POOL


def hippocampus(data: Path, extra_unlabelled: int) -> tuple[Dataset, tuple[int, ...]]:
    """One annotated volume; the pool is half of the test volumes and three labelled ones."""
    lent, test = halves(HIPPOCAMPUS_TEST, HALVING_SEED)
    pool = (*HIPPOCAMPUS_LABELLED, *lent)
    images, labels = (
        {int(path.name[12:15]) for path in (data / kind).glob("*.nii.gz")}
        for kind in ("images", "labels")
    )
    unlabelled = (*pool, *spread(sorted(images - labels), extra_unlabelled))
    pattern, names = "hippocampus_{:03d}.nii.gz", "1=anterior hippocampus,2=posterior hippocampus"
    return Dataset(pattern, (343,), (156, 102), unlabelled, test, names), pool


def halves(numbers: tuple[int, ...], seed: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two halves by chance, each in ascending order."""
    shuffled = random.Random(seed).sample(numbers, len(numbers))
    middle = len(numbers) // 2
    return tuple(sorted(shuffled[:middle])), tuple(sorted(shuffled[middle:]))


def spread(numbers: list[int], count: int) -> tuple[int, ...]:
    """So many of them, evenly over the list: neighbouring numbers may share a disease."""
    if count > len(numbers):
        raise SystemExit(
            f"--extra-unlabelled is {count}; there are {len(numbers)} further volumes."
        )
    return tuple(numbers[index * len(numbers) // count] for index in range(count))


def write_case_tables(folder: Path, dataset: Dataset, data: Path) -> None:
    """Write `cases.csv` for the project and `test.csv` for what it is measured on."""
    roles = {
        "annotated": dataset.annotated,
        "validation": dataset.validation,
        "unlabelled": dataset.unlabelled,
    }
    cases = [(role, number) for role, numbers in roles.items() for number in numbers]
    _write_csv(folder / "cases.csv", cases, dataset, data)
    _write_csv(folder / "test.csv", [("ignored", n) for n in dataset.test], dataset, data)


def _write_csv(path: Path, cases: list[tuple[str, int]], dataset: Dataset, data: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "role", "image", "annotation"))
        for role, number in cases:
            label = "" if role == "unlabelled" else dataset.label(data, number)
            writer.writerow((f"{number:03d}", role, dataset.image(data, number), label))

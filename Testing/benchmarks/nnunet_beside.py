"""nnU-Net on the same annotated volumes, for the same processor time, measured the same way.

    python -m venv NNUNET; NNUNET/bin/pip install nnunetv2==2.8.1 torch==2.13.0
    python Testing/benchmarks/nnunet_beside.py --data-set hippocampus --data FOLDER --output OUT \
        --combination 343 --configuration 2d 3d_fullres --minutes 5 --nnunet NNUNET/bin/python

nnU-Net gets the annotated volumes alone (fold "all": it cannot split one case, and knows no use for
volumes without segmentation), as much processor time for training as `--minutes` says, one thread,
its own plan, augmentation and mirrored prediction. Its epochs have ten steps, so that the rate of
learning falls to its end within the time. The same call goes on with what is missing.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from own_process import print_table
from paired_data import DATA_SETS, PairedData

from PseudoLabelCLLib.command_line.settings import schema_from_arguments
from PseudoLabelCLLib.pipeline.prediction.measure_quality import measure_quality
from PseudoLabelCLLib.storage.files.atomic_files import read_json, write_json
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

DATASET = "Dataset001_Beside"  # as the child has it
CHILD = Path(__file__).with_name("nnunet_child.py")


def main() -> None:
    """Train and measure what is missing, and print the table."""
    arguments = _arguments()
    rows = []
    for combination in arguments.combination:
        for configuration in arguments.configuration:
            told = _measured(arguments, combination, configuration)
            hd95_mm = told["hd95_mm"]
            rows.append((
                combination, configuration, f"{told['dice']:.3f}",
                "-" if hd95_mm is None else f"{hd95_mm:.1f}",
                f"{told['trained_s'] / 60:.1f}", told["steps"],
                " x ".join(map(str, told["patch"])), told["batch"],
            ))  # fmt: skip
    columns = ("annotated", "nnU-Net", "Dice", "HD95 (mm)", "minutes", "steps", "patch", "batch")
    print_table(columns, rows)


def _measured(
    arguments: argparse.Namespace, combination: str, configuration: str
) -> dict[str, Any]:
    name = f"{combination}-{configuration}-{arguments.minutes:g}-{arguments.measure}"
    path = arguments.output / f"{name}.json"
    if path.exists():
        known: dict[str, Any] = read_json(path)
        return known
    data, folder = DATA_SETS[arguments.data_set], arguments.output.absolute() / name
    numbers = (
        data.test if arguments.measure == "test" else data.choosing(arguments.data, combination)
    )
    shutil.rmtree(folder, ignore_errors=True)
    _write_dataset(data, arguments.data, folder, data.combinations[combination], numbers)
    folders = {f"nnUNet_{one}": str(folder / one) for one in ("raw", "preprocessed", "results")}
    alone = {"nnUNet_compile": "false", "OMP_NUM_THREADS": "1"}
    words = ("--configuration", configuration, "--seconds", str(60 * arguments.minutes))
    with (folder / "log.txt").open("wb") as log:
        done = subprocess.run(
            [arguments.nnunet, CHILD, folder, *words], check=False,
            stdout=subprocess.PIPE, stderr=log, env={**os.environ, **folders, **alone},
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"nnU-Net ended with {done.returncode}; see {folder / 'log.txt'}.")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    told |= _quality(data, arguments.data, folder / "predicted", numbers)
    write_json(path, told)
    return told


def _write_dataset(
    data: PairedData,
    source: Path,
    folder: Path,
    annotated: tuple[int, ...],
    numbers: tuple[int, ...],
) -> None:
    """Write the annotated and the measured volumes in nnU-Net's layout."""
    raw, measured = folder / "raw" / DATASET, folder / "measured"
    for one in (raw / "imagesTr", raw / "labelsTr", measured):
        one.mkdir(parents=True)
    for number in annotated:
        _copy(data.image(source, number), raw / "imagesTr" / f"case_{number:03d}_0000.nii.gz")
        _copy(data.label(source, number), raw / "labelsTr" / f"case_{number:03d}.nii.gz")
    for number in numbers:
        _copy(data.image(source, number), measured / f"case_{number:03d}_0000.nii.gz")
    structures = {one.name: one.value for one in schema_from_arguments(data.labels, ())}
    write_json(raw / "dataset.json", {
        "channel_names": {"0": "MRI"}, "labels": {"background": 0, **structures},
        "numTraining": len(annotated), "file_ending": ".nii.gz",
    })  # fmt: skip


def _copy(source: Path, target: Path) -> None:
    sitk.WriteImage(sitk.ReadImage(source), target)


def _quality(
    data: PairedData, source: Path, predicted: Path, numbers: tuple[int, ...]
) -> dict[str, Any]:
    """Return Dice and HD95, measured as the product measures its own."""
    schema = schema_from_arguments(data.labels, ())
    dices, distances = [], []
    for number in numbers:
        reference = read_segmentation(data.label(source, number), schema)[0]
        labels = read_segmentation(predicted / f"case_{number:03d}.nii.gz", schema)[0]
        quality = measure_quality(labels, reference, schema)
        dices.append(statistics.fmean(one.dice or 0.0 for one in quality.classes))
        distances += [one.hd95_mm for one in quality.classes if one.hd95_mm is not None]
    hd95_mm = statistics.fmean(distances) if distances else None  # nothing was found
    return {"dice": statistics.fmean(dices), "hd95_mm": hd95_mm}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data-set", choices=[*DATA_SETS], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--combination", nargs="+", required=True)
    parser.add_argument("--configuration", nargs="+", default=["2d", "3d_fullres"])
    parser.add_argument("--minutes", type=float, required=True, help="of processor time")
    parser.add_argument("--measure", choices=["choosing", "test"], default="choosing")
    parser.add_argument("--nnunet", required=True, help="the Python that has nnU-Net")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""What the benchmark of DICOM segmentations runs in processes of their own."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "backend"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "proof"))
from trial_objects import bodies, write_object

NUM_SEGMENTS = 5


def make_input(folder: Path, side: int, num_slices: int) -> None:
    """Make the series, and what is drawn on it in the form that either side takes."""
    import dicom_phantoms as phantoms  # noqa: PLC0415 - not for who is measured
    import SimpleITK as sitk  # noqa: PLC0415 - as above

    geometry = phantoms.grid(size=(side, side, num_slices), spacing=(0.7, 0.7, 1.25))
    phantoms.write_series(folder / "series", geometry, modality="CT")
    labels = bodies(geometry.array_shape, NUM_SEGMENTS)
    np.save(folder / "labels.npy", labels)
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_mm)
    sitk.WriteImage(image, str(folder / "labels.nrrd"), useCompression=False)
    segments = [description(number) for number in range(1, NUM_SEGMENTS + 1)]
    told = {"ContentCreatorName": "Doe^Jane", "SeriesNumber": "9001", "InstanceNumber": "1",
            "SeriesDescription": "trial", "segmentAttributes": [segments]}  # fmt: skip
    (folder / "meta.json").write_text(json.dumps(told))


def description(number: int) -> dict[str, object]:
    """Describe a segment as dcmqi wants it."""

    def code(value: str, meaning: str) -> dict[str, str]:
        return {"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning}

    return {
        "labelID": number,
        "SegmentLabel": f"structure {number}",
        "SegmentDescription": "A trial.",
        "SegmentAlgorithmType": "AUTOMATIC",
        "SegmentAlgorithmName": "PseudoLabelCL",
        "SegmentedPropertyCategoryCodeSequence": code("123037004", "Anatomical Structure"),
        "SegmentedPropertyTypeCodeSequence": code("64033007", "Kidney"),
        "recommendedDisplayRGBValue": [86, 180, 233],
    }


def write_here(folder: Path) -> None:
    """Write the object with the program's writer; it reads back and compares."""
    warnings.filterwarnings("ignore", module="pydicom")  # it warns of what phantoms leave out
    labels = np.load(folder / "labels.npy")
    write_object(folder / "series", folder / "here", labels)


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "make":
        make_input(folder, *map(int, sys.argv[3:]))
    else:
        write_here(folder)


if __name__ == "__main__":
    main()

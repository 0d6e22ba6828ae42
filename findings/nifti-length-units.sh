#!/usr/bin/env bash
# A NIfTI file in micrometres or metres: SimpleITK converts to millimetres, nibabel does not.
#
# Versions: SimpleITK 2.5.7, nibabel 5.4.2. The header's xyzt_units is valid and says "micron" or "meter".
# Seen: SimpleITK returns a spacing of 2 mm for 2000 um and for 0.002 m; nibabel's affine and zooms stay 2000 and
# 0.002, so that MONAI, nilearn and other readers on top of it take them for millimetres. An image read by one and a label
# written by the other differ in size by a factor of 1000.
# Fails if either behaviour changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.2.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import nibabel
import numpy as np
import SimpleITK as sitk

for unit, length in (("micron", 2000.0), ("meter", 0.002)):
    image = nibabel.Nifti1Image(np.zeros((8, 9, 10), np.int16), np.diag([length] * 3 + [1.0]))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, "lengths.nii.gz")
    by_nibabel = float(nibabel.load("lengths.nii.gz").header.get_zooms()[0])
    by_simpleitk = sitk.ReadImage("lengths.nii.gz").GetSpacing()[0]
    print(f"{unit}: {by_nibabel:g} (nibabel), {by_simpleitk:g} (SimpleITK)")
    assert np.isclose(by_nibabel, length)
    assert np.isclose(by_simpleitk, 2.0)
PYTHON

#!/usr/bin/env bash
# A direction cosine smaller than 2.2e-308 (a subnormal float64) makes every position lookup of SimpleITK NaN.
#
# Version: SimpleITK 2.5.7. Such cosines are left over where a rotation matrix is worked out from quaternions or angles.
# Seen: SetDirection takes the matrix, and index to position works; position to index gives NaN for all three axes, and a
# resampling through that image gives 0 everywhere without an error. ITK only prints "suspicious return value (3) from
# SVDC". With 1e-300 in place of the subnormal number everything is right. Set such cosines to 0 before ITK sees them.
# Fails if SimpleITK finds the index, or refuses the direction.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet SimpleITK==2.5.7 numpy==2.2.6
cd "$folder"
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import math

import SimpleITK as sitk

c, s = math.cos(math.radians(1)), math.sin(math.radians(1))
for cosine, is_found in ((1e-300, True), (3.88e-310, False)):
    image = sitk.Image((2, 2, 2), sitk.sitkUInt8) + 7
    image.SetDirection((1, 0, cosine, cosine / 50, c, -s, -cosine, s, c))
    position = image.TransformContinuousIndexToPhysicalPoint((1, 1, 1))
    index = image.TransformPhysicalPointToContinuousIndex(position)
    upright = sitk.Image((2, 2, 2), sitk.sitkUInt8)
    filled = sitk.GetArrayFromImage(sitk.Resample(image, upright, sitk.Transform(), sitk.sitkNearestNeighbor))
    print(f"cosine {cosine:g}: index {index}, largest value after resampling {filled.max()}")
    assert all(map(math.isfinite, position))
    assert is_found == all(map(math.isfinite, index))
    assert is_found == bool(filled.any())
PYTHON

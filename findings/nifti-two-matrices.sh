#!/usr/bin/env bash
# One NIfTI file, two places: SimpleITK and nibabel put the same voxels 10 mm apart.
#
# Versions: SimpleITK 2.5.7, nibabel 5.4.2. Both matrices of the header are valid (qform code 1, sform code 2, 10 mm apart).
# Seen: nibabel takes the sform whenever its code is not 0; SimpleITK takes it only if its code is 1, and
# takes the qform for the codes 2 (aligned), 3 (Talairach) and 4 (MNI) without a word. A label drawn over the image in
# one program lies beside it in the other.
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

qform = np.diag([2.0, 2.0, 2.0, 1.0])
sform = qform.copy()
sform[0, 3] = 10.0
for sform_code in (1, 2, 3, 4):
    image = nibabel.Nifti1Image(np.zeros((8, 9, 10), np.int16), sform)
    image.set_qform(qform, code=1)
    image.set_sform(sform, code=sform_code)
    nibabel.save(image, "two.nii.gz")
    by_nibabel = nibabel.load("two.nii.gz").affine[0, 3]
    by_simpleitk = -sitk.ReadImage("two.nii.gz").GetOrigin()[0]  # LPS
    print(f"sform code {sform_code}: origin x {by_nibabel} mm (nibabel), {by_simpleitk} mm (SimpleITK)")
    assert by_nibabel == 10.0
    assert by_simpleitk == (10.0 if sform_code == 1 else 0.0)
PYTHON

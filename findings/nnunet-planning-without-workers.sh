#!/usr/bin/env bash
# nnU-Net makes batches in the training process with nnUNet_n_proc_DA=0, but cannot plan with the same setting.
#
# Version: nnunetv2 2.8.1, torch 2.13.0 (CPU wheel).
# Seen: with nnUNet_n_proc_DA=0 training makes its batches in its own process. Exported for the whole session, planning
# stops: "RuntimeError: set_num_threads expects a positive integer", because it hands the same number to torch as its
# number of threads. With 1 it plans; then 0 trains.
# Fails if planning works with 0.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nnunetv2==2.8.1 torch==2.13.0
export nnUNet_raw="$folder/raw" nnUNet_preprocessed="$folder/preprocessed" nnUNet_results="$folder/results"
cd "$folder"
cat > made.py <<'PYTHON'
import json
import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk

folder = Path(os.environ["nnUNet_raw"]) / "Dataset001_Ball"
for name in ("imagesTr", "labelsTr"):
    (folder / name).mkdir(parents=True)
k, j, i = np.indices((24, 32, 32))
ball = ((k - 12) ** 2 + (j - 16) ** 2 + (i - 16) ** 2 < 64).astype(np.uint8)
noise = np.random.default_rng(0).normal(size=ball.shape).astype(np.float32)
sitk.WriteImage(sitk.GetImageFromArray(ball * 3 + noise), folder / "imagesTr" / "one_0000.nii.gz")
sitk.WriteImage(sitk.GetImageFromArray(ball), folder / "labelsTr" / "one.nii.gz")
(folder / "dataset.json").write_text(json.dumps({
    "channel_names": {"0": "MRI"}, "labels": {"background": 0, "ball": 1}, "numTraining": 1, "file_ending": ".nii.gz",
}))
PYTHON
cat > plan.py <<'PYTHON'
from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments

if __name__ == "__main__":
    extract_fingerprints([1], num_processes=1)
    plan_experiments([1])
PYTHON
"$folder/venv/bin/python" made.py
if nnUNet_n_proc_DA=0 "$folder/venv/bin/python" plan.py > with-0.txt 2>&1; then echo "Planning works with 0 now."; exit 1; fi
tail -n 1 with-0.txt
grep -q "set_num_threads expects a positive integer" with-0.txt
nnUNet_n_proc_DA=1 "$folder/venv/bin/python" plan.py > with-1.txt 2>&1
ls "$nnUNet_preprocessed/Dataset001_Ball/nnUNetPlans.json" > /dev/null && echo "planned with 1"

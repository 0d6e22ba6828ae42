#!/usr/bin/env bash
# nnUNetTrainer does not take the plans file that nnU-Net itself writes: a key is missing that only its command line adds.
#
# Version: nnunetv2 2.8.1, torch 2.13.0 (CPU wheel).
# Seen: nnUNetTrainer(plans, configuration, fold, dataset_json, device) with the unchanged contents of nnUNetPlans.json stops
# with "KeyError: 'continue_training'", which is no part of a plan; nothing in its docstring says so. With
# {**plans, "continue_training": False} it is built. Scripts that make a trainer of their own meet this.
# Fails if the trainer takes the plans as they were written.
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
cat > trainer.py <<'PYTHON'
import json
import os
from pathlib import Path

import torch
from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

if __name__ == "__main__":
    extract_fingerprints([1], num_processes=1)
    plan_experiments([1])
    folder = Path(os.environ["nnUNet_preprocessed"]) / "Dataset001_Ball"
    plans = json.loads((folder / "nnUNetPlans.json").read_text())
    described = json.loads((Path(os.environ["nnUNet_raw"]) / "Dataset001_Ball" / "dataset.json").read_text())
    device = torch.device("cpu")
    try:
        nnUNetTrainer(dict(plans), "2d", "all", described, device=device)
    except KeyError as error:
        print(f"as written: KeyError {error}")
        assert error.args == ("continue_training",)
    else:
        raise SystemExit("The trainer takes the plans as they were written.")
    nnUNetTrainer({**plans, "continue_training": False}, "2d", "all", described, device=device)
    print("with continue_training added: built")
PYTHON
"$folder/venv/bin/python" made.py
nnUNet_n_proc_DA=1 "$folder/venv/bin/python" trainer.py 2>&1 | grep "continue_training"

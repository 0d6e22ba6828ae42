"""nnU-Net in an environment of its own: planned, trained for some processor time, applied.

Called by `nnunet_beside.py` with nnU-Net's Python, which knows nothing of this project, and with
nnU-Net's folders in the environment.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from nnunetv2.experiment_planning.plan_and_preprocess_api import (
    extract_fingerprints,
    plan_experiments,
    preprocess,
)
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

DATASET = "Dataset001_Beside"
STEPS_PER_EPOCH = 10


def main() -> None:
    """Run the three steps and print what they took, one JSON object in the last line."""
    asked = _arguments()
    extract_fingerprints([1], num_processes=1, check_dataset_integrity=True)
    plan_experiments([1])
    preprocess([1], configurations=(asked.configuration,), num_processes=(1,))
    # Batches are made in this process. (Planning takes a 0 for an error.)
    os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112 - its name
    began = time.process_time()
    trainer = _trained(asked)
    trained_s = time.process_time() - began
    began = time.process_time()
    _predict(trainer, asked.folder)
    plan = trainer.configuration_manager
    told = {
        "trained_s": trained_s,
        "predicted_s": time.process_time() - began,
        "steps": trainer.num_epochs * STEPS_PER_EPOCH,
        "patch": [int(side) for side in plan.patch_size],
        "batch": int(plan.batch_size),
    }
    print(json.dumps(told))


def _trained(asked: argparse.Namespace) -> Any:
    """Train as nnU-Net does, in so many epochs as the time allows, and return the trainer.

    The rate of learning falls over the epochs, so their number must be known before: two epochs of
    another network tell it, and their time counts.
    """
    began = time.process_time()
    trial = _trainer(asked, 2)
    _epoch(trial)
    warm = time.process_time()
    _epoch(trial)
    per_epoch_s = time.process_time() - warm
    num_epochs = int((asked.seconds - (time.process_time() - began)) / per_epoch_s)
    del trial
    trainer = _trainer(asked, max(1, num_epochs))
    while trainer.current_epoch < trainer.num_epochs:
        _epoch(trainer)
    trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_final.pth"))
    return trainer


def _trainer(asked: argparse.Namespace, num_epochs: int) -> Any:
    folder = asked.folder / "preprocessed" / DATASET
    plans = {**json.loads((folder / "nnUNetPlans.json").read_text()), "continue_training": False}
    described = json.loads((folder / "dataset.json").read_text())
    device = torch.device("cpu")
    trainer = nnUNetTrainer(plans, asked.configuration, "all", described, device=device)
    trainer.num_epochs, trainer.num_iterations_per_epoch = num_epochs, STEPS_PER_EPOCH
    trainer.on_train_start()
    return trainer


def _epoch(trainer: Any) -> None:
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    steps = range(STEPS_PER_EPOCH)
    trainer.on_train_epoch_end([trainer.train_step(next(trainer.dataloader_train)) for _ in steps])
    trainer.current_epoch += 1


def _predict(trainer: Any, folder: Path) -> None:
    predictor = nnUNetPredictor(
        perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(
        trainer.output_folder_base, ("all",), "checkpoint_final.pth"
    )
    (folder / "predicted").mkdir(exist_ok=True)
    predictor.predict_from_files_sequential(str(folder / "measured"), str(folder / "predicted"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--configuration", choices=["2d", "3d_fullres"], required=True)
    parser.add_argument("--seconds", type=float, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

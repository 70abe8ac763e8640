"""A small model that nnU-Net itself plans and trains on simulated cases, on a processor, in a few minutes.

    python tests/external/nnunet_model.py cases WORK           with hepar's Python: six simulated cases
    NNUNET_PYTHON tests/external/nnunet_model.py train WORK    with nnU-Net's Python: plan, preprocess, train
    -> WORK/model, a folder for `nnUNetv2_predict_from_modelfolder`

nnU-Net's plan is narrowed (8 to 64 features, a patch of 40 x 64 x 64 at 4 mm) and its trainer shortened to 12 epochs of
25 steps: enough to find a simulated liver, and nothing more. Research use only; the model is never shipped.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

CASES = 6
EPOCHS, STEPS = 12, 25
DATASET = "Dataset001_Simulated"


def make_cases(work: Path, first_seed: int = 500) -> None:
    """nnU-Net's raw data set: portal venous simulated scans, liver 1, lesion 2."""
    import nibabel
    import numpy as np

    from hepar.simulate import Lesion, SimulationSettings, simulate

    raw = work / "raw" / DATASET
    for name in ("imagesTr", "labelsTr"):
        (raw / name).mkdir(parents=True, exist_ok=True)
    lesions = (Lesion.ball("metastasis", 44.0), Lesion.ball("cyst", 28.0))
    settings = SimulationSettings.small(output="nifti", lesions=lesions)
    for number in range(CASES):
        study = simulate(work / "cases" / str(number), settings, first_seed + number)
        (image,) = study.study_dir.glob("*.nii.gz")
        shutil.copyfile(image, raw / "imagesTr" / f"case{number}_0000.nii.gz")
        truth = nibabel.load(study.label_files[0])
        labels = np.asanyarray(truth.dataobj)
        plain = np.where(labels >= 10, 2, labels == 1).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(plain, truth.affine), raw / "labelsTr" / f"case{number}.nii.gz")
    about = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "lesion": 2},
        "numTraining": CASES,
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(about))


def train(work: Path) -> None:
    """Plan, preprocess and train with nnU-Net's own code."""
    for name in ("raw", "preprocessed", "results"):
        (work / name).mkdir(exist_ok=True)
        os.environ[f"nnUNet_{name}"] = str(work / name)
    os.environ["nnUNet_n_proc_DA"] = "1"  # noqa: SIM112
    os.environ["nnUNet_compile"] = "0"  # noqa: SIM112
    import torch
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    torch.manual_seed(0)
    extract_fingerprints([1], num_processes=1)
    plan_experiments([1], overwrite_target_spacing=[4.0, 4.0, 4.0])
    plans_file = work / "preprocessed" / DATASET / "nnUNetPlans.json"
    plans = json.loads(plans_file.read_text())
    full = plans["configurations"]["3d_fullres"]
    features = [8, 16, 32, 64]
    kwargs = full["architecture"]["arch_kwargs"]
    kwargs |= {
        "n_stages": len(features),
        "features_per_stage": features,
        "kernel_sizes": [[3, 3, 3]] * len(features),
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (len(features) - 1),
        "n_conv_per_stage": [2] * len(features),
        "n_conv_per_stage_decoder": [2] * (len(features) - 1),
    }
    full |= {"patch_size": [40, 64, 64], "batch_size": 2}
    plans["configurations"] = {"3d_fullres": full}
    plans_file.write_text(json.dumps(plans))
    preprocess([1], configurations=["3d_fullres"], num_processes=[1])
    about = json.loads((work / "preprocessed" / DATASET / "dataset.json").read_text())
    # Samples are made in this process; the planner needs one worker, training may have none.
    os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112
    torch.set_num_threads(1)
    trainer = nnUNetTrainer(plans | {"continue_training": False}, "3d_fullres", "all", about, torch.device("cpu"))
    trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = EPOCHS, STEPS, 2
    trainer.run_training()
    made = Path(trainer.output_folder_base)
    shutil.copytree(made, work / "model", dirs_exist_ok=True)
    print(work / "model")


if __name__ == "__main__":
    {"cases": make_cases, "train": train}[sys.argv[1]](Path(sys.argv[2]))

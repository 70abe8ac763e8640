"""A small MONAI bundle, laid out as those of the model zoo. Run with MONAI's Python: monai_bundle.py FOLDER

Its network is a UNet of MONAI whose weights are set so that the last layer says liver where the scaled intensity lies
in a band: the transforms, the sliding window and the inversion to the scan's grid are MONAI's own. Research use only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

NETWORK = '''
import torch


class Band(torch.nn.Module):
    """Logits of background, liver and lesion by the mean intensity (0 to 1) of 3 x 3 x 3 voxels."""

    def __init__(self) -> None:
        super().__init__()
        self.middle = torch.nn.Parameter(torch.tensor([0.55, 0.85]))
        self.width = torch.nn.Parameter(torch.tensor([0.15, 0.15]))

    def forward(self, image):
        near = torch.nn.functional.avg_pool3d(image, 3, stride=1, padding=1, count_include_pad=False)
        classes = [10 * (1 - (near - m).abs() / h) for m, h in zip(self.middle, self.width)]
        return torch.cat([torch.zeros_like(near), *classes], dim=1)
'''
CONFIG = {
    "imports": ["$import glob", "$import os", "$import torch", "$import monai"],
    "bundle_root": ".",
    "dataset_dir": "/workspace/data",
    "output_dir": "$@bundle_root + '/eval'",
    "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "network_def": {"_target_": "scripts.band.Band"},
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [3.0, 3.0, 4.0], "mode": "bilinear"},
            {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": 0, "a_max": 200, "b_min": 0, "b_max": 1,
             "clip": True},
            {"_target_": "EnsureTyped", "keys": "image"},
        ],
    },
    "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
    "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [64, 64, 32], "sw_batch_size": 1, "overlap": 0.25},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
             "nearest_interp": False, "to_tensor": True},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "output_postfix": "trans"},
        ],
    },
    "evaluator": {
        "_target_": "SupervisedEvaluator", "device": "@device", "val_data_loader": "@dataloader", "network": "@network",
        "inferer": "@inferer", "postprocessing": "@postprocessing", "amp": False,
    },
    "checkpointloader": {
        "_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'",
        "load_dict": {"model": "@network"},
    },
    "run": ["$@checkpointloader(@evaluator)", "$@evaluator.run()"],
}  # fmt: skip


def main(folder: Path) -> None:
    """Write configs, models and scripts."""
    for name in ("configs", "models", "scripts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(CONFIG, indent=2))
    meta = {"version": "0.1.0", "monai_version": "1.6.1", "task": "liver by intensity", "network_data_format": {}}
    (folder / "configs" / "metadata.json").write_text(json.dumps(meta))
    (folder / "scripts" / "__init__.py").write_text("")
    (folder / "scripts" / "band.py").write_text(NETWORK)
    sys.path.insert(0, str(folder))
    import torch
    from scripts.band import Band  # type: ignore[import-not-found]

    torch.save({"model": Band().state_dict()}, folder / "models" / "model.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The same network by nnU-Net's own predictor as an engine, and by hepar's ONNX engine (OpenVINO).

    python benchmarks/nnunet_engine.py --python NNUNET_PYTHON --model MODEL_FOLDER [--threads 2] [--size small|full]

MODEL_FOLDER: a trained nnU-Net folder of one CT channel, e.g. that of tests/external/nnunet_model.py. NNUNET_PYTHON: of
an environment with nnunetv2 and onnx. The network is exported there, with nnU-Net's window, normalisation and spacing;
both outline the same simulated patient, windows half overlapping: nnU-Net as it comes (mirrored along all axes, eight
passes) and without mirroring, hepar in f32 and bf16. Processor seconds of all processes are told beside the clock's,
since those do not depend on what else runs. nnU-Net blends its windows and brings scores back to the scan's grid; hepar
takes labels from each window's middle and brings two scores back. Research use only.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

EXPORT = """
import json, os, sys, torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
model, out = sys.argv[1:]
p = nnUNetPredictor(device=torch.device('cpu'), allow_tqdm=False)
folds = ('all',) if os.path.isdir(model + '/fold_all') else None
p.initialize_from_trained_model_folder(model, folds, 'checkpoint_final.pth')
c = p.configuration_manager
net = p.network.eval(); net.load_state_dict(p.list_of_parameters[0])
if hasattr(net, 'decoder'): net.decoder.deep_supervision = False
patch = [int(n) for n in c.patch_size]
torch.onnx.export(net, torch.zeros(1, 1, *patch), out, input_names=['image'], output_names=['logits'], opset_version=17,
                  dynamo=False)
f = p.plans_manager.foreground_intensity_properties_per_channel['0']
print(json.dumps({'patch': patch, 'spacing': [float(s) for s in c.spacing], 'low': f['percentile_00_5'],
                  'high': f['percentile_99_5'], 'mean': f['mean'], 'sd': f['std'],
                  'parameters': sum(w.numel() for w in net.parameters())}))
"""


def measured(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result, seconds by the clock, processor seconds of this process and the ended ones that it started."""

    def spent() -> float:
        both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in both)

    clock, processor = time.perf_counter(), spent()
    result = work()
    return result, time.perf_counter() - clock, spent() - processor


def dice(one: Any, two: Any) -> float:
    """Twice what both have, over the sum of what each has."""
    return float(2 * np.logical_and(one, two).sum() / (one.sum() + two.sum()))


def main() -> None:
    """Export, simulate, outline twice, print."""
    from hepar.ingest import IngestSettings, read_study
    from hepar.segment import SegmentSettings
    from hepar.segment.external import External, load
    from hepar.segment.external.nifti import read_labels
    from hepar.simulate import SimulationSettings, simulate

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--seed", type=int, default=900)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        done = subprocess.run(
            [given.python, "-c", EXPORT, str(given.model.resolve()), str(work / "net.onnx")],
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stderr)
        about = json.loads(done.stdout.strip().splitlines()[-1])
        common = '[labels]\nliver = 1\nlesion = 2\n[licence]\nname = "own"\n'
        for name, words in (("mirrored", ""), ("plain", 'arguments = ["--disable_tta"]\n')):
            (work / f"{name}.toml").write_text(
                f'kind = "nnunet"\npython = "{given.python}"\nmodel = "{given.model.resolve()}"\n{words}{common}'
            )
        channel = f"{{clip = [{about['low']}, {about['high']}], mean = {about['mean']}, sd = {about['sd']}}}"
        # nnU-Net reads with SimpleITK: (z, y, x), rows to the back, columns to the left, slices up, as hepar does.
        (work / "openvino.toml").write_text(
            f'kind = "onnx"\nmodel = "net.onnx"\n{common}[onnx]\nspacing_mm = {about["spacing"]}\naxes = "SPL"\n'
            f"channels = [{channel}]\nwindow = {about['patch']}\noverlap = 0.5\n"
        )
        settings = SimulationSettings.small(output="nifti")
        if given.size == "full":
            settings = SimulationSettings(output="nifti", phases=settings.phases)
        study = simulate(work / "patient", settings, given.seed)
        (image,) = study.study_dir.glob("*.nii.gz")
        volume = read_study(image, settings=IngestSettings(), modality="CT", workspace=work).phases[0].volume
        truth = read_labels(
            study.label_files[0],
            volume.geometry,
            engine="truth",
            any_grid=False,
            convert=lambda a: (a > 0).astype("u1"),
        )
        livers, rows = [], []
        runs = (("mirrored", "f32"), ("plain", "f32"), ("openvino", "f32"), ("openvino", "bf16"))
        for name, precision in runs:
            used = SegmentSettings(threads=given.threads, precision=precision)
            engine = External(load(work / f"{name}.toml"), used, lambda licence: True)
            labels, clock, processor = measured(lambda engine=engine: engine._native(volume, lambda share: None))
            livers.append(labels > 0)
            title = f"{name} ({engine.version})" + (f" {precision}" if name == "openvino" else "")
            rows.append((title, clock, processor, dice(livers[-1], truth > 0)))
    print(f"{about['parameters']} parameters, window {about['patch']} at {about['spacing']} mm,", volume.array.shape)
    for row in rows:
        print("{:<36} {:7.1f} s {:7.1f} processor seconds, Dice with the truth {:.3f}".format(*row))
    for (title, clock, processor, _), liver in list(zip(rows, livers, strict=True))[2:]:
        against = [f"{row[1] / clock:.1f} ({row[2] / processor:.1f})" for row in rows[:2]]
        print(
            f"{title}: {against[0]} times as fast as nnU-Net mirrored, {against[1]} as without mirroring, by the clock"
            f" (processor seconds); Dice with its liver {dice(liver, livers[1]):.3f}"
        )


if __name__ == "__main__":
    main()

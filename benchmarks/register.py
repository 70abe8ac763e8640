"""How well and how fast phases are put onto the reference, beside plain SimpleITK in the same run.

    OMP_NUM_THREADS=1 python benchmarks/register.py            (a quarter of an hour, nearly all of it the peer)

A simulated patient breathes; the livers are outlined with an error like a network's. Error: distance between the true
liver surface of the moving phase and where the transform puts points of the true reference surface. Time: processor
seconds, which a busy machine does not change much. The peer: rigid, then B-spline (50 mm), Mattes mutual information
on a twentieth of the voxels, three levels, whole volume, as in SimpleITK's examples; it knows no liver.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from hepar.harmonise import HarmoniseSettings, align, liver_box, refusal, register
from hepar.record import Geometry, OrganMap, Transform, Volume
from hepar.simulate import Lesion, PhaseSettings, SimulationSettings, simulate

SEED = 1
SHIFTS_MM = (("portal_venous", (0.0, 0.0, 0.0), 0.0), ("arterial", (1.0, -2.0, 15.0), 3.0),
             ("native", (-1.5, 3.0, -13.0), 3.0), ("delayed", (2.0, -4.0, 10.0), 5.0))  # fmt: skip
OUTLINE_ERROR_MM = 2.5

Points = NDArray[np.float64]


def main() -> None:
    phases = tuple(PhaseSettings(name, shift_lps_mm=shift, bend_mm=bend) for name, shift, bend in SHIFTS_MM)
    settings = SimulationSettings(
        phases=phases, lesions=(Lesion.ball("hcc", 22.0), Lesion.ball("cyst", 12.0)), shape=(84, 192, 192),
        spacing_mm=(3.0, 2.0, 2.0), output="nifti",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        study = simulate(Path(folder) / "study", settings, SEED)
        images = [_read(file) for file in sorted(study.study_dir.iterdir())]
        truths = [_read(file)[0] > 0 for file in study.label_files]
    volumes = [Volume(array.astype(np.int16), geometry, "CT") for array, geometry in images]
    geometry = volumes[0].geometry
    organs = [_outline(truth, geometry, seed) for seed, truth in enumerate(truths)]
    surface = _surface(truths[0], geometry)
    level_mm = map_coordinates(_distance_mm(truths[0], geometry), geometry.to_index(surface).T, order=1)
    rows = []
    for n in range(1, len(volumes)):
        far = _distance_mm(truths[n], geometry)

        def error(move: Callable[[Points], Points], far: NDArray[np.float64] = far) -> float:
            index = geometry.to_index(move(surface)).T
            return float(np.abs(map_coordinates(far, index, order=1, mode="nearest") - level_mm).mean())

        start = time.process_time()
        transform, found = register(
            volumes[0], volumes[n], reference_organs=organs[0], moving_organs=organs[n], settings=HarmoniseSettings()
        )
        ours_s = time.process_time() - start
        start = time.process_time()
        box = liver_box(organs[0], geometry, 20.0)
        align("p2", volumes[n], reference=geometry, box=box, transform=transform, residual=found,
              settings=HarmoniseSettings())  # fmt: skip
        sampling_s = time.process_time() - start
        start = time.process_time()
        peer = _peer(volumes[0], volumes[n])
        peer_s = time.process_time() - start
        verdict = refusal(transform, found, HarmoniseSettings()) or "accepted"
        linear = Transform(transform.matrix)
        rows.append((ours_s, peer_s))
        print(
            f"{SHIFTS_MM[n][0]:9s} surface error mm: before {error(lambda p: p):.2f}, affine"
            f" {error(linear.map_lps_mm):.2f}, hepar {error(transform.map_lps_mm):.2f}, SimpleITK {error(peer):.2f};"
            f" processor s: hepar {ours_s:.1f} + sampling {sampling_s:.1f}, SimpleITK {peer_s:.1f}; {verdict}",
            flush=True,
        )
    ours, theirs = np.sum(rows, axis=0)
    print(f"hepar takes {ours / theirs:.2f} of SimpleITK's processor time")


def _read(file: Path) -> tuple[NDArray[np.generic], Geometry]:
    image = SimpleITK.ReadImage(str(file))
    affine = np.eye(4)
    affine[:3, :3] = (np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing())[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    array = SimpleITK.GetArrayFromImage(image)
    return array, Geometry(array.shape, affine)


def _distance_mm(mask: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.float64]:
    inner, outer = (distance_transform_edt(m, sampling=geometry.spacing_mm) for m in (mask, ~mask))
    half = min(geometry.spacing_mm) / 2
    return np.asarray(np.where(mask, half - inner, outer - half))


def _surface(mask: NDArray[np.bool_], geometry: Geometry) -> Points:
    near = np.argwhere(np.abs(_distance_mm(mask, geometry)) < 0.8 * min(geometry.spacing_mm))
    return geometry.to_lps_mm(near[np.random.default_rng(0).permutation(len(near))[:20_000]])


def _outline(mask: NDArray[np.bool_], geometry: Geometry, seed: int) -> OrganMap:
    """The liver at 3 mm, its surface wrong by a smooth OUTLINE_ERROR_MM."""
    shape = tuple(int(n * s / 3) for n, s in zip(geometry.shape, geometry.spacing_mm, strict=True))
    grid = Geometry.regular((shape[0], shape[1], shape[2]), (3.0, 3.0, 3.0), geometry.origin_lps_mm)
    index = geometry.to_index(grid.to_lps_mm(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)))
    far = map_coordinates(_distance_mm(mask, geometry), np.moveaxis(index, -1, 0), order=1, mode="nearest")
    error = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    labels = (far < OUTLINE_ERROR_MM * error / error.std()).astype(np.uint8)
    return OrganMap(labels, np.zeros_like(labels), grid)


def _peer(reference: Volume, moving: Volume) -> Callable[[Points], Points]:
    fixed, other = (_image(v) for v in (reference, moving))
    rigid = SimpleITK.Euler3DTransform(
        SimpleITK.CenteredTransformInitializer(
            fixed, other, SimpleITK.Euler3DTransform(), SimpleITK.CenteredTransformInitializerFilter.GEOMETRY
        )
    )
    method = _method()
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.01, 100)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(rigid, inPlace=True)
    method.Execute(fixed, other)
    mesh = [max(1, round(n * s / 50)) for n, s in zip(fixed.GetSize(), fixed.GetSpacing(), strict=True)]
    spline = SimpleITK.BSplineTransformInitializer(fixed, mesh)
    method = _method()
    method.SetMovingInitialTransform(rigid)
    method.SetInitialTransform(spline, inPlace=True)
    method.SetOptimizerAsLBFGSB(numberOfIterations=40, gradientConvergenceTolerance=1e-5)
    method.Execute(fixed, other)
    return lambda points: np.array([rigid.TransformPoint(spline.TransformPoint(p)) for p in points.tolist()])


def _method() -> SimpleITK.ImageRegistrationMethod:
    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.05, 1)
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2.0, 1.0, 0.0])
    method.SetInterpolator(SimpleITK.sitkLinear)
    return method


def _image(volume: Volume) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(volume.array.astype(np.float32))
    image.SetSpacing(volume.geometry.spacing_mm[::-1])
    image.SetOrigin(volume.geometry.origin_lps_mm)
    return image


if __name__ == "__main__":
    main()

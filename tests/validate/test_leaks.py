"""The same scan in two splits, whatever was done to it."""

import nibabel
import numpy as np
import pytest
from scipy import ndimage
from score_tables import results_of, write_rows

from hepar.cli.validate import scores
from hepar.errors import Refused, WrongCall
from hepar.validate.leaks import near_duplicates, refuse_shared, shared
from hepar.validate.likeness import likeness, signature


def body(seed, shape=(20, 80, 96)):
    """A made-up body in HU: an ellipse of soft tissue with organs of its own in air."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    inside = grid[1] ** 2 / 0.7 + grid[2] ** 2 / 0.85 < 1
    organs = ndimage.gaussian_filter(random.normal(size=shape), (2, 5, 5))
    fine = ndimage.gaussian_filter(random.normal(size=shape), (1, 2, 2))
    tissue = 60 + 50 * organs / organs.std() + 40 * fine / fine.std()
    return np.where(inside, tissue, -1000.0) + random.normal(0, 5, shape)


def window(image, low=-110.0, high=240.0):
    return (np.clip((image - low) / (high - low), 0, 1) * 255).astype(np.uint8)


CHANGES = {
    "rescaled": lambda image: ndimage.zoom(image, (0.8, 0.6, 0.6), order=1),
    "windowed": window,
    "mirrored": lambda image: image[::-1, :, ::-1],
    "cropped": lambda image: image[1:-1, 6:-6, 5:-8],
    "noisy": lambda image: image + np.random.default_rng(9).normal(0, 20, image.shape),
    "all at once": lambda image: window(
        ndimage.zoom(
            (image + np.random.default_rng(9).normal(0, 10, image.shape))[:, 4:-3, 5:-2], (1, 0.8, 0.8), order=1
        )
    )[:, :, ::-1],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_scan_is_known_again(change):
    assert likeness(signature(body(1)), signature(CHANGES[change](body(1)))) > 0.75


def test_other_patients_are_others():
    assert near_duplicates([body(seed) for seed in range(4)]) == ()


def test_only_pairs_of_different_splits_are_compared():
    images = [body(1), body(2), body(1)[:, ::-1]]
    assert [(one.first, one.second) for one in near_duplicates(images)] == [(0, 2)]
    assert near_duplicates(images, groups=["a", "b", "a"]) == ()


def test_a_single_slice_is_known_again_too():
    image = body(3)[10]
    assert likeness(signature(image), signature(window(image)[::-1, 3:])) > 0.75
    assert likeness(signature(image), signature(body(4)[10])) < 0.5


@pytest.mark.parametrize("image", [np.zeros((8, 40, 40)), np.zeros((40,)), np.ones((4, 8, 8))])
def test_an_image_without_content_is_refused(image):
    with pytest.raises(WrongCall, match="the image"):
        signature(image)


def test_real_scans(shared_data):
    """A CT known again after all at once, and not like an MR of another patient."""
    files = ("ct/totalseg-native.nii.gz", "mr/totalseg-mr.nii.gz")
    scans = [np.asarray(nibabel.load(shared_data / name).dataobj, np.float32).transpose(2, 1, 0) for name in files]
    signed = [signature(scan) for scan in scans]
    assert likeness(*signed) < 0.3
    low, high = np.quantile(scans[0][scans[0] > -300], (0.1, 0.97))
    changed = ndimage.zoom(
        window(scans[0], low, high)[4:-2, 4:-2, 3:][:, :, ::-1].astype(np.float32), (0.9, 0.8, 0.8), order=1
    )
    assert likeness(signed[0], signature(changed)) > 0.7


def test_shared_names_are_counted():
    assert shared(["p", "p", "q", "", ""], ["a", "b", "a", "a", "b"]) == (1, 2)
    with pytest.raises(Refused, match=r"1 of 2 studies stand in more than one split.*put each study in one split"):
        refuse_shared(["p", "p", "q"], ["a", "b", "a"], "studies")


@pytest.fixture
def imaging(tmp_path):
    """Two scans and the first again, windowed and mirrored, as NIfTI."""
    for name, image in (("one", body(1)), ("two", body(2)), ("again", window(body(1))[:, :, ::-1].astype(np.int16))):
        values = image.astype(np.int16).transpose(2, 1, 0)
        nibabel.save(nibabel.Nifti1Image(values, np.diag([3.0, 3.0, 5.0, 1.0])), tmp_path / f"{name}.nii.gz")
    return tmp_path


def test_the_same_image_in_two_splits_stops_the_run(imaging):
    rows = [
        ["one.nii.gz", 1, 0.8, "a"],
        ["two.nii.gz", 0, 0.3, "a"],
        ["again.nii.gz", 1, 0.7, "b"],
        ["two.nii.gz", 0, 0.2, "a"],
    ]
    path = write_rows(imaging / "t.csv", ["image", "truth", "score", "split"], rows)
    with pytest.raises(Refused, match=r"1 pairs of images are nearly the same.*rows 2 and 4 \(header counted\)"):
        scores(path, imaging / "out", image="image", split="split", quiet=True)
    assert not (imaging / "out").exists()
    with pytest.raises(Refused, match=r"one image stands in two splits \(rows 2 and 3"):
        again = write_rows(
            imaging / "u.csv", ["image", "truth", "score", "split"], [rows[0], ["one.nii.gz", 0, 0.1, "b"]]
        )
        scores(again, imaging / "out", image="image", split="split", quiet=True)


def test_images_that_differ_are_said_to(imaging):
    rows = [["one.nii.gz", 1, 0.8, "a"], ["two.nii.gz", 0, 0.3, "b"], ["", 1, 0.4, "b"]]
    path = write_rows(imaging / "t.csv", ["image", "truth", "score", "split"], rows)
    scores(path, imaging / "out", image="image", split="split", quiet=True)
    made = results_of(imaging / "out")
    assert any("2 images were held against those of the other splits" in text for text in made["notes"])
    assert "nii" not in (imaging / "out" / "results.json").read_text()


def test_an_image_that_is_not_there_is_told_by_its_row(imaging):
    path = write_rows(
        imaging / "t.csv", ["image", "truth", "score", "split"], [["no.nii", 1, 0.8, "a"], ["one.nii.gz", 0, 1, "b"]]
    )
    with pytest.raises(Refused, match="the image of row 2 of the table is not there"):
        scores(path, imaging / "out", image="image", split="split", quiet=True)
    with pytest.raises(WrongCall, match="name the column with --split"):
        scores(path, imaging / "out", image="image", quiet=True)

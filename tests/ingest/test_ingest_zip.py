"""A zip is read where it lies."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest
from ingest_phantom import body, make_series, save

from hepar.errors import Refused, WrongCall
from hepar.ingest import IngestSettings


def packed(path, folder, extra=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"Secret Person/{file.relative_to(folder)}")
        for name, data in extra:
            archive.writestr(name, data)
    return path


def test_zip_gives_the_same_study_as_its_folder(tmp_path, read):
    """Same record; members are unpacked into the workspace only, under numbers."""
    folder = save(tmp_path / "s", make_series())
    plain = read(folder)
    study = read(packed(tmp_path / "s.zip", folder))
    assert study.input_sha256 == plain.input_sha256
    np.testing.assert_array_equal(study.phases[0].volume.array, body())
    for frame in study.phases[0].frames:
        assert frame.path.parent == tmp_path / "workspace"
        assert frame.path.name[1:].isdigit()
        assert frame.path.is_file()
    assert {p.name for p in tmp_path.iterdir()} == {"s", "s.zip", "workspace"}


def test_inspecting_a_zip_unpacks_nothing(tmp_path, look):
    """Headers are read through the archive."""
    path = packed(tmp_path / "s.zip", save(tmp_path / "s", make_series()))
    assert look(path).series[0].analysed
    assert not (tmp_path / "workspace").exists()


def test_only_what_is_analysed_is_unpacked(tmp_path, read):
    """A localizer stays in the archive."""
    scout = make_series(series="1.2.3.61", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    read(packed(tmp_path / "s.zip", save(tmp_path / "s", make_series(), scout)))
    assert len(list((tmp_path / "workspace").iterdir())) == 10


def test_paths_that_lead_outside_links_and_archives_inside(tmp_path, read):
    """Left out and counted; nothing is written outside the workspace."""
    folder = save(tmp_path / "s", make_series())
    good = (folder / "f0").read_bytes()
    inner = packed(tmp_path / "inner.zip", folder).read_bytes()
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    extra = [("../evil", good), ("/abs/evil", good), ("C:\\evil", good), ("a/../../evil", good), (link, "/etc/passwd"),
             ("inner.zip", inner), ("__MACOSX/._f0", good), (".DS_Store", b"x")]  # fmt: skip
    study = read(packed(tmp_path / "s.zip", folder, extra))
    assert sorted((s.reason.code, s.images) for s in study.skipped) == [
        ("nested_archive", 1),
        ("symbolic_link", 1),
        ("unsafe_path", 4),
    ]
    assert not list(tmp_path.rglob("evil"))


def test_encrypted_members_are_told(tmp_path, read):
    """A zip whose members carry the encryption flag: refused with what to do."""
    path = packed(tmp_path / "s.zip", save(tmp_path / "s", make_series()))
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(magic)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(magic, at + 4)
    path.write_bytes(data)
    with pytest.raises(Refused, match="unpack the zip with its password first"):
        read(path)


def test_damaged_zip(tmp_path, read):
    """Cut in half: refused in words."""
    path = packed(tmp_path / "s.zip", save(tmp_path / "s", make_series()))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Refused, match="the zip is damaged or not complete"):
        read(path)


def test_damaged_member_is_a_missing_slice(tmp_path, read):
    """Bytes flipped in the middle of the archive hit one member; its slice is missing, nothing breaks."""
    path = packed(tmp_path / "s.zip", save(tmp_path / "s", make_series()))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = os.urandom(40)
    path.write_bytes(data)
    with pytest.raises(Refused, match="a slice is missing"):
        read(path)


def test_limits(tmp_path, read):
    """Size, number and compression are limited by settings."""
    folder = save(tmp_path / "s", make_series())
    path = packed(tmp_path / "s.zip", folder)
    with pytest.raises(Refused, match="the zip holds 10 files, at most 9 are read"):
        read(path, settings=IngestSettings(max_files=9))
    with pytest.raises(Refused, match="would unpack to"):
        read(path, settings=IngestSettings(max_unpacked_bytes=5000))
    bomb = packed(tmp_path / "bomb.zip", folder, [("zeros", bytes(5_000_000))])
    with pytest.raises(Refused, match="times its size"):
        read(bomb, settings=IngestSettings(zip_ratio_free_bytes=1_000_000))
    with pytest.raises(Refused, match="more than 9 files"):
        read(folder, settings=IngestSettings(max_files=9))


def test_a_zip_that_lies_about_sizes_gives_no_more_than_it_says(tmp_path, read):
    """A member that unpacks to more than its entry says is cut there, and then its slice is missing."""
    path = packed(tmp_path / "s.zip", save(tmp_path / "s", make_series()))
    data = bytearray(path.read_bytes())
    at = 0
    for _ in range(5):
        at = data.find(b"PK\x01\x02", at + 1)
    data[at + 24 : at + 28] = (900).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(Refused, match="a slice is missing"):
        read(path)


def test_a_phase_named_inside_a_zip(tmp_path, read):
    """--phase arterial=study.zip/folder; a folder that is not in it is a wrong call."""
    save(tmp_path / "s" / "a", make_series(series="1.2.3.51"))
    save(tmp_path / "s" / "b", make_series(body(seed=1), series="1.2.3.52", acquisition_s=37040.0))
    path = packed(tmp_path / "s.zip", tmp_path / "s")
    study = read(path, phase_paths={"arterial": path / "Secret Person" / "b"})
    assert [p.guess.source for p in study.phases] == ["none", "user"]
    with pytest.raises(WrongCall, match="no series that can be analysed lies there"):
        read(path, phase_paths={"arterial": path / "c"})

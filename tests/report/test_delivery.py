"""All of the output or nothing."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from hepar.errors import WrongCall
from hepar.report import check_target, delivered


def result(folder, text="old"):
    folder.mkdir()
    (folder / "run.json").write_text(text)
    (folder / "findings.json").write_text(text)
    return folder


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study").mkdir()
    return tmp_path / "study"


def test_a_new_folder_appears_whole(tmp_path):
    with delivered(tmp_path / "deep" / "out") as folder:
        (folder / "a.txt").write_text("a")
        assert not (tmp_path / "deep" / "out").exists()
    assert (tmp_path / "deep" / "out" / "a.txt").read_text() == "a"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), delivered(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("a")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_earlier_result(tmp_path):
    out = result(tmp_path / "out")
    with pytest.raises(RuntimeError), delivered(out) as folder:
        (folder / "run.json").write_text("new")
        raise RuntimeError
    assert (out / "run.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_overwriting_replaces_all_of_it(tmp_path, study):
    out = result(tmp_path / "out")
    (out / "extra.txt").write_text("old")
    check_target(out, source=study, overwrite=True)
    with delivered(out) as folder:
        (folder / "run.json").write_text("new")
    assert [p.name for p in out.iterdir()] == ["run.json"]
    assert (out / "run.json").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "study"]


def test_an_existing_result_is_kept_unless_told(tmp_path, study):
    out = result(tmp_path / "out")
    with pytest.raises(WrongCall, match="--overwrite"):
        check_target(out, source=study, overwrite=False)


def test_a_folder_with_other_files_is_never_replaced(tmp_path, study):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.docx").write_text("years of work")
    with pytest.raises(WrongCall, match="other files"):
        check_target(tmp_path / "out", source=study, overwrite=True)


def test_a_file_is_never_replaced(tmp_path, study):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(WrongCall, match="not a folder"):
        check_target(tmp_path / "out", source=study, overwrite=True)


@pytest.mark.parametrize("out", ["study", "study/out", "."])
def test_study_and_output_stay_apart(tmp_path, study, out):
    with pytest.raises(WrongCall, match="inside each other"):
        check_target(tmp_path / out, source=study, overwrite=True)


WRITER = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from hepar.report import delivered
    with delivered(Path(sys.argv[1])) as folder:
        (folder / "half.txt").write_text("half")
        print("writing", flush=True)
        time.sleep(60)
""")


def test_a_killed_run_leaves_no_half_result_and_the_next_run_clears_up(tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(out)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not out.exists()
    with delivered(out) as folder:
        (folder / "whole.txt").write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert [p.name for p in out.iterdir()] == ["whole.txt"]


def test_a_run_beside_another_is_left_alone(tmp_path):
    with delivered(tmp_path / "one") as one:
        (one / "a.txt").write_text("a")
        with delivered(tmp_path / "two") as two:
            (two / "b.txt").write_text("b")
        assert (one / "a.txt").exists()
    assert (tmp_path / "one" / "a.txt").read_text() == "a"


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True)
    if made.returncode != 0:
        pytest.skip("needs the right to mount a small disk")
    yield disk
    for _ in range(20):
        if subprocess.run(["umount", str(disk)], capture_output=True).returncode == 0:
            break
        time.sleep(0.1)


def test_a_full_disk_is_said_and_leaves_nothing(tiny_disk):
    with pytest.raises(WrongCall, match="no space"), delivered(tiny_disk / "out") as folder:
        (folder / "big.bin").write_bytes(bytes(3_000_000))
    assert list(tiny_disk.iterdir()) == []


def test_a_read_only_place_is_said(tiny_disk, study):
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(WrongCall, match="cannot write"):
        check_target(tiny_disk / "out", source=study, overwrite=False)
    with pytest.raises(WrongCall, match="cannot write"), delivered(tiny_disk / "out"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_said(tmp_path, study):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(WrongCall, match="cannot write"):
        check_target(closed / "out", source=study, overwrite=False)

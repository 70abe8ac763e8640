"""A site's folder: promoted, rolled back, its trace and its damage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hepar.errors import Refused, WrongCall
from hepar.learn.adapt_site import attempt, check_trace, open_site, promote, rollback
from hepar.segment.site import current, site_model


def _attempt(site: Path, content: str) -> str:
    with attempt(site) as (number, folder):
        (folder / "region.onnx").write_bytes(content.encode())
        (folder / "confidence.json").write_text(json.dumps({"made": content}))
    return number


def _clock() -> str:
    return "2026-01-01T00:00:00+00:00"


def test_promotion_and_rollback_are_read_back(tmp_path: Path) -> None:
    """Shipped, 0001, 0002, back to 0001, back to shipped, and no further; each step leaves a line with hashes."""
    site = tmp_path / "site"
    open_site(site, now=_clock)
    assert site_model(site) is None
    for number in ("0001", "0002"):
        assert promote(site, _attempt(site, number), now=_clock).version == number
    used = site_model(site)
    assert used is not None
    assert used.region.read_bytes() == b"0002"
    assert used.described["site_version"] == "0002"
    assert str(tmp_path) not in json.dumps(used.described)
    assert rollback(site, now=_clock) == "0001"
    assert rollback(site, now=_clock) is None
    assert site_model(site) is None
    with pytest.raises(WrongCall, match="nothing to roll back"):
        rollback(site)
    assert promote(site, _attempt(site, "again"), now=_clock).version == "0003"
    assert check_trace(site) == 6
    lines = [json.loads(line) for line in (site / "log.jsonl").read_text().splitlines()]
    assert [one["event"] for one in lines] == [
        "opened",
        "promoted",
        "promoted",
        "rolled back",
        "rolled back",
        "promoted",
    ]
    assert lines[2]["region.onnx"] == used.files["region.onnx"]


def test_a_changed_trace_is_known(tmp_path: Path) -> None:
    """A line that was edited no longer fits the one after it."""
    open_site(tmp_path, now=_clock)
    promote(tmp_path, _attempt(tmp_path, "a"), now=_clock)
    log = tmp_path / "log.jsonl"
    log.write_text(log.read_text().replace("opened", "closed"))
    with pytest.raises(Refused, match="changed before line 2"):
        check_trace(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "log.jsonl is missing"), (b"[1]\n", "line 1 is no line of a trace"), (b"{\n", "line 1 is no line")],
)
def test_a_trace_that_is_none_is_refused(tmp_path: Path, content: bytes | None, says: str) -> None:
    open_site(tmp_path, now=_clock)
    log = tmp_path / "log.jsonl"
    log.unlink()
    if content is not None:
        log.write_bytes(content)
    with pytest.raises(Refused, match=says):
        check_trace(tmp_path)


def test_the_commands_read_the_trace(tmp_path: Path) -> None:
    """Rolling back is done whatever the trace says, with a warning; a card of an edited site is refused."""
    from typer.testing import CliRunner

    from hepar.cli.app import app

    open_site(tmp_path, now=_clock)
    for content in ("a", "b", "c"):
        promote(tmp_path, _attempt(tmp_path, content), now=_clock)
    back = CliRunner().invoke(app, ["learn", "rollback", "--site", str(tmp_path)])
    assert (back.stdout, back.stderr) == ("version 0002 is in use\n", "")
    log = tmp_path / "log.jsonl"
    log.write_text(log.read_text().replace("0003", "0009"))
    back = CliRunner().invoke(app, ["learn", "rollback", "--site", str(tmp_path)])
    assert (back.exit_code, back.stdout) == (0, "version 0001 is in use\n")
    assert back.stderr.startswith("warning: the site's log.jsonl was changed before line 5: it holds the hash ")
    refused = CliRunner().invoke(app, ["learn", "card", "--site", str(tmp_path)]).exception
    assert isinstance(refused, Refused)
    assert "changed before line 5" in str(refused)


def test_cases_that_cannot_be_read_leave_no_site(tmp_path: Path) -> None:
    """Five cases whose image is text: refused, and the folder given with --site is not made."""
    pytest.importorskip("torch")
    from hepar.learn.adapt import Plan, adapt

    for number in range(5):
        case = tmp_path / "cases" / f"{number}"
        case.mkdir(parents=True)
        for name in ("portal_venous.nii", "labels.nii"):
            (case / name).write_text("no image")
    site = tmp_path / "site"
    with pytest.raises(Refused, match=r"^case 1 "):
        adapt(tmp_path / "cases", site, Plan(threads=1), lambda step, share: None)
    assert not site.exists()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text.txt").write_text("x")
    with pytest.raises(WrongCall, match="holds other things"):
        adapt(tmp_path / "cases", tmp_path / "thesis", Plan(threads=1), lambda step, share: None)


@pytest.mark.parametrize("name", ["region.onnx", "confidence.json", "version.json"])
def test_damage_is_refused_and_rolled_back(tmp_path: Path, name: str) -> None:
    """A byte more in any file, or none of it: refused with both hashes; rollback passes the version over."""
    open_site(tmp_path, now=_clock)
    for content in ("a", "b", "c"):
        promote(tmp_path, _attempt(tmp_path, content), now=_clock)
    file = tmp_path / "0003" / name
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(Refused, match=r"site version 0003 is damaged: .* needed [0-9a-f]{12}"):
        site_model(tmp_path)
    (tmp_path / "0002" / name).unlink()
    assert rollback(tmp_path, now=_clock) == "0001"
    assert site_model(tmp_path) is not None


def test_other_shipped_weights_are_refused(tmp_path: Path) -> None:
    """A version that was judged against another shipped network is not used with this one."""
    import hashlib

    open_site(tmp_path, now=_clock)
    promote(tmp_path, _attempt(tmp_path, "a"), now=_clock)
    about = json.loads((tmp_path / "0001" / "version.json").read_text())
    about["shipped"]["region"] = "0" * 64
    (tmp_path / "0001" / "version.json").write_text(json.dumps(about))
    pointer = json.loads((tmp_path / "current.json").read_text())
    pointer["version_sha256"] = hashlib.sha256((tmp_path / "0001" / "version.json").read_bytes()).hexdigest()
    (tmp_path / "current.json").write_text(json.dumps(pointer))
    with pytest.raises(Refused, match="judged against region 000000000000, this hepar ships"):
        site_model(tmp_path)


def test_folders_that_are_no_sites(tmp_path: Path) -> None:
    """Other people's files are not touched; a pointer of rubbish is refused, and rollback mends it."""
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(WrongCall, match="holds other things"):
        open_site(tmp_path)
    with pytest.raises(WrongCall, match=r"no current\.json"):
        site_model(tmp_path)
    site = tmp_path / "site"
    open_site(site, now=_clock)
    for rubbish in ("{", '{"version": "../../x", "version_sha256": "a"}'):
        (site / "current.json").write_text(rubbish)
        with pytest.raises(Refused, match="damaged"):
            current(site)
    assert rollback(site, now=_clock) is None
    assert current(site)["version"] is None


def test_a_failed_attempt_leaves_nothing(tmp_path: Path) -> None:
    """The folder of an attempt appears whole or not at all."""
    open_site(tmp_path, now=_clock)
    with pytest.raises(RuntimeError), attempt(tmp_path) as (_, folder):
        (folder / "region.onnx").write_bytes(b"x")
        raise RuntimeError
    assert sorted(p.name for p in tmp_path.iterdir()) == ["current.json", "log.jsonl"]


def test_the_engine_says_which_model_it_is(tmp_path: Path) -> None:
    """A promoted copy of the shipped model changes version, hash and settings, and another engine refuses --site."""
    from hepar import segment
    from hepar.segment.confidence import confidence_file
    from hepar.segment.network import shipped

    open_site(tmp_path, now=_clock)
    plain = segment.engine("builtin", site=tmp_path)
    assert segment.described(plain) is None
    with attempt(tmp_path) as (number, folder):
        (folder / "region.onnx").write_bytes(shipped("region").read_bytes())
        (folder / "confidence.json").write_text(json.dumps({**confidence_file(), "fitted_on": "here"}))
    promote(tmp_path, number, now=_clock)
    own = segment.engine("builtin", site=tmp_path)
    assert "site-0001-" in own.version
    assert own.weights_sha256 != plain.weights_sha256
    added = segment.described(own)
    assert added is not None
    assert added["site_version"] == "0001"
    with pytest.raises(WrongCall, match="built-in engine only"):
        segment.engine("totalsegmentator", site=tmp_path)

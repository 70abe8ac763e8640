"""The model card is made from files, and says what they say."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from hepar.errors import Refused, WrongCall
from hepar.learn.card import card_of
from hepar.segment.network import shipped

LEARN = Path(sys.modules["hepar.learn"].__file__ or "").parent
WEIGHTS = shipped("region").parent


@pytest.mark.parametrize(("recipe", "name"), [("region.toml", "region"), ("liver3mm.toml", "liver3mm")])
def test_the_shipped_networks_have_a_card(recipe: str, name: str) -> None:
    """Hash, shares, licences, steps and what it is not for stand in it; nothing of this machine does."""
    card = card_of(LEARN / recipe)
    about = json.loads((WEIGHTS / f"{name}.json").read_text())
    assert about["sha256"][:12] in card
    assert f"{about['training']['steps']} steps" in card
    for needed in (
        "CC BY 4.0",
        "10.7937/QXK2-QG03",
        "Apache-2.0",
        "| 25% |" if name == "region" else "| 31% |",
        "clinical decisions (not a certified device)",
        "## Known failures",
        "3D-IRCADb",
    ):
        assert needed in card
    assert str(LEARN) not in card
    assert card == card_of(LEARN / recipe)


@pytest.mark.parametrize(("recipe", "file"), [("region.toml", "CARD-region.md"), ("liver3mm.toml", "CARD.md")])
def test_the_committed_cards_are_what_the_command_writes(recipe: str, file: str) -> None:
    """Byte for byte, so that a card never tells of other weights, recipes, limits or figures than those that ship."""
    assert (WEIGHTS / file).read_bytes() == card_of(LEARN / recipe).encode(), (
        f"run hepar learn card src/hepar/learn/{recipe} -o src/hepar/segment/weights/{file}"
    )


def test_the_region_card_tells_figures_by_size_and_phase() -> None:
    """Each size with four phases and with the portal venous one alone, with its interval; the real scans."""
    card = card_of()
    assert "| figure (95 % interval) | four phases | portal venous phase alone |" in card
    for size in ("under 10 mm", "10 to 20 mm", "over 20 mm"):
        row = next(line for line in card.splitlines() if line.startswith(f"| recall: {size} |"))
        assert re.fullmatch(r"\| [^|]+( \| \d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\) of \d+){2} \|", row), row
    assert "| 3D-IRCADb case 17, portal venous" in card
    assert "training data, own labels" in card


def test_figures_of_other_weights_are_not_told(tmp_path: Path) -> None:
    """Judged with another confidence file: refused. Typed of another network: left out. None: said."""
    for name in ("region.onnx", "region.json", "figures.json"):
        shutil.copy(WEIGHTS / name, tmp_path / name)
    shown = (WEIGHTS / "confidence.json").read_bytes()
    (tmp_path / "confidence.json").write_bytes(shown)
    assert card_of(weights=tmp_path) == card_of()
    judged = (tmp_path / "figures.json").read_text()
    screening = judged.replace('"operating_point": "measuring"', '"operating_point": "screening"')
    for other, said in ((screening, "at screening, n"), ("[]", "at no point"), ('{"dice": 1}', "not what benchmarks")):
        (tmp_path / "figures.json").write_text(other)
        with pytest.raises(WrongCall, match=said):
            card_of(weights=tmp_path)
    (tmp_path / "figures.json").write_text(judged)
    (tmp_path / "confidence.json").write_bytes(shown + b" ")
    with pytest.raises(Refused, match=r"figures\.json is of the weights"):
        card_of(weights=tmp_path)
    (tmp_path / "figures.json").unlink()
    assert "No figures.json stands beside the network" in card_of(weights=tmp_path)
    words = (LEARN / "region.card.toml").read_text()
    typed = tomllib.loads(words)["figures"]["sha256"]
    shutil.copy(LEARN / "region.toml", tmp_path / "region.toml")
    (tmp_path / "region.card.toml").write_text(words.replace(f'"{typed}"', '"0123456789ab"'))
    card = card_of(tmp_path / "region.toml")
    assert "Figures were told of the network 0123456789ab, none of this one." in card
    assert "| 3D-IRCADb case 17" not in card


def test_operating_points_carry_wilson_intervals(tmp_path: Path) -> None:
    """18 of 31: 0.407 to 0.736. R 4.2.2: prop.test(18, 31, correct = FALSE)$conf.int"""
    for name in ("region.onnx", "region.json"):
        shutil.copy(WEIGHTS / name, tmp_path / name)
    point = {"least_confidence": 0.5, "false_per_scan": 0.25}
    for stratum in ("under_10_mm", "10_to_20_mm", "over_20_mm"):
        point |= {f"found_{stratum}": 18, f"lesions_{stratum}": 31}
    point["lesions_over_20_mm"] = 0
    kind = {"expected_calibration_error": 0.07, "operating_points": {"measuring": point}}
    (tmp_path / "confidence.json").write_text(json.dumps({"fitted_on": "by hand", "one_phase": kind}))
    card = card_of(weights=tmp_path)
    row = next(line for line in card.splitlines() if line.startswith("| measuring | one phase"))
    assert row.split(" | ")[2:] == ["0.5", "18 of 31 (0.41 to 0.74)", "18 of 31 (0.41 to 0.74)", "no lesion", "0.25 |"]
    assert "one phase 0.07" in card


def test_log_and_figures_are_told(tmp_path: Path) -> None:
    """Loss over the first and the last tenth; estimates with intervals from JSON, and from JSON lines."""
    rows = [{"loss": 4.0 - n / 10} for n in range(20)] + [{"watched_liver": 0.91, "watched_found": 0.5}]
    (tmp_path / "log.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    figures = tmp_path / "f.json"
    dice = {"estimate": 0.97, "low": 0.96, "high": 0.98}
    recall = {"all": {"lesions": 9, "estimate": None}}
    one = {"phases": "four phases", "liver_dice": dice, "recall": recall}
    figures.write_text(json.dumps([one, {"phases": "one phase", "liver_dice": {"estimate": 0.5}}]))
    lines = tmp_path / "e.json"
    lines.write_text('{"case": "a"}\n{"four phases": {"vein_dice": 0.4, "found_over_20_mm": "3/4"}}\n')
    card = card_of(run=tmp_path, figures=[("virtual60", figures), ("patches", lines)])
    for needed in (
        "3.95 over the first tenth, 2.15 over the last",
        "liver Dice 0.91, share of lesions found 0.5",
        "| figure (95 % interval) | four phases | one phase |",
        "| liver Dice | 0.970 (0.960 to 0.980) | 0.500 |",
        "| recall: all | cannot tell of 9 | - |",
        "| four phases: vein Dice | 0.4 |",
        "| four phases: found over 20 mm | 3/4 |",
    ):
        assert needed in card, needed


def test_a_network_that_is_not_the_described_one_is_refused(tmp_path: Path) -> None:
    """One byte more: both hashes are named. No network: what to do."""
    shutil.copy(WEIGHTS / "region.json", tmp_path / "region.json")
    with pytest.raises(WrongCall, match="export the network first"):
        card_of(weights=tmp_path)
    (tmp_path / "region.onnx").write_bytes((WEIGHTS / "region.onnx").read_bytes() + b" ")
    with pytest.raises(Refused, match="its description"):
        card_of(weights=tmp_path)


def test_a_recipe_that_changed_since_is_said(tmp_path: Path) -> None:
    """Other bytes than those that the network was trained with; a source without a licence stops the card."""
    text = (LEARN / "region.toml").read_text()
    (tmp_path / "region.toml").write_text(text + "\n# later\n")
    words = (LEARN / "region.card.toml").read_text()
    (tmp_path / "region.card.toml").write_text(words)
    assert "it was changed afterwards" in card_of(tmp_path / "region.toml")
    shutil.copy(WEIGHTS / "region.onnx", tmp_path / "region.onnx")
    about = json.loads((WEIGHTS / "region.json").read_text())
    about["training"]["start"] = {"name": "before.onnx", "sha256": "abcdef012345678"}
    (tmp_path / "region.json").write_text(json.dumps(about))
    (tmp_path / "confidence.json").write_bytes((WEIGHTS / "confidence.json").read_bytes())
    assert "It began from `before.onnx`, sha256 abcdef012345..." in card_of(tmp_path / "region.toml", weights=tmp_path)
    (tmp_path / "region.card.toml").write_text(words.replace('image = "crlm-1006"', 'image = "other"'))
    with pytest.raises(WrongCall, match="no source and licence for labelled crlm-1006"):
        card_of(tmp_path / "region.toml")
    (tmp_path / "region.card.toml").write_text("summary = none")
    with pytest.raises(WrongCall, match="is no TOML"):
        card_of(tmp_path / "region.toml")


def test_the_command_writes_it(tmp_path: Path) -> None:
    """`hepar learn card -o FILE` writes what `card_of` gives; a site that uses the shipped model has none."""
    from typer.testing import CliRunner

    from hepar.cli.app import app
    from hepar.learn.adapt_site import open_site

    run = CliRunner()
    target = tmp_path / "CARD.md"
    assert run.invoke(app, ["learn", "card", "-o", str(target)]).exit_code == 0
    assert target.read_bytes() == card_of().encode()
    open_site(tmp_path / "site")
    with pytest.raises(WrongCall, match="leave --site out"):
        card_of(site=tmp_path / "site")
    assert isinstance(run.invoke(app, ["learn", "rollback", "--site", str(tmp_path / "site")]).exception, WrongCall)

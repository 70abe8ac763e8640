"""findings.json: its keys, its shapes, its schema, and what may not be in it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import report_examples as ex

from hepar.errors import Fault
from hepar.record import Estimate, Notice
from hepar.report.findings import findings_document, findings_schema, validate_findings, write_findings


def document(lesions: int = 2, *, refused: tuple[str, ...] = (), **options: Any) -> dict[str, Any]:
    outline = ex.anatomy(lesions)
    return findings_document(
        ex.study(), ex.study().phases, ex.aligned(outline, refused=refused),
        ex.findings(outline, refused=refused), ex.PROVENANCE, **options,
    )  # fmt: skip


def test_the_keys_that_other_programs_rely_on_are_there() -> None:
    """The keys of the issue, letter by letter."""
    made = document()
    for key in ("study", "phases", "skipped", "reference_phase", "liver", "burden", "lesions", "warnings",
                "provenance", "disclaimer", "schema_version"):  # fmt: skip
        assert key in made
    assert set(made["study"]) == {"uid", "date", "modality"}
    assert {"id", "label", "arterial_timing", "label_probability", "label_source", "series_uid", "quality"} <= set(
        made["phases"][0]
    )
    assert {"volume_ml", "voxels", "mean_hu"} <= set(made["liver"])
    assert {"lesion_count", "total_volume_ml", "percent_of_liver", "largest_long_axis_mm"} <= set(made["burden"])
    assert {"id", "volume_ml", "long_axis_mm", "short_axis_mm", "max_3d_diameter_mm", "centre_lps_mm", "confidence",
            "enhancement"} <= set(made["lesions"][0])  # fmt: skip
    assert set(made["provenance"]) == {
        "version", "settings_sha256", "weights_sha256", "input_sha256", "engine", "precision", "cpu",
    }  # fmt: skip


def test_numbers_are_those_of_the_record_to_the_stated_digits() -> None:
    """24.4304 ml is 24.43 to three places, 36.123 mm is 36.12 to two, 70.36 HU is 70.4 to one."""
    made = document()
    lesion = made["lesions"][0]
    assert lesion["volume_ml"] == 24.43
    assert lesion["volume_ml_interval"] == {
        "low": 23.23, "high": 25.63, "level": 0.95, "method": "half a voxel on the edge",
    }  # fmt: skip
    assert lesion["long_axis_mm"] == 36.12
    assert lesion["short_axis_mm"] == 32.0
    assert lesion["max_3d_diameter_mm"] == 37.5
    assert lesion["confidence"] == 0.93
    assert "confidence_interval" not in lesion
    arterial = lesion["enhancement"][1]
    assert (arterial["phase_id"], arterial["mean_hu"], arterial["shell_mean_hu"]) == ("p2", 125.2, 68.1)
    assert arterial["difference_hu"] == 57.1
    assert arterial["difference_hu_interval"]["low"] == 55.4
    assert made["liver"]["volume_ml"] == 1660.5
    assert made["liver"]["mean_hu"][2]["mean_hu"] == 112.0
    assert made["burden"] == {
        "lesion_count": 2,
        "total_volume_ml": 40.7,
        "total_volume_ml_interval": {"low": 38.7, "high": 42.7, "level": 0.95, "method": "half a voxel on the edge"},
        "percent_of_liver": 2.45,
        "percent_of_liver_interval": {"low": 2.33, "high": 2.57, "level": 0.95, "method": "half a voxel on the edge"},
        "largest_long_axis_mm": 36.12,
        "largest_long_axis_mm_interval": {
            "low": 35.02, "high": 37.22, "level": 0.95, "method": "half a voxel on the edge",
        },
    }  # fmt: skip
    assert [phase["after_first_s"] for phase in made["phases"]] == [0.0, 30.0, 60.0, 90.0]
    assert made["phases"][3]["alignment"]["shift_mm"] == 6.4
    assert made["phases"][3]["alignment"]["liver_overlap"]["estimate"] == 0.953


@pytest.mark.parametrize("lesions", [0, 1, 4, 30])
def test_every_document_keeps_the_schema(lesions: int) -> None:
    """Also without any lesion, where the largest diameter is missing and says why."""
    made = document(lesions)
    validate_findings(made)
    assert len(made["lesions"]) == lesions
    if not lesions:
        assert made["burden"]["largest_long_axis_mm"] is None
        assert made["burden"]["largest_long_axis_mm_missing"] == "no lesion was found"


def test_a_refused_phase_is_listed_with_its_reason_everywhere() -> None:
    """null, never zero, in liver and lesions; the alignment says why."""
    made = document(refused=("p2",))
    validate_findings(made)
    assert made["phases"][1]["alignment"]["accepted"] is False
    assert "6.3 mm" in made["phases"][1]["alignment"]["reason"]
    entry = made["lesions"][0]["enhancement"][1]
    assert entry["mean_hu"] is None
    assert entry["mean_hu_missing"]
    assert made["liver"]["mean_hu"][1]["mean_hu"] is None


def test_a_phase_without_any_measurement_gets_null_and_the_reason() -> None:
    """A measuring step that leaves a refused phase out does not make it vanish from the document."""
    outline = ex.anatomy(1)
    full = ex.findings(outline)
    lesion = replace(full.lesions[0], enhancement=full.lesions[0].enhancement[2:3])
    short = replace(full, lesions=(lesion,), liver=replace(full.liver, mean_hu=full.liver.mean_hu[2:3]))
    made = findings_document(
        ex.study(), ex.study().phases, ex.aligned(outline, refused=("p1",))[:3], short, ex.PROVENANCE
    )
    validate_findings(made)
    rows = made["lesions"][0]["enhancement"]
    assert [row["phase_id"] for row in rows] == ["p1", "p2", "p3", "p4"]
    assert "6.3 mm" in rows[0]["difference_hu_missing"]
    assert rows[2]["mean_hu"] == 84.2
    assert made["phases"][3]["alignment"] is None
    assert made["phases"][3]["alignment_missing"]


def test_a_missing_confidence_says_why() -> None:
    """A score that is not there is null with the reason."""
    outline = ex.anatomy(1)
    full = ex.findings(outline)
    lesion = replace(full.lesions[0], confidence=Estimate.cannot_tell("this engine gives none"))
    made = findings_document(
        ex.study(), ex.study().phases, ex.aligned(outline), replace(full, lesions=(lesion,)), ex.PROVENANCE
    )
    validate_findings(made)
    assert made["lesions"][0]["confidence"] is None
    assert made["lesions"][0]["confidence_missing"] == "this engine gives none"


def test_warnings_keep_their_order_and_come_once() -> None:
    """Study, findings, pipeline; the pipeline may hand on what is already there."""
    again = (ex.study().warnings[0], Notice("new", "Something else."))
    assert [one["code"] for one in document(warnings=again)["warnings"]] == ["no_time", "check_lesions", "new"]


def test_no_identity_without_being_asked(tmp_path: Path) -> None:
    """Name, id, birth date and paths are all through the study; none is in the file."""
    path = tmp_path / "findings.json"
    write_findings(document(), path)
    assert b"SECRET" not in path.read_bytes()
    write_findings(document(with_identity=True), path)
    assert json.loads(path.read_text(encoding="utf-8"))["study"]["patient"]["name"] == ex.SECRET


def test_two_writes_give_the_same_bytes(tmp_path: Path) -> None:
    """UTF-8, one newline at the end, no clock."""
    for name in ("a", "b"):
        write_findings(document(warnings=[Notice("unit", "0.5 mm² – µ")]), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes().endswith(b"}\n")
    assert "mm² – µ" in (tmp_path / "a").read_text(encoding="utf-8")


def _drop_reason(made: dict[str, Any]) -> None:
    del made["burden"]["largest_long_axis_mm_missing"]


def _number_and_reason(made: dict[str, Any]) -> None:
    made["liver"]["volume_ml_missing"] = "yet there is a number"


def _unknown_key(made: dict[str, Any]) -> None:
    made["liver"]["volume_cc"] = 3


def _foreign_phase(made: dict[str, Any]) -> None:
    made["reference_phase"] = "p9"


def _wrong_count(made: dict[str, Any]) -> None:
    made["burden"]["lesion_count"] = 1


@pytest.mark.parametrize("damage", [_drop_reason, _number_and_reason, _unknown_key, _foreign_phase, _wrong_count])
def test_a_broken_document_is_our_fault_and_not_written(damage: Any, tmp_path: Path) -> None:
    """The schema sees a missing reason, a number with a reason, a foreign key; ids and counts are checked too."""
    made = copy.deepcopy(document(0))
    damage(made)
    with pytest.raises(Fault, match=r"findings\.json|lesions must run"):
        write_findings(made, tmp_path / "findings.json")
    assert not (tmp_path / "findings.json").exists()


def test_the_schema_itself_is_valid_and_describes_every_key() -> None:
    """Draft 2020-12; a reader finds unit and meaning of each key in it."""
    from jsonschema import Draft202012Validator

    schema = findings_schema()
    Draft202012Validator.check_schema(schema)
    for key, part in schema["properties"]["lesions"]["items"]["properties"].items():
        assert "description" in part or "$ref" in part, key

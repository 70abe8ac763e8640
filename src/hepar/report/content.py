"""What the report says: one content model, made from the findings, that HTML and PDF show alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hepar.page import (
    Cell,
    Column,
    Facts,
    Figures,
    Note,
    Notes,
    Page,
    Section,
    Table,
    Text,
    Tile,
    Tiles,
)
from hepar.page.blocks import Block
from hepar.record import AlignedPhase, Anatomy, Vein
from hepar.report.expectation import expectation
from hepar.report.images import VEINS, WINDOW_HU, KeyImages, key_images
from hepar.report.wording import (
    PHASE_NAMES,
    SOURCES,
    cell,
    count,
    interval,
    number,
    patient_name,
    phase_name,
    quantity,
    signed,
)

BANNER = "Research use, not a certified device"
MOST_PHASE_COLUMNS = 5
"""More phases than this get a table of their own, so that the columns stay readable on paper."""
PATIENT = {"name": "Patient", "id": "Patient ID", "birth_date": "Born", "sex": "Sex"}


def report_content(document: Mapping[str, Any], anatomy: Anatomy, aligned: Sequence[AlignedPhase]) -> Page:
    """The whole report: warnings first, then what was found and how sure, provenance last.

    document: what `findings_document` made; every number comes from it. anatomy and aligned: for the pictures.
    Patient data appear only when the document holds them.
    """
    images = key_images(document, anatomy, aligned, {one["id"]: phase_name(one) for one in document["phases"]})
    study = document["study"]
    facts = [(PATIENT.get(key, key), _patient(key, value)) for key, value in _ordered(study.get("patient", {}))]
    facts += [
        ("Examination", study["date"] or "date not stated"),
        ("Modality", study["modality"]),
        ("Reference phase", phase_name(_reference(document))),
        ("Study UID", study["uid"]),
    ]
    version = document["provenance"]["version"]
    return Page(
        title="Liver CT: lesions and volumes" if study["modality"] == "CT" else "Liver MR: lesions and volumes",
        banner=BANNER,
        facts=tuple((name, value) for name, value in facts if value),
        sections=(
            _warnings(document),
            _summary(document),
            _lesions(document),
            *expectation(document),
            _phases(document),
            _key_images(document, images),
            _overview(images),
            _skipped(document),
            _method(document),
            _provenance(document),
        ),
        footer=f"hepar {version} · {BANNER.lower()} · study {study['uid']}",
    )


def _warnings(document: Mapping[str, Any]) -> Section:
    notes = [Note(_title(one["code"]), one["text"]) for one in document["warnings"]]
    if not document["liver"]["complete"] and not any("liver_cut" in one["code"] for one in document["warnings"]):
        text = "The edge of the volume cuts the liver. Its volume is a lower limit and lesions beyond are not seen."
        notes.append(Note("Liver incomplete", text))
    notes += _grouped((one["id"], one["quality"]) for one in document["phases"])
    notes += _grouped((f"lesion {one['id']}", one["notices"]) for one in document["lesions"])
    return Section("Warnings", (Notes(tuple(notes)) if notes else Text("No warnings."),))


def _grouped(owners: Iterable[tuple[str, list[dict[str, str]]]]) -> list[Note]:
    """The same notice on several phases or lesions is said once, with all of them."""
    found: dict[tuple[str, str], list[str]] = {}
    for owner, notices in owners:
        for one in notices:
            found.setdefault((one["code"], one["text"]), []).append(owner)
    return [Note(f"{_title(code)} ({', '.join(who)})", text) for (code, text), who in found.items()]


def _summary(document: Mapping[str, Any]) -> Section:
    burden, liver, lesions = document["burden"], document["liver"], document["lesions"]
    if not lesions:
        sentence = "No lesion was found in the liver. This does not rule one out."
    else:
        sentence = f"{count(len(lesions), 'lesion')} found in the liver."
        largest = max(lesions, key=lambda one: one["long_axis_mm"] or 0.0)
        if largest["long_axis_mm"] is not None:
            size = f"{number(largest['long_axis_mm'], 'mm')}"
            if largest["short_axis_mm"] is not None:
                size += f" × {number(largest['short_axis_mm'], 'mm')}"
            which = "It measures" if len(lesions) == 1 else f"The largest, lesion {largest['id']}, measures"
            sentence += f" {which} {size} mm (axial)."
    measured = [one for one in document["phases"] if (one["alignment"] or {}).get("accepted")]
    kept_out = [one for one in document["phases"] if one not in measured]
    phases = f"Measured in {count(len(measured), 'phase')}: {', '.join(phase_name(one) for one in measured)}."
    if kept_out:
        phases += f" Kept out: {', '.join(phase_name(one) for one in kept_out)}."
    complete = "" if liver["complete"] else "cut by the edge of the volume"
    scores = [one["confidence"] for one in lesions if one["confidence"] is not None]
    sure = ""
    if scores:
        ends = dict.fromkeys((number(min(scores), "score"), number(max(scores), "score")))
        sure = "confidence " + " to ".join(ends)
    tiles = (
        Tile("Lesions", str(burden["lesion_count"]), sure),
        _tile("Longest diameter", burden, "largest_long_axis_mm", "mm"),
        _tile("Tumour volume", burden, "total_volume_ml", "ml"),
        _tile("Share of the liver", burden, "percent_of_liver", "%"),
        _tile("Liver volume", liver, "volume_ml", "ml", complete),
    )
    return Section("Summary", (Text(sentence, strong=True), Text(phases), Tiles(tiles)))


def _tile(label: str, holder: Mapping[str, Any], key: str, unit: str, more: str = "") -> Tile:
    if holder.get("lesion_count") == 0:
        return Tile(label, "none", "no lesion found", missing=True)
    if holder[key] is None:
        return Tile(label, "cannot tell", holder[f"{key}_missing"], missing=True)
    small = [one for one in (interval(holder, key, unit), more) if one]
    return Tile(label, f"{number(holder[key], unit)} {unit}", "; ".join(small))


def _lesions(document: Mapping[str, Any]) -> Section:
    lesions, phases = document["lesions"], document["phases"]
    if not lesions:
        return Section("Lesions", (Text("None found."),))
    one_table = len(phases) <= MOST_PHASE_COLUMNS
    sizes = [
        Column("#", share=0.45),
        Column("Volume", "ml", 1.15, right=True),
        Column("Long axis", "mm, axial", 1.15, right=True),
        Column("Short axis", "mm, axial", 1.15, right=True),
        Column("3D diameter", "mm", 1.3, right=True),
        Column("Confidence", "0 to 1", 1.35, right=True),
        Column("Slice", "from feet", 0.95, right=True),
    ]
    hu = [Column(f"{one['id']} {PHASE_NAMES[one['label']]}", "HU; Δ", 1.2, right=True) for one in phases]
    rows, more = [], []
    for lesion in lesions:
        head = Cell(str(lesion["id"]))
        row = [head] + [
            cell(lesion, key, unit)
            for key, unit in (("volume_ml", "ml"), ("long_axis_mm", "mm"), ("short_axis_mm", "mm"),
                              ("max_3d_diameter_mm", "mm"), ("confidence", "score"))
        ]  # fmt: skip
        row.append(Cell(str(lesion["axial_slice"] + 1)))
        values = [_enhancement(one) for one in lesion["enhancement"]]
        rows.append(tuple(row + values if one_table else row))
        more.append((head, *values))
    note = (
        "One row per lesion, by falling volume. Small print: the interval of the number above it. HU: mean of the"
        " lesion; Δ: lesion minus the liver tissue right around it (without vessels and other lesions)."
    )
    if one_table:
        return Section("Lesions", (Table((*sizes, *hu), tuple(rows), note),))
    return Section("Lesions", (Table(tuple(sizes), tuple(rows)), Table((sizes[0], *hu), tuple(more), note)))


def _enhancement(one: Mapping[str, Any]) -> Cell:
    if one["mean_hu"] is None:
        return Cell("cannot tell", one["mean_hu_missing"], missing=True)
    if one["difference_hu"] is None:
        return Cell(number(one["mean_hu"], "HU"), f"Δ cannot tell: {one['difference_hu_missing']}")
    small = f"Δ {signed(one['difference_hu'])}"
    between = one.get("difference_hu_interval")
    if between:
        small += f"\n{signed(between['low'])} to {signed(between['high'])}"
    return Cell(number(one["mean_hu"], "HU"), small)


def _phases(document: Mapping[str, Any]) -> Section:
    columns = (
        Column("Phase", "and what says so", share=1.9),
        Column("Probability", "of the label", 1.25, right=True),
        Column("Start", "s after first", 0.85, right=True),
        Column("Voxels", "mm", 1.9, right=True),
        Column("Liver", "HU", 0.95, right=True),
        Column("Overlap", "Dice", 0.95, right=True),
        Column("Surface", "mm apart", 0.95, right=True),
        Column("Shift", "mm", 0.75, right=True),
        Column("Used", share=1.6),
    )
    rows = []
    means = {one["phase_id"]: one for one in document["liver"]["mean_hu"]}
    for phase in document["phases"]:
        step = f"{phase['column_spacing_mm']:.2f} × {phase['row_spacing_mm']:.2f} × {phase['slice_distance_mm']:.2f}"
        tilt = f", tilt {phase['tilt_deg']:.1f}°" if phase["tilt_deg"] else ""
        name = phase_name(phase)
        likely = max(phase["label_probabilities"], key=lambda key: phase["label_probabilities"][key])
        source = SOURCES[phase["label_source"]]
        if phase["label"] == "unknown":
            source = f"likeliest: {PHASE_NAMES[likely].lower()}, by {source}"
        alignment = phase["alignment"]
        if phase["id"] == document["reference_phase"]:
            fit = [Cell("–"), Cell("–"), Cell("–"), Cell("yes", "reference")]
        elif alignment is None:
            fit = [Cell("–"), Cell("–"), Cell("–"), Cell("no", phase["alignment_missing"])]
        else:
            overlap = alignment["liver_overlap"]
            dice = (
                Cell("cannot tell", overlap["missing"], missing=True)
                if overlap["estimate"] is None
                else Cell(number(overlap["estimate"], "score"))
            )
            used = Cell("yes") if alignment["accepted"] else Cell("no", alignment["reason"])
            fit = [dice, cell(alignment, "surface_mm", "mm"), Cell(number(alignment["shift_mm"], "mm")), used]
        liver = cell(means[phase["id"]], "mean_hu", "HU", with_interval=False)
        if liver.missing and fit[-1].text == "no":
            liver = Cell("–")
        rows.append(
            (
                Cell(name, source),
                Cell(number(phase["label_probability"], "score")),
                cell(phase, "after_first_s", "s"),
                Cell(step, count(phase["slices"], "slice") + tilt),
                liver,
                *fit,
            )
        )
    note = (
        "Overlap, surface and shift say how well a phase lies on the reference phase in the liver; a phase that does"
        " not fit is kept out of every measurement. Liver HU: parenchyma without lesions and vessels."
    )
    return Section("Phases and quality", (Table(columns, tuple(rows), note),))


def _key_images(document: Mapping[str, Any], images: KeyImages) -> Section:
    if not images.lesions:
        return Section("Key images", (Text("No lesion to show."),))
    low, high = (number(value, "HU") for value in WINDOW_HU)
    legend = (
        f"Slice of the long axis. Yellow: the lesion; orange: other lesions; blue: the liver; white: long axis (solid)"
        f" and short axis (dashed). Window {low} to {high} HU; patient right on the left."
    )
    blocks: list[Block] = [Text(legend, muted=True)]
    shown = [(lesion, images.lesions[lesion["id"]]) for lesion in document["lesions"] if lesion["id"] in images.lesions]
    if all(len(figures) == 1 for _, figures in shown):
        titled = (replace(figure, title=_lesion_title(lesion)) for lesion, (figure,) in shown)
        blocks.append(Figures("", tuple(titled), 3))
    else:
        blocks += [Figures(_lesion_title(one), figures, max(3, min(4, len(figures)))) for one, figures in shown]
    if images.left_out:
        blocks.append(
            Text(
                f"Pictures are shown of the {len(shown)} largest lesions; {images.left_out} smaller ones are in the"
                " table above, in the overview below where a cut meets them, and in masks/lesions.nii.gz."
            )
        )
    return Section("Key images", tuple(blocks))


def _lesion_title(lesion: Mapping[str, Any]) -> str:
    parts = [f"Lesion {lesion['id']}"]
    if lesion["long_axis_mm"] is not None and lesion["short_axis_mm"] is not None:
        parts.append(f"{number(lesion['long_axis_mm'], 'mm')} × {number(lesion['short_axis_mm'], 'mm')} mm")
    parts += [quantity(lesion, "volume_ml", "ml"), f"confidence {quantity(lesion, 'confidence', 'score')}"]
    return " · ".join(parts)


def _overview(images: KeyImages) -> Section:
    if not images.overview:
        return Section("Liver overview", (Text("No liver outline to show."),))
    drawn = {stroke.colour for figure in images.overview for stroke in figure.strokes}
    trees = ((Vein.PORTAL, "violet: branches of the portal vein"), (Vein.HEPATIC, "green: hepatic veins"))
    legend = "; ".join(
        ("Blue: the liver", "yellow: lesions with their numbers", *(text for one, text in trees if VEINS[one] in drawn))
    )
    legend += ". Look here for outlines that leave the liver."
    return Section("Liver overview", (Text(legend, muted=True), Figures("", images.overview, 4)))


def _skipped(document: Mapping[str, Any]) -> Section:
    if not document["skipped"]:
        return Section("Not analysed", (Text("Everything in the input was analysed."),))
    rows = tuple(
        (
            Cell(one["modality"] or "not stated"),
            Cell(str(one["images"])),
            Cell(one["reason"]["text"]),
            Cell("" if one["series_uid"] else "none", one["series_uid"]),
        )
        for one in document["skipped"]
    )
    columns = (Column("Kind"), Column("Images", right=True), Column("Why", share=5), Column("Series UID", share=4))
    return Section("Not analysed", (Table(columns, rows),))


def _method(document: Mapping[str, Any]) -> Section:
    methods = sorted({text for text in _methods(document) if text})
    rows = [
        ("Liver", "parenchyma, lesions and the vessels inside, without gallbladder, vena cava and main portal trunk"),
        ("Lesion", "one connected outline, touching ones parted where the shape says so; numbered by falling volume"),
        ("Volume", "voxels of the outline times the volume of a voxel, on the reference phase as it was acquired"),
        ("Long axis", "longest diameter in any axial slice, outer edge to outer edge"),
        ("Short axis", "longest diameter perpendicular to the long axis in the same slice"),
        ("3D diameter", "longest straight line between two points of the outline"),
        ("Confidence", "the network's score that the lesion is one, from 0 to 1; no probability of malignancy"),
        ("Δ", "lesion mean minus the mean of a shell of liver tissue around it, without vessels and lesions"),
        ("Cannot tell", "the value could not be had; the reason stands beside it"),
    ]
    if methods:
        rows.append(("Intervals", "; ".join(methods)))
    return Section("What the numbers mean", (Facts(tuple(rows)),))


def _methods(node: Any) -> list[str]:
    """Every way in which an interval of the document was made, with its coverage."""
    if isinstance(node, Mapping):
        level = f"{node['level'] * 100:g} %: " if node.get("level") else ""
        own = [f"{level}{node['method']}"] if node.get("method") else []
        return own + [text for part in node.values() for text in _methods(part)]
    return [text for part in node for text in _methods(part)] if isinstance(node, list) else []


def _provenance(document: Mapping[str, Any]) -> Section:
    one = document["provenance"]
    rows = (
        ("hepar", one["version"]),
        ("Engine", one["engine"]),
        ("Precision", one["precision"]),
        ("Processor", one["cpu"]),
        ("Settings, SHA-256", one["settings_sha256"]),
        ("Weights, SHA-256", one["weights_sha256"] or "none"),
        ("Input, SHA-256", one["input_sha256"]),
        ("Format", f"findings.json {document['schema_version']}"),
        *((f"Series of {phase['id']}", phase["series_uid"]) for phase in document["phases"]),
    )
    return Section("Provenance", (Facts(rows), Text(document["disclaimer"])))


def _reference(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(one for one in document["phases"] if one["id"] == document["reference_phase"])
    return found


def _ordered(patient: Mapping[str, str]) -> list[tuple[str, str]]:
    known = [key for key in PATIENT if key in patient]
    return [(key, patient[key]) for key in known + sorted(set(patient) - set(known))]


def _patient(key: str, value: str) -> str:
    if key == "birth_date" and len(value) == 8 and value.isdigit():
        return f"{value[:4]}-{value[4:6]}-{value[6:]}"
    return patient_name(value) if key == "name" else value


def _title(code: str) -> str:
    return code.replace("_", " ").capitalize()

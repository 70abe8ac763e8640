"""Outlines and aligned phases in, findings out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Fault
from hepar.measure.enhancement import PhaseImage, lesion_enhancement, liver_mean
from hepar.measure.outline import Mask
from hepar.measure.parenchyma import Parenchyma
from hepar.measure.settings import MeasureSettings
from hepar.measure.size import bounding_box, sizes, volume_ml
from hepar.record import (
    AlignedPhase,
    Anatomy,
    Box,
    Burden,
    Enhancement,
    Estimate,
    Findings,
    Geometry,
    LesionFinding,
    LiverFinding,
    Notice,
    derived_uid,
)

PART_INSIDE = "it goes on beyond the edge of the volume: this is the part inside"


def measure(
    anatomy: Anatomy,
    aligned: Sequence[AlignedPhase],
    *,
    reference_phase: str,
    study_uid: str,
    settings: MeasureSettings,
    progress: Callable[[float], None] | None = None,
) -> Findings:
    """Everything that is measured in one examination.

    aligned: every phase, the reference included; one with accepted=False keeps its entries, whose numbers are missing
    with the reason. No phase is resampled here.
    Cut by the edge of the volume: a liver keeps its volume, that of the part inside, with `complete` False; the
    volume's interval method says so, a `liver_cut` notice too, and the share of the liver is missing. A lesion keeps
    its sizes, those of the part inside; each interval's method says so, and so do a `lesion_cut` notice, the total
    volume and the largest long axis. Burden without any lesion: count 0, 0.0 ml, 0 %, no largest long axis.
    progress: told the fraction done. Raises Fault where the outline of the liver is empty (segment refuses those), or
    the reference is not among `aligned`.
    """
    if reference_phase not in [phase.phase_id for phase in aligned]:
        raise Fault(f"the reference {reference_phase} is not among {[phase.phase_id for phase in aligned]}")
    if not anatomy.liver.any():
        raise Fault("measuring needs an outlined liver, got none")
    tell = progress or (lambda _: None)
    geometry = anatomy.geometry
    box = bounding_box(anatomy.liver | (anatomy.lesions > 0))
    noticed_cut = any(notice.code == "liver_cut" for notice in anatomy.notices)
    cut = noticed_cut or liver_is_cut(anatomy.liver, geometry, settings.cut_area_mm2)
    notices = []
    if cut and not noticed_cut:
        notices.append(
            Notice("liver_cut", "The edge of the volume cuts the liver; its volume is that of the part inside, and the"
                                " share of tumour in the liver is not given.")
        )  # fmt: skip
    parenchyma = Parenchyma.of(anatomy, box, settings)
    tell(0.2)
    images = {}
    for number, phase in enumerate(aligned):
        if phase.accepted:
            images[phase.phase_id] = PhaseImage.of(phase, parenchyma, settings)
        tell(0.2 + 0.3 * (number + 1) / len(aligned))
    liver = LiverFinding(
        volume_ml=volume_ml(anatomy.liver, geometry, level=settings.level, note=PART_INSIDE if cut else ""),
        voxels=int(anatomy.liver.sum()),
        mean_hu=tuple(liver_mean(phase, images.get(phase.phase_id), settings) for phase in aligned),
        complete=not cut,
    )
    lesions: list[LesionFinding] = []
    for number, (lesion_box, mask) in enumerate(_lesions(anatomy.lesions, box)):
        uids = {lesion.tracking_uid for lesion in lesions}
        lesions.append(
            _lesion(number + 1, lesion_box, mask, anatomy, aligned, images, parenchyma, study_uid, settings, uids)
        )
        tell(0.5 + 0.5 * (number + 1) / len(anatomy.confidence))
    burden = _burden(lesions, liver, settings)
    tell(1.0)
    return Findings(reference_phase, liver, burden, tuple(lesions), tuple(notices))


def liver_is_cut(liver: Mask, geometry: Geometry, area_mm2: float) -> bool:
    """Whether at least this area of the liver lies in one outermost slice, row or column of the volume."""
    dz, dy, dx = geometry.spacing_mm
    for axis, face_mm2 in enumerate((dy * dx, dz * dx, dz * dy)):
        if liver.shape[axis] == 1:
            return True
        for end in (0, -1):
            if float(np.take(liver, end, axis=axis).sum()) * face_mm2 >= area_mm2:
                return True
    return False


def _lesions(lesions: NDArray[np.uint16], within: Box) -> list[tuple[Box, Mask]]:
    """Bounding box (native grid) and mask in it of lesion 1, 2, ...; `within` holds them all."""
    from scipy.ndimage import find_objects

    inside = lesions[within]
    found = []
    for number, part in enumerate(find_objects(inside.astype(np.int32)), start=1):
        if part is None:
            raise Fault(f"lesion {number} has no voxel")
        z, y, x = (slice(o.start + s.start, o.start + s.stop) for o, s in zip(within, part, strict=True))
        found.append(((z, y, x), inside[part] == number))
    return found


def _lesion(
    number: int,
    box: Box,
    mask: Mask,
    anatomy: Anatomy,
    aligned: Sequence[AlignedPhase],
    images: dict[str, PhaseImage],
    parenchyma: Parenchyma,
    study_uid: str,
    settings: MeasureSettings,
    taken: set[str],
) -> LesionFinding:
    geometry = anatomy.geometry
    cut = any(s.start == 0 or s.stop == n for s, n in zip(box, geometry.shape, strict=True))
    size = sizes(mask, geometry.crop(box), level=settings.level, note=PART_INSIDE if cut else "")
    notices = []
    if cut:
        notices.append(
            Notice("lesion_cut", f"Lesion {number} reaches the edge of the volume; its sizes are those of the part"
                                 " inside.")
        )  # fmt: skip
    inside = parenchyma.holds(box)
    shell = parenchyma.shell(inside, number)
    enhancement: list[Enhancement] = []
    stand_in: list[str] = []
    for phase in aligned:
        found, notice = lesion_enhancement(
            phase, images.get(phase.phase_id), parenchyma, (inside, mask), shell, settings, geometry.voxel_volume_ml
        )
        enhancement.append(found)
        if notice is not None:
            stand_in.append(phase.phase_id)
            text = notice.text
    if stand_in:
        notices.append(Notice("shell_whole_liver", f"Lesion {number} ({', '.join(stand_in)}): {text}."))
    centre = geometry.to_lps_mm(np.argwhere(mask).mean(axis=0) + [s.start for s in box])
    x, y, z = (float(c) for c in centre)
    return LesionFinding(
        id=number,
        tracking_uid=_tracking_uid(study_uid, (x, y, z), taken),
        volume_ml=size.volume_ml,
        voxels=size.voxels,
        long_axis=size.long_axis,
        short_axis=size.short_axis,
        max_3d_diameter=size.max_3d,
        axial_slice=box[0].start + size.slice_index,
        centre_lps_mm=(x, y, z),
        confidence=_confidence(anatomy.confidence[number - 1]),
        enhancement=tuple(enhancement),
        notices=tuple(notices),
    )


def _confidence(score: float | None) -> Estimate:
    return Estimate.cannot_tell("the engine gives no confidence") if score is None else Estimate(float(score))


def _tracking_uid(study_uid: str, centre_lps_mm: tuple[float, float, float], taken: set[str]) -> str:
    """From the study and the centre rounded to 1 mm; a second lesion with the same centre gets the next number."""
    place = ",".join(str(round(c)) for c in centre_lps_mm)
    uid, turn = derived_uid(study_uid, "lesion", place), 2
    while uid in taken:
        uid, turn = derived_uid(study_uid, "lesion", place, str(turn)), turn + 1
    return uid


def _burden(lesions: Sequence[LesionFinding], liver: LiverFinding, settings: MeasureSettings) -> Burden:
    """Sums over the lesions. Intervals of the sum: the lesions' half widths added in squares."""
    if not lesions:
        percent = Estimate(0.0) if liver.complete else Estimate.cannot_tell(_NO_SHARE)
        return Burden(0, Estimate(0.0), percent, Estimate.cannot_tell("no lesion"))
    parts = [lesion.volume_ml for lesion in lesions]
    total = float(sum(part.estimate or 0.0 for part in parts))
    half = float(np.sqrt(sum(((part.high or 0.0) - (part.estimate or 0.0)) ** 2 for part in parts)))
    cut = any(notice.code == "lesion_cut" for lesion in lesions for notice in lesion.notices)
    method = "sum over lesions, errors added in squares; the outlines taken as right"
    if cut:
        method += f"; a lesion is cut: {PART_INSIDE}"
    volume = Estimate(total, max(total - half, 0.0), total + half, settings.level, method)
    whole = liver.volume_ml.estimate or 0.0
    if not liver.complete:
        percent = Estimate.cannot_tell(_NO_SHARE)
    else:
        share = 100.0 / whole
        percent = Estimate(
            total * share, max(total - half, 0.0) * share, (total + half) * share, settings.level,
            method + "; error of the liver's volume left out",
        )  # fmt: skip
    longest = max(lesions, key=lambda lesion: lesion.long_axis.length_mm.estimate or 0.0)
    return Burden(len(lesions), volume, percent, longest.long_axis.length_mm)


_NO_SHARE = "the edge of the volume cuts the liver, so its whole volume is not known"

"""Somebody else's network as an engine: its labels brought to hepar's organ map and anatomy."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused, WrongCall
from hepar.record import AlignedPhase, Anatomy, Notice, Organ, OrganMap, PhaseLabel, Vein, Volume
from hepar.segment.builtin import Builtin
from hepar.segment.engine import Progress, silent
from hepar.segment.external import kinds
from hepar.segment.external.licence import Consent, require
from hepar.segment.external.mapping import LIVER, EngineFile
from hepar.segment.external.nifti import nearest, read_labels, upright, write_scan
from hepar.segment.external.onnx import OnnxNetwork, to_native
from hepar.segment.external.tool import Limits, ask, run_tool
from hepar.segment.grid import model_geometry, onto_model
from hepar.segment.liver import cut_notice, find_liver
from hepar.segment.settings import SegmentSettings
from hepar.segment.vessels import outline_vessels

_AGREE = 0.8
_INSIDE = 0.5


@dataclass(frozen=True, eq=False)
class Components:
    """labels: uint16, ids by falling volume. specks: regions too small for a lesion. away: regions not at the liver."""

    labels: NDArray[np.uint16]
    count: int
    specks: int
    away: int


class External:
    """Implements `Engine` over an engine file.

    What the tool does not outline comes from the built-in network: other organs, vessels, and lesions where it gives
    none; the anatomy's notices say so. Raises WrongCall where the licence was not accepted (consent: who is asked) or
    the tool is not there. builtin: another built-in engine than the one that ships. The tool runs once for each phase
    that its file asks for.
    """

    def __init__(
        self,
        file: EngineFile,
        settings: SegmentSettings,
        consent: Consent | None = None,
        builtin: Builtin | None = None,
    ) -> None:
        require(file.licence, consent)
        kinds.check(file)
        self.file, self.settings = file, settings
        self.name = file.name
        networks = file.runs if file.kind == "onnx" else ()
        self.onnx = [OnnxNetwork(file, run, settings.precision, settings.threads) for run in networks]
        self._hashes: dict[Path, str] = {}
        self.version = self._version()
        self.precision = settings.precision if file.kind == "onnx" else "the tool's own"
        self._builtin = builtin or Builtin(settings)
        self.log: list[dict[str, Any]] = []
        self._labels: WeakKeyDictionary[Volume, NDArray[np.uint8]] = WeakKeyDictionary()
        self._coarse: WeakKeyDictionary[Volume, OrganMap | Refused] = WeakKeyDictionary()

    @property
    def weights_sha256(self) -> str:
        """Over the model's files where they are known; "" where not."""
        return kinds.weights_sha256(self.file, self._hashes)

    @property
    def described(self) -> dict[str, Any]:
        """What belongs to the settings of an analysis: the file without its places, version, the network that fills."""
        return {**self.file.described, "version": self.version, "filled_by": self._builtin.version}

    def organs(self, volume: Volume, progress: Progress = silent) -> OrganMap:
        """See `Engine.organs`. With phases = "reference" this is the built-in network's map."""
        if volume.modality != "CT":
            raise Refused(f"engine {self.name} is used on CT only, got {volume.modality}; no model supports it yet")
        if self.file.phases == "reference":
            found = self._builtin_map(volume)
            progress(1.0)
            if isinstance(found, Refused):
                raise found
            return found
        labels = self._native(volume, lambda done: progress(0.9 * done))
        self._check_liver(volume, labels)
        organs = self._organ_map(volume, labels)
        progress(1.0)
        return organs

    def anatomy(
        self,
        reference: Volume,
        organs: OrganMap,
        others: Sequence[AlignedPhase] = (),
        progress: Progress = silent,
        *,
        labels: Sequence[PhaseLabel] = (),
    ) -> Anatomy:
        """See `Engine.anatomy`. The tool's outlines stand as they are; lesions carry no confidence."""
        answer = self._native(reference, lambda done: progress(0.7 * done))
        given = self.file.organs
        notices = [self._notice()]
        liver = np.isin(answer, LIVER)
        if Organ.LIVER in given:
            self._check_liver(reference, answer)
        if not {Organ.LIVER, Organ.LESION} <= given:
            filled = self._filled(reference, answer, others, labels)
            progress(0.95)
        else:
            filled = None
        if Organ.LIVER not in given and filled is not None:
            # Before the tool's lesions: what it calls a lesion must touch the built-in liver to count.
            liver = filled.liver | (answer == Organ.LESION)
            text = f"{self.name} gives no liver: its outline is the built-in model's"
            notices.append(Notice("liver_by_builtin", text))
        if Organ.LESION in given:
            least = self.settings.lesion_min_ml
            found = components(answer == Organ.LESION, liver & (answer != Organ.LESION), reference, least)
            lesions = found.labels
            confidence: tuple[float | None, ...] = (None,) * found.count
            liver = (liver & (answer != Organ.LESION)) | (lesions > 0)
            if found.specks:
                text = f"{self.name} outlined regions below {least:g} ml, no lesions here: {found.specks}"
                notices.append(Notice("engine_specks", text))
            if found.away:
                text = f"{self.name} outlined lesions that do not touch the liver, left out: {found.away}"
                notices.append(Notice("engine_lesions_away", text))
        else:
            assert filled is not None
            lesions, confidence = inside_only(filled, liver)
            liver = liver | (lesions > 0)
            text = f"{self.name} gives no lesions: they are the built-in model's, inside the liver of {self.name}"
            notices.append(Notice("lesions_by_builtin", text))
        veins = self._veins(reference, answer, liver, lesions, organs if filled is None else None, filled)
        notices += self._disagreement(reference, liver)
        progress(1.0)
        return Anatomy(
            geometry=reference.geometry,
            liver=liver,
            lesions=lesions,
            veins=veins,
            confidence=confidence,
            notices=(*notices, *cut_notice(reference, liver)),
        )

    def _native(self, volume: Volume, progress: Progress) -> NDArray[np.uint8]:
        """Values of `Organ` on the scan's own grid, all runs over each other; asked once for each volume."""
        if volume not in self._labels:
            merged = np.zeros(volume.geometry.shape, np.uint8)
            for number in range(len(self.file.runs)):
                share = _share(progress, number, len(self.file.runs))
                one = self._answer(volume, number, share)
                merged[one > 0] = one[one > 0]
            self._labels[volume] = merged
        progress(1.0)
        return self._labels[volume]

    def _answer(self, volume: Volume, number: int, progress: Progress) -> NDArray[np.uint8]:
        """The labels of one run on the scan's grid."""
        file, run = self.file, self.file.runs[number]
        if file.kind == "onnx":
            return to_native(self.onnx[number].scores(volume, progress), volume.geometry)
        straight = upright(volume)
        with tempfile.TemporaryDirectory(prefix="hepar-") as folder:
            workspace = Path(folder).resolve()
            call = kinds.call(file, run, workspace, self.settings.threads)
            write_scan(straight, call.scan)
            progress(0.05)
            outcome = run_tool(
                self.name, call.words, folder=workspace, limits=Limits(file.timeout_s, file.max_memory_bytes),
                environment=file.environment, threads=self.settings.threads, private=self._private(workspace),
                log=file.log,
            )  # fmt: skip
            self.log.append({"run": run.task or f"{number + 1} of {len(file.runs)}", **outcome.as_dict()})
            found = answer_file(call.answer, self.name)
            labels = read_labels(
                found, straight.geometry, engine=self.name, any_grid=file.any_grid,
                convert=lambda array: run.convert(array, self.name),
            )  # fmt: skip
        if straight is not volume:
            labels = nearest(labels, straight.geometry, volume.geometry)
        return labels

    def _builtin_map(self, volume: Volume) -> OrganMap | Refused:
        """The built-in network's organs, or why it found no liver."""
        if volume not in self._coarse:
            try:
                self._coarse[volume] = self._builtin.organs(volume)
            except Refused as reason:
                self._coarse[volume] = reason
        return self._coarse[volume]

    def _organ_map(self, volume: Volume, labels: NDArray[np.uint8]) -> OrganMap:
        """The tool's organs at 3 mm; what it does not outline is the built-in network's, where the tool has nothing."""
        geometry = model_geometry(volume.geometry)
        coarse = nearest(labels, volume.geometry, geometry)
        score = _share_of(np.isin(labels, LIVER), volume, geometry)
        lesion = _share_of(labels == Organ.LESION, volume, geometry)
        inside, was = score >= 128, np.isin(coarse, LIVER)
        coarse[was & ~inside] = Organ.BACKGROUND
        coarse[inside & ~was] = Organ.LIVER
        found = self._builtin_map(volume)
        if not isinstance(found, Refused):
            missing = [organ for organ in Organ if organ and organ not in self.file.organs and organ not in LIVER]
            fill = (coarse == Organ.BACKGROUND) & np.isin(found.labels, missing)
            coarse[fill] = found.labels[fill]
            if Organ.HEPATIC_VESSEL not in self.file.organs:
                coarse[(coarse == Organ.LIVER) & (found.labels == Organ.HEPATIC_VESSEL)] = Organ.HEPATIC_VESSEL
            if Organ.LESION not in self.file.organs:
                lesion = np.where(inside, found.lesion_score, 0).astype(np.uint8)
        return OrganMap(coarse, lesion, geometry, score)

    def _filled(
        self, volume: Volume, answer: NDArray[np.uint8], others: Sequence[AlignedPhase], labels: Sequence[PhaseLabel]
    ) -> Anatomy:
        """The built-in anatomy, inside the tool's liver where the tool gives one."""
        found = self._builtin_map(volume)
        if isinstance(found, Refused):
            raise found
        if Organ.LIVER in self.file.organs:
            found = self._organ_map(volume, answer)
        return self._builtin.anatomy(volume, found, others, labels=labels)

    def _veins(
        self,
        volume: Volume,
        labels: NDArray[np.uint8],
        liver: NDArray[np.bool_],
        lesions: NDArray[np.uint16],
        organs: OrganMap | None,
        filled: Anatomy | None,
    ) -> NDArray[np.uint8]:
        """Vessels inside the liver, never lesion: the tool's, of unknown tree, or the built-in model's."""
        if Organ.HEPATIC_VESSEL in self.file.organs:
            own = (labels == Organ.HEPATIC_VESSEL) & (lesions == 0)
            return np.where(own, np.uint8(Vein.UNKNOWN), np.uint8(Vein.NONE))
        if filled is not None:
            return np.where(liver & (lesions == 0), filled.veins, np.uint8(Vein.NONE))
        if isinstance(self._builtin_map(volume), Refused):
            return np.zeros(labels.shape, np.uint8)
        return outline_vessels(volume, self._organ_map(volume, labels), liver, lesions)

    def _check_liver(self, volume: Volume, labels: NDArray[np.uint8]) -> None:
        """Raises Refused ("no liver found") for an answer without a plausible liver."""
        geometry = model_geometry(volume.geometry)
        plain = nearest(labels, volume.geometry, geometry)
        find_liver(OrganMap(plain, np.zeros_like(plain), geometry), onto_model(volume, geometry), self.settings)

    def _disagreement(self, volume: Volume, liver: NDArray[np.bool_]) -> list[Notice]:
        """A notice when the built-in network sees another liver (Dice at 3 mm below 0.8)."""
        found = self._builtin_map(volume)
        if isinstance(found, Refused) or Organ.LIVER not in self.file.organs:
            text = f"the built-in network finds no liver where {self.name} outlined one; look at the outline"
            return [Notice("engine_disagrees", text)] if Organ.LIVER in self.file.organs else []
        one = nearest(liver.astype(np.uint8), volume.geometry, found.geometry) > 0
        dice = 2 * float((one & found.liver).sum()) / max(1.0, float(one.sum() + found.liver.sum()))
        if dice >= _AGREE:
            return []
        text = f"the livers of {self.name} and of the built-in network differ (Dice {dice:.2f}); look at the outline"
        return [Notice("engine_disagrees", text)]

    def _notice(self) -> Notice:
        return Notice(
            "foreign_engine",
            f"outlined by {self.name} {self.version} (licence: {self.file.licence.name}), not by hepar's own model:"
            " hepar's accuracy figures do not hold for these outlines",
        )

    def _version(self) -> str:
        """What the tool says of itself, short enough for DICOM."""
        file = self.file
        if file.kind == "onnx":
            return f"onnx-{self.weights_sha256[:12]}"
        words, told = kinds.version_words(file), ""
        if words:
            with tempfile.TemporaryDirectory(prefix="hepar-") as folder:
                try:
                    told = ask(self.name, words, environment=file.environment, folder=Path(folder))
                except WrongCall as error:
                    if file.kind in ("nnunet", "monai") and "cannot be run" not in str(error):
                        raise WrongCall(kinds.no_package(file)) from None
                    raise
        parts = [kinds.title(file.kind) + told if told else "", kinds.stated_version(file)]
        return " ".join(part for part in parts if part)[:38].strip() or "of unknown version"

    def _private(self, workspace: Path) -> dict[str, str]:
        """Places on this machine, and what stands for them in what is kept."""
        places = {str(workspace): "<workspace>", str(Path.home()): "<home>"}
        file = self.file
        for place, name in ((file.model, "<model>"), (file.python, "<python>"), (file.executable, "<tool>")):
            if place and "/" in str(place):
                places[str(place)] = name
        return places


def components(lesion: NDArray[np.bool_], liver: NDArray[np.bool_], volume: Volume, least_ml: float) -> Components:
    """Each region of lesion voxels that touch by a face, numbered by falling volume.

    Regions below least_ml, and those that do not touch the rest of the liver, are left out and counted.
    """
    from scipy import ndimage

    parts, count = ndimage.label(lesion)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    large = [n for n in range(1, count + 1) if sizes[n] * volume.geometry.voxel_volume_ml >= least_ml]
    boxes = ndimage.find_objects(parts)
    kept = []
    for number in large:
        box = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in boxes[number - 1])
        if liver[box][ndimage.binary_dilation(parts[box] == number)].any():
            kept.append(number)
    kept.sort(key=lambda n: (-int(sizes[n]), n))
    lookup = np.zeros(count + 1, np.uint16)
    lookup[kept] = np.arange(1, len(kept) + 1)
    return Components(lookup[parts], len(kept), count - len(large), len(large) - len(kept))


def inside_only(filled: Anatomy, liver: NDArray[np.bool_]) -> tuple[NDArray[np.uint16], tuple[float | None, ...]]:
    """The lesions that lie for at least half of their volume in a liver, whole and renumbered, with confidence."""
    count = len(filled.confidence)
    sizes = np.bincount(filled.lesions.ravel(), minlength=count + 1)
    inside = np.bincount(filled.lesions[liver], minlength=count + 1)
    kept = [n for n in range(1, count + 1) if inside[n] >= _INSIDE * sizes[n]]
    lookup = np.zeros(count + 1, np.uint16)
    lookup[kept] = np.arange(1, len(kept) + 1)
    return lookup[filled.lesions], tuple(filled.confidence[n - 1] for n in kept)


def answer_file(answer: Path, engine: str) -> Path:
    """The file that a tool wrote, or the only NIfTI below the folder that it was given."""
    if answer.is_dir():
        written = sorted(p for p in answer.rglob("*") if p.name.endswith((".nii.gz", ".nii")))
        if len(written) == 1:
            return written[0]
        found = f"{len(written)} NIfTI files" if written else "nothing"
        raise WrongCall(f"engine {engine} ended well but wrote {found}; needed is one label map, name it as output")
    if not answer.is_file():
        raise WrongCall(f"engine {engine} ended well but wrote no label map; check its arguments and output")
    return answer


def _share_of(mask: NDArray[np.bool_], volume: Volume, geometry: Any) -> NDArray[np.uint8]:
    """255 x the share of the mask around each point of the 3 mm grid, blurred as the scan itself would be."""
    thousand = Volume(mask.astype(np.int16) * np.int16(1000), volume.geometry, "CT")
    share: NDArray[np.uint8] = np.rint(np.clip(onto_model(thousand, geometry), 0, 1000) * 0.255).astype(np.uint8)
    return share


def _share(progress: Progress, number: int, count: int) -> Progress:
    return lambda fraction: progress((number + fraction) / count)

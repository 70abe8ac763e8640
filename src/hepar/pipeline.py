"""One examination, from files to delivered documents, in the order it happens."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import hepar
from hepar import harmonise, ingest, measure, report, segment
from hepar.errors import Refused
from hepar.record import (
    AlignedPhase,
    Anatomy,
    Findings,
    Notice,
    OrganMap,
    Phase,
    PhaseLabel,
    Provenance,
    Skipped,
    Study,
)
from hepar.segment import Consent, Engine
from hepar.settings import Settings

BASE_BYTES = 900 * 2**20
"""Libraries, network and its work on the 3 mm grid."""
WORK_BYTES_PER_VOXEL = 12
"""Of the largest phase: outlines, aligned phases, documents. Both measured as peaks of whole runs."""


class Progress(Protocol):
    """Told how far a named step is: a fraction 0..1; 1.0 ends the step."""

    def __call__(self, step: str, fraction: float) -> None: ...


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    source: folder, zip or image file. study_uid: which study, where there are several.
    modality: for formats that carry none. phase_paths: series whose label the user knows, by folder or file.
    engine: a name or an engine file. consent: shows its licence and asks; None where nobody can be asked.
    site: folder of a site's own model, which the built-in engine then uses.
    max_memory_bytes: a study that would need more is refused before its voxels are read; None: what is free.
    """

    source: Path
    study_uid: str | None = None
    modality: str | None = None
    phase_paths: Mapping[PhaseLabel, Path] = field(default_factory=dict)
    engine: str = "builtin"
    site: Path | None = None
    consent: Consent | None = None
    with_identity: bool = False
    max_memory_bytes: int | None = None


@dataclass(frozen=True, eq=False)
class Examination:
    """Everything known about one examination before it is written down."""

    study: Study
    phases: tuple[Phase, ...]
    aligned: tuple[AlignedPhase, ...]
    anatomy: Anatomy
    findings: Findings
    provenance: Provenance
    warnings: tuple[Notice, ...]


@dataclass
class Clock:
    """Seconds and peak resident memory of each step and of each program called; only `run.json` holds them."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, progress: Progress) -> Iterator[Callable[[float], None]]:
        """Time a step, and tell its progress."""
        progress(name, 0.0)
        began = time.perf_counter()
        yield lambda fraction: progress(name, min(max(fraction, 0.0), 0.999))
        self.steps.append(
            {"step": name, "seconds": round(time.perf_counter() - began, 3), "peak_memory_mb": peak_memory_mb()}
        )
        progress(name, 1.0)


def analyze(request: Request, settings: Settings, out: Path, *, overwrite: bool, progress: Progress) -> dict[str, Any]:
    """Analyse one study and deliver all documents at `out`; returns the findings document.

    Raises Refused when the study cannot be analysed, WrongCall for an impossible request, Fault when a written
    document does not hold what was meant; then nothing is delivered.
    """
    report.check_target(out, source=request.source, overwrite=overwrite)
    clock = Clock()
    engine = segment.engine(request.engine, settings.segment, consent=request.consent, site=request.site)
    settings = replace(settings, engine=segment.described(engine))
    with tempfile.TemporaryDirectory(prefix="hepar-") as workspace:
        examination = examine(request, settings, engine, Path(workspace), clock, progress)
        clock.calls += segment.calls(engine)
        with report.delivered(out) as folder:
            return _write(examination, request, settings, folder, clock, progress)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A study before its liver and lesions are outlined: phases named and aligned.

    organs: by phase id. aligned: every phase, the reference too. others, labels: what `Engine.anatomy` is given.
    """

    study: Study
    phases: tuple[Phase, ...]
    organs: Mapping[str, OrganMap]
    reference: Phase
    aligned: tuple[AlignedPhase, ...]
    skipped: tuple[Skipped, ...]
    notices: tuple[Notice, ...]

    @property
    def others(self) -> list[AlignedPhase]:
        """The phases beside the reference that fit it."""
        return [a for a in self.aligned if a.accepted and a.phase_id != self.reference.id]

    @property
    def labels(self) -> list[PhaseLabel]:
        """The label of the reference, then of each of the others."""
        named = {phase.id: phase.guess.label for phase in self.phases}
        return [named[self.reference.id], *(named[a.phase_id] for a in self.others)]


def prepare(
    request: Request, settings: Settings, engine: Engine, workspace: Path, clock: Clock, progress: Progress
) -> Prepared:
    """Steps 1 to 3 as far as the outlines: read, outline the organs of each phase, name and align the phases."""
    with clock.step("read", progress) as tell:
        asked: dict[str, Any] = {
            "settings": settings.ingest,
            "study_uid": request.study_uid,
            "modality": request.modality,
            "phase_paths": request.phase_paths,
        }
        _check_memory(request, asked)
        study = ingest.read_study(request.source, **asked, workspace=workspace, progress=tell)
    if study.modality != "CT":
        raise Refused(
            f"this is a {study.modality} study; hepar reads and inspects it, but no model supports {study.modality} yet"
        )
    with clock.step("organs", progress) as tell:
        phases, organs, without_liver = _outline_organs(study, engine, tell)
    with clock.step("phases", progress):
        phases, phase_notices = _label(phases, organs)
        reference = measure.choose_reference(phases, settings.reference)
    with clock.step("align", progress) as tell:
        aligned = _align(phases, organs, reference, settings, tell)
    return Prepared(study, tuple(phases), organs, reference, tuple(aligned), tuple(without_liver), tuple(phase_notices))


def examine(
    request: Request, settings: Settings, engine: Engine, workspace: Path, clock: Clock, progress: Progress
) -> Examination:
    """Steps 1 to 4: read, outline the organs of each phase, name and align the phases, outline, measure."""
    ready = prepare(request, settings, engine, workspace, clock, progress)
    study, reference, aligned = ready.study, ready.reference, ready.aligned
    with clock.step("outline", progress) as tell:
        anatomy = engine.anatomy(reference.volume, ready.organs[reference.id], ready.others, tell, labels=ready.labels)
    with clock.step("measure", progress):
        findings = measure.measure(
            anatomy, aligned, reference_phase=reference.id, study_uid=study.uid, settings=settings.measure
        )
    provenance = Provenance(
        version=hepar.__version__,
        settings_sha256=settings.sha256,
        weights_sha256=engine.weights_sha256,
        input_sha256=study.input_sha256,
        engine=f"{engine.name} {engine.version}",
        precision=engine.precision,
        cpu=cpu_name(),
    )
    refused = [Notice("phase_not_aligned", f"{a.phase_id}: {a.reason}") for a in aligned if not a.accepted]
    return Examination(
        study=_with_skipped(study, ready.skipped),
        phases=ready.phases,
        aligned=aligned,
        anatomy=anatomy,
        findings=findings,
        provenance=provenance,
        warnings=(*study.warnings, *ready.notices, *refused, *anatomy.notices, *findings.notices),
    )


def _check_memory(request: Request, asked: Mapping[str, Any]) -> None:
    """Refuse a study that would need more memory than it may have, before a voxel is read."""
    with tempfile.TemporaryDirectory(prefix="hepar-") as workspace:
        found = ingest.inspect(request.source, **asked, workspace=Path(workspace))
    shapes = [s.geometry.shape for s in found.series if s.analysed and s.geometry is not None]
    voxels = [rows * columns * slices for slices, rows, columns in shapes]
    limit = request.max_memory_bytes or free_memory_bytes()
    needed = BASE_BYTES + 2 * sum(voxels) + WORK_BYTES_PER_VOXEL * max(voxels, default=0)
    if found.refusal or limit is None or needed <= limit:
        return
    raise Refused(
        f"this study needs about {needed / 2**30:.1f} GiB of memory, {limit / 2**30:.1f} GiB may be used; close other"
        " programs, raise --max-memory, or give fewer series"
    )


def _outline_organs(
    study: Study, engine: Engine, tell: Callable[[float], None]
) -> tuple[list[Phase], dict[str, OrganMap], list[Skipped]]:
    """The organs of every phase; a phase without a liver is left out, a study without one is refused."""
    phases: list[Phase] = []
    organs: dict[str, OrganMap] = {}
    without: list[Skipped] = []
    reasons: list[Refused] = []
    for number, phase in enumerate(study.phases):
        try:
            organs[phase.id] = engine.organs(phase.volume, _share(tell, number, len(study.phases)))
            phases.append(phase)
        except Refused as reason:
            reasons.append(reason)
            images = phase.volume.geometry.shape[0]
            without.append(Skipped(phase.series_uid, study.modality, images, Notice("no_liver", str(reason))))
    if not phases:
        raise reasons[0]
    return phases, organs, without


def _label(phases: Sequence[Phase], organs: Mapping[str, OrganMap]) -> tuple[list[Phase], list[Notice]]:
    """Confirm or overrule each phase's label from the enhancement of its organs."""
    evidence = [measure.phase_evidence(measure.organ_enhancement(phase.volume, organs[phase.id])) for phase in phases]
    fused = measure.fuse_study([phase.guess for phase in phases], evidence)
    labelled = [phase.labelled(guess) for phase, (guess, _) in zip(phases, fused, strict=True)]
    notices = [
        Notice(notice.code, f"{phase.id}: {notice.text}")
        for phase, (_, notice) in zip(phases, fused, strict=True)
        if notice is not None
    ]
    return labelled, notices


def _align(
    phases: Sequence[Phase],
    organs: Mapping[str, OrganMap],
    reference: Phase,
    settings: Settings,
    tell: Callable[[float], None],
) -> list[AlignedPhase]:
    """Every phase on the reference's grid, around the liver; the reference as it is."""
    box = harmonise.liver_box(organs[reference.id], reference.volume.geometry, settings.harmonise.margin_mm)
    aligned: list[AlignedPhase] = []
    for number, phase in enumerate(phases):
        if phase.id == reference.id:
            aligned.append(harmonise.identity(phase.id, phase.volume, box))
        else:
            transform, residual = harmonise.register(
                reference.volume,
                phase.volume,
                reference_organs=organs[reference.id],
                moving_organs=organs[phase.id],
                settings=settings.harmonise,
                progress=_share(tell, number, len(phases)),
            )
            aligned.append(
                harmonise.align(
                    phase.id,
                    phase.volume,
                    reference=reference.volume.geometry,
                    box=box,
                    transform=transform,
                    residual=residual,
                    settings=settings.harmonise,
                )
            )
        tell((number + 1) / len(phases))
    return aligned


def _share(tell: Callable[[float], None], number: int, count: int) -> Callable[[float], None]:
    """The progress of part `number` of `count` as progress of the whole."""
    return lambda fraction: tell((number + 0.9 * fraction) / count)


def _with_skipped(study: Study, more: Sequence[Skipped]) -> Study:
    return replace(study, skipped=(*study.skipped, *more))


def _write(
    examination: Examination, request: Request, settings: Settings, folder: Path, clock: Clock, progress: Progress
) -> dict[str, Any]:
    """Step 6: every document, each read back; `run.json` last."""
    e = examination
    with clock.step("findings", progress):
        document = report.findings_document(
            e.study, e.phases, e.aligned, e.findings, e.provenance,
            with_identity=request.with_identity, warnings=e.warnings,
            operating_point=e.anatomy.operating_point,
        )  # fmt: skip
        report.write_findings(document, folder / "findings.json")
        report.write_masks(e.anatomy, folder / "masks")
    reference = next(phase for phase in e.phases if phase.id == e.findings.reference_phase)
    if e.study.dicom:
        with clock.step("dicom", progress) as tell:
            segmentation = folder / "segmentation.dcm"
            report.write_segmentation(
                segmentation, e.anatomy, e.findings, reference, e.provenance, study_uid=e.study.uid
            )
            tell(0.7)
            report.write_measurements(
                folder / "measurements.dcm", document, e.findings, reference, e.provenance,
                segmentation=segmentation, study_uid=e.study.uid,
            )  # fmt: skip
    with clock.step("report", progress) as tell:
        content = report.report_content(document, e.anatomy, e.aligned)
        tell(0.5)
        report.write_html(content, folder / "report.html")
        report.write_pdf(content, folder / "report.pdf")
    report.write_run(
        folder / "run.json", document, settings.as_dict(), clock.steps,
        threads=settings.segment.threads, peak_memory_mb=peak_memory_mb(), calls=clock.calls,
    )  # fmt: skip
    return document


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if platform.system() == "Darwin" else 1e3), 1)


def free_memory_bytes() -> int | None:
    """Memory that a new program could get, where the system says (Linux)."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return None
    lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def cpu_name() -> str:
    """The processor's name and the vector instructions that change floating-point results."""
    name, flags = platform.processor() or platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        fields = dict(
            line.split(":", 1)
            for line in cpuinfo.read_text(errors="replace").split("\n\n")[0].splitlines()
            if ":" in line
        )
        by_name = {key.strip(): value.strip() for key, value in fields.items()}
        name = by_name.get("model name", name)
        present = set(by_name.get("flags", "").split())
        flags = " ".join(f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in present)
    return f"{name} ({flags})" if flags else name

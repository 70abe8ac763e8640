"""What ingest tolerates, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IngestSettings:
    """Every limit of reading. Lengths in millimetres, angles in degrees, times in seconds, sizes in bytes."""

    # Limits on what is opened at all: a whole-body multi-phase study has some 10 000 files and 10 GB.
    max_files: int = 200_000
    max_unpacked_bytes: int = 64 * 1024**3
    # Deflate cannot exceed 1032:1; CT slices reach 2 to 10, empty ones 1000. Only large archives can do harm.
    max_zip_ratio: float = 200.0
    zip_ratio_free_bytes: int = 2 * 1024**3
    # 1024 x 1024 x 1024 voxels of int16 are 2 GiB, more than the 4 GiB the whole program may use would bear.
    max_volume_voxels: int = 1024**3
    min_rows_and_columns: int = 16

    # A plane needs a neighbour on each side to be measured in three dimensions.
    min_slices: int = 3
    # Liver CT is made with 0.5 to 10 mm; beyond 20 mm (or at zero) the tag is wrong.
    max_spacing_mm: float = 20.0
    min_spacing_mm: float = 0.05
    # Above 5 mm small lesions are missed (LI-RADS v2018 technical recommendations: 2 to 5 mm).
    thick_slice_mm: float = 5.0

    # Positions are written with 3 to 6 decimals; two slices closer than this lie on each other.
    same_position_mm: float = 0.02
    # A tenth of a slice step moves a volume by well under 2 %; real jitter is rounding, below 0.05 mm.
    max_jitter_mm: float = 0.1
    max_jitter_fraction: float = 0.1
    # Unevenness below this is rounding and not worth a notice.
    quiet_jitter_mm: float = 0.02
    # Slice corners must lie on a line (sheared or not) to fit one affine.
    max_drift_mm: float = 0.5
    # Direction cosines carry 6 decimals (0.0001 degrees); localizers differ by 90 degrees.
    same_orientation_deg: float = 0.2
    # A series whose slices face several ways is whole only if those of one way touch each other, or nearly.
    contradiction_gap: float = 1.5
    same_pixel_spacing_fraction: float = 0.001
    # Gantries tilt in steps of 0.5 degrees.
    min_tilt_deg: float = 0.1

    # Two reconstructions of one spiral carry the same start; phases are at least 10 s apart.
    same_acquisition_s: float = 3.0
    # One spiral through chest and abdomen lasts below 20 s.
    merge_gap_s: float = 20.0
    # Below this the label is "cannot tell".
    min_label_probability: float = 0.6
    # Perfusion and cardiac series have more time points than any liver protocol.
    max_phases_in_series: int = 12

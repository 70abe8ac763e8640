"""The headers and voxels of NIfTI, NRRD and MHA files."""

from __future__ import annotations

import gzip
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.ingest.settings import IngestSettings
from hepar.ingest.source import Item
from hepar.record import Notice

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SUFFIX = {"nifti": ".nii", "nifti.gz": ".nii.gz", "nrrd": ".nrrd", "meta": ".mha", "analyze": ""}
_DAMAGED = Notice("damaged_file", "a file that cannot be read to its end; copy it again")


@dataclass(frozen=True, eq=False)
class Header:
    """shape: voxels of one volume along (slice, row, column) of the file. affine: those indices to LPS mm."""

    kind: str
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    volumes: int
    one_byte: bool
    notices: tuple[Notice, ...]


def kind_of(item: Item) -> str:
    """nifti, nifti.gz, analyze, nrrd, meta, or "" by the first bytes."""
    try:
        with item.open() as stream:
            head = stream.read(352)
            if head[:2] == b"\x1f\x8b":
                stream.seek(0)
                with gzip.GzipFile(fileobj=stream) as unpacked:
                    return "nifti.gz" if _is_nifti(unpacked.read(352)) == "nifti" else ""
    except Exception:
        # Damaged archives and gzip streams raise what their decompressors raise.
        return ""
    if head[:4] == b"NRRD":
        return "nrrd"
    if head.lstrip()[:10] in (b"ObjectType", b"NDims = 3", b"NDims = 3\n") or head.startswith(b"NDims"):
        return "meta"
    return _is_nifti(head)


def _is_nifti(head: bytes) -> str:
    size = head[:4]
    if size in (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c") and len(head) >= 348:
        magic = head[344:347]
        return "nifti" if magic == b"n+1" else "analyze"
    return "nifti" if size in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c") and head[4:7] == b"n+2" else ""


def read_header(item: Item, settings: IngestSettings) -> Header | Notice:
    """The header, or why the file cannot be used."""
    kind = kind_of(item)
    if kind == "analyze":
        return Notice("two_files", "an image of two files (Analyze or .hdr and .img); convert it to one .nii file")
    # nibabel mends and logs odd headers; here they are judged below.
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)
    try:
        header = _nifti_header(item, kind) if kind.startswith("nifti") else _itk_header(item, kind)
    except Exception:
        # nibabel and SimpleITK raise many kinds of errors on broken headers.
        return _DAMAGED
    if isinstance(header, Notice):
        return header
    return _problem(header, settings) or header


def _problem(header: Header, settings: IngestSettings) -> Notice | None:
    linear = header.affine[:3, :3]
    if not np.isfinite(header.affine).all():
        return Notice(
            "affine_broken", "the affine holds values that are no numbers; save the file again with its place"
        )
    steps = np.linalg.norm(linear, axis=0)
    if (steps == 0).any() or abs(float(np.linalg.det(linear / np.maximum(steps, 1e-12)))) < 0.1:
        return Notice("affine_broken", "the affine has no volume (zeros or parallel axes); save the file again")
    if not all(settings.min_spacing_mm <= s <= settings.max_spacing_mm for s in steps):
        sizes = " x ".join(f"{s:g}" for s in steps)
        return Notice(
            "spacing_implausible",
            f"voxels of {sizes} mm, expected {settings.min_spacing_mm:g} to {settings.max_spacing_mm:g} mm",
        )
    if min(header.shape) < settings.min_slices or sorted(header.shape)[1] < settings.min_rows_and_columns:
        return Notice("single_slice", f"a grid of {' x '.join(map(str, header.shape))} is no volume")
    voxels = int(np.prod([float(n) for n in header.shape])) * header.volumes
    if voxels > settings.max_volume_voxels:
        return Notice("too_large", f"{voxels / 1e6:.0f} million voxels, at most {settings.max_volume_voxels / 1e6:.0f}")
    if header.volumes > settings.max_phases_in_series:
        return Notice(
            "dynamic_series", f"{header.volumes} time points, at most {settings.max_phases_in_series} are read"
        )
    return None


def read_volume(item: Item, header: Header, number: int) -> NDArray[Any] | Notice:
    """Volume `number` (from 0) as (slice, row, column) of the file; whole numbers or floats."""
    try:
        path = item.path(_SUFFIX[header.kind])
        if header.kind.startswith("nifti"):
            return _nifti_values(_real_nifti(path, header.kind), number)
        import SimpleITK

        array: NDArray[Any] = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(_itk_path(item, header.kind))))
        return array
    except Exception:
        return _DAMAGED


def _real_nifti(path: Path, kind: str) -> Any:
    """nibabel image whatever the file is called."""
    import nibabel as nib

    with path.open("rb") as stream:
        size = (gzip.GzipFile(fileobj=stream) if kind.endswith("gz") else stream).read(8)
    cls = nib.Nifti2Image if size[4:7] == b"n+2" else nib.Nifti1Image
    if path.name.endswith((".nii.gz", ".nii")):
        return cls.from_filename(str(path))
    # The voxels are read later, from this stream.
    opened = gzip.open(path, "rb") if kind.endswith("gz") else path.open("rb")  # noqa: SIM115
    holder = nib.FileHolder(fileobj=opened)
    return cls.from_file_map({"image": holder, "header": holder})


def _nifti_values(image: Any, number: int) -> NDArray[Any]:
    raw = image.dataobj.get_unscaled()
    slope, inter = image.dataobj.slope, image.dataobj.inter
    plane = raw.reshape((*raw.shape[:3], -1))[..., number] if raw.ndim > 3 else raw
    turned: NDArray[Any] = plane.T
    if slope == 1.0 and inter == 0.0:
        return turned
    if float(slope).is_integer() and float(inter).is_integer() and raw.dtype.kind in "iu" and raw.dtype.itemsize <= 2:
        return turned.astype(np.int32) * int(slope) + int(inter)
    return turned.astype(np.float32) * np.float32(slope) + np.float32(inter)


def _nifti_header(item: Item, kind: str) -> Header | Notice:
    image = _real_nifti(item.path(_SUFFIX[kind]), kind)
    header = image.header
    shape = tuple(int(n) for n in image.shape)
    if (len(shape) > 4 and any(n > 1 for n in shape[4:])) or len(shape) < 3:
        return Notice("not_a_volume", f"{len(shape)} dimensions; a scan has three, or four with its phases")
    if header.get_data_dtype().fields is not None or header.get_data_dtype().kind not in "iuf":
        return Notice("colour_image", "colours or complex numbers, not measured voxels")
    sform, s_code = header.get_sform(coded=True)
    try:
        qform, q_code = header.get_qform(coded=True)
    except Exception:
        # A quaternion longer than 1 cannot be a rotation.
        qform, q_code = None, -1
    notices: list[Notice] = []
    if s_code and s_code > 0:
        affine = np.asarray(sform, dtype=np.float64)
        if q_code and q_code > 0 and qform is not None and not _agree(affine, qform, shape):
            notices.append(Notice("forms_disagree", "sform and qform put the image in different places; sform is used"))
    elif q_code and q_code > 0 and qform is not None:
        affine = np.asarray(qform, dtype=np.float64)
    else:
        return Notice(
            "affine_missing",
            "neither sform nor qform says where the image lies (which side is left); save the file with its affine",
        )
    lps = _RAS_TO_LPS @ affine
    return Header(
        kind=kind,
        shape=(shape[2], shape[1], shape[0]),
        affine=lps[:, [2, 1, 0, 3]],
        volumes=shape[3] if len(shape) > 3 else 1,
        one_byte=header.get_data_dtype().itemsize == 1
        and header.get_data_dtype().kind == "u"
        and not _has_scaling(header),
        notices=tuple(notices),
    )


def _has_scaling(header: Any) -> bool:
    slope, inter = header.get_slope_inter()
    return (slope not in (None, 1.0)) or (inter not in (None, 0.0))


def _agree(a: NDArray[np.float64], b: Any, shape: tuple[int, ...]) -> bool:
    """Whether two affines put every corner of the grid within a millimetre."""
    corners = np.array([[i, j, k, 1] for i in (0, shape[0]) for j in (0, shape[1]) for k in (0, shape[2])])
    return bool(np.abs(corners @ (a - np.asarray(b)).T).max() <= 1.0)


def _itk_path(item: Item, kind: str) -> Path:
    """A path with the ending that SimpleITK goes by."""
    path = item.path(_SUFFIX[kind])
    wanted = (".nrrd", ".nhdr") if kind == "nrrd" else (".mha", ".mhd")
    if path.name.endswith(wanted) or item.workspace is None:
        return path
    link = item.workspace / f"i{item.number:06d}{wanted[0]}"
    if not link.exists():
        item.workspace.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.absolute())
    return link


def _itk_header(item: Item, kind: str) -> Header | Notice:
    import SimpleITK

    with item.open() as stream:
        start = stream.read(16384)
    text = start.split(b"\n\n")[0].split(b"\r\n\r\n")[0].decode("latin-1")
    fields = _fields(text, ":" if kind == "nrrd" else "=")
    data = fields.get("data file") or fields.get("datafile") or fields.get("elementdatafile", "LOCAL")
    if data.upper() != "LOCAL" and (item.archive is not None or "/" in data or "\\" in data or data.split()[0] != data):
        return Notice("two_files", "the voxels are in another file; save the image as one file (.nrrd or .mha)")
    notices: list[Notice] = []
    if kind == "nrrd" and not ({"space", "space dimension"} & set(fields) and "space directions" in fields):
        return Notice("affine_missing", "the file does not say where the image lies; save it with its space directions")
    if kind == "meta" and not {"transformmatrix", "rotation", "orientation"} & set(fields):
        notices.append(Notice("orientation_assumed", "the file does not say how the image lies; standard axes assumed"))
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(_itk_path(item, kind)))
    reader.ReadImageInformation()
    if reader.GetDimension() != 3:
        return Notice("not_a_volume", f"{reader.GetDimension()} dimensions; a scan has three")
    if reader.GetNumberOfComponents() != 1:
        return Notice("colour_image", "colours or vectors, not measured voxels")
    size, spacing = reader.GetSize(), reader.GetSpacing()
    direction = np.array(reader.GetDirection(), dtype=np.float64).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = (direction * np.array(spacing))[:, [2, 1, 0]]
    affine[:3, 3] = reader.GetOrigin()
    one_byte = reader.GetPixelID() == SimpleITK.sitkUInt8
    return Header(kind, (size[2], size[1], size[0]), affine, 1, one_byte, tuple(notices))


def _fields(text: str, separator: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        key, mark, rest = line.partition(separator)
        if mark and not line.startswith("#"):
            found[key.strip().lower()] = rest.strip()
    return found

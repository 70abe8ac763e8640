"""Step 6: what was measured becomes documents (JSON, HTML, PDF, NIfTI masks, DICOM SEG and SR).

Each name is imported where it is first used, so that a user of one document does not pay for the libraries of all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepar.report.content import report_content
    from hepar.report.delivery import check_target, delivered
    from hepar.report.findings import SCHEMA_VERSION, findings_document, validate_findings, write_findings
    from hepar.report.html import write_html
    from hepar.report.images import key_images
    from hepar.report.masks import write_masks
    from hepar.report.measurements import write_measurements
    from hepar.report.pdf import write_pdf
    from hepar.report.run import write_run
    from hepar.report.segmentation import write_segmentation

_HOME = {
    "SCHEMA_VERSION": "findings",
    "check_target": "delivery",
    "delivered": "delivery",
    "findings_document": "findings",
    "key_images": "images",
    "report_content": "content",
    "validate_findings": "findings",
    "write_findings": "findings",
    "write_html": "html",
    "write_masks": "masks",
    "write_measurements": "measurements",
    "write_pdf": "pdf",
    "write_run": "run",
    "write_segmentation": "segmentation",
}
"""Public name -> the module of this folder that holds it."""

__all__ = [
    "SCHEMA_VERSION", "check_target", "delivered", "findings_document", "key_images", "report_content",
    "validate_findings", "write_findings", "write_html", "write_masks", "write_measurements", "write_pdf",
    "write_run", "write_segmentation",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

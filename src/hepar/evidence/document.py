"""`results.json`: the result as plain values, and the schema that every document is checked against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import hepar
from hepar.errors import Fault
from hepar.evidence.arms import Network
from hepar.evidence.comparison import Compared
from hepar.evidence.cutoffs import Thresholds
from hepar.evidence.further import Further
from hepar.evidence.result import Result
from hepar.record.provenance import DISCLAIMER

SCHEMA_VERSION = "1.0"
_INSIDE = {
    "Result": {"table", "fit"}, "Compared": {"fit"}, "Thresholds": {"fit"}, "Network": {"fit"}, "Imperfect": {"theta"},
}  # fmt: skip
"""Fields that stay in Python."""


def results_document(result: Result, input_sha256: str | None = None, further: Further | None = None) -> dict[str, Any]:
    """`pool`'s document. input_sha256: of the table's file, where there was one. further: only its filled parts."""
    beside = {key: value for key, value in plain(further or Further()).items() if value}
    return {**head("pool", input_sha256), **plain(result), **beside}


def thresholds_document(found: Thresholds, input_sha256: str | None = None) -> dict[str, Any]:
    """`thresholds`' document."""
    return {**head("thresholds", input_sha256), **plain(found)}


def network_document(found: Network, input_sha256: str | None = None) -> dict[str, Any]:
    """`network`'s document."""
    return {**head("network", input_sha256), **plain(found)}


def comparison_document(compared: Compared, input_sha256: str | None = None) -> dict[str, Any]:
    """`compare`'s document."""
    return {**head("compare", input_sha256), **plain(compared)}


def write_json(document: dict[str, Any], path: Path) -> None:
    """Check against the schema and write. Raises Fault where the document does not keep to it."""
    check(document)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def check(document: dict[str, Any]) -> None:
    """Raise Fault unless the document keeps to its schema."""
    import jsonschema

    try:
        jsonschema.validate(document, schema(document["kind"]))
    except jsonschema.ValidationError as error:
        place = "/".join(str(part) for part in error.absolute_path)
        text = f"results.json does not keep to its schema at {place or 'its root'}: {error.message[:200]}"
        raise Fault(text) from None


@cache
def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a document: "pool", "compare", "thresholds" or "network"."""
    path = Path(__file__).parent / "schema" / f"evidence-{kind}-{SCHEMA_VERSION}.schema.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def plain(value: Any) -> Any:
    """Dataclasses as objects, arrays and tuples as lists, numbers as Python's; `lambda_` becomes `lambda`.

    A number that is not finite (a ratio that another program prints as NaN) becomes null.
    """
    if is_dataclass(value) and not isinstance(value, type):
        hidden = _INSIDE.get(type(value).__name__, set())
        return {f.name.rstrip("_"): plain(getattr(value, f.name)) for f in fields(value) if f.name not in hidden}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def versions() -> dict[str, str]:
    """What computed the numbers."""
    import scipy

    return {"hepar": hepar.__version__, "numpy": np.__version__, "scipy": scipy.__version__}


def head(kind: str, input_sha256: str | None) -> dict[str, Any]:
    """What every document begins with."""
    return {
        "schema_version": SCHEMA_VERSION, "kind": kind,
        "provenance": {"versions": versions(), "input_sha256": input_sha256, "disclaimer": DISCLAIMER},
    }  # fmt: skip

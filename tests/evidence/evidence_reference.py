"""The tables and the numbers that other software made of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hepar.evidence.fit import Fit, fit
from hepar.evidence.likelihood import bivariate
from hepar.evidence.table import Table, read_table

OWN = Path(__file__).parent / "reference" / "simulated"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "reference"

SIMULATED = (
    "sim_external40", "sim_homogeneous", "sim_k10", "sim_k20", "sim_k4_small", "sim_k5", "sim_large_het", "sim_mvi68",
    "sim_rho_minus1", "sim_sparse12",
)  # fmt: skip
_FROM = {
    "anticcp": ("anticcp", None), "anticcp_ccp1": ("anticcp", ("generation", "CCP1")),
    "anticcp_ccp2": ("anticcp", ("generation", "CCP2")), "ascus_all20": ("ascus", None),
    "ascus_hc2": ("ascus", ("test", "HC2")), "ascus_repc": ("ascus", ("test", "RepC")), "audit_k4": ("audit_k4", None),
    "auditc": ("auditc", None), "catheter": ("catheter", None),
    "catheter_semiquant": ("catheter", ("type", "Semi-quantitative")),
    "coronary_ct_mid": ("coronary_ct_nonevaluable", None), "dementia_mmse": ("dementia_mmse", None),
    "iqcode": ("iqcode_dementia_quadas", None), "kertai": ("kertai", None), "melanoma_cad": ("melanoma_cad", None),
    "melanoma_cad68_no_outliers": ("melanoma_cad", ("Outlier", "no")),
    "melanoma_cad_deep": ("melanoma_cad", ("cad_method", "deep_learning")),
    "melanoma_cad_independent": ("melanoma_cad", ("test_set_independent", "yes")),
    "melanoma_cad_nonindependent": ("melanoma_cad", ("test_set_independent", "no")), "ogt": ("ogt", None),
    "scheidler_ct": ("scheidler", ("modality", "CT")), "scheidler_lag": ("scheidler", ("modality", "LAG")),
    "scheidler_mri": ("scheidler", ("modality", "MRI")), "schuetz_ct": ("schuetz_ct_mri", ("test", "CT")),
    "schuetz_mri": ("schuetz_ct_mri", ("test", "MRI")), "telomerase": ("telomerase", None),
}  # fmt: skip
PUBLISHED = tuple(_FROM)
ALL = SIMULATED + PUBLISHED


def need_shared() -> None:
    if not SHARED.is_dir():
        pytest.skip("needs the published tables in ../shared/reference, which are not here")


def shared_json(name: str) -> Any:
    need_shared()
    return json.loads((SHARED / name).read_text())


def shared_table(name: str) -> Table:
    need_shared()
    return read_table(SHARED / "dta" / f"{name}.csv")


@cache
def table_of(name: str) -> Table:
    if name in SIMULATED:
        return read_table(OWN / f"{name}.csv")
    file, part = _FROM[name]
    table = shared_table(file)
    if part is None:
        return table
    column, level = part
    return table.take([i for i, value in enumerate(table.covariate(column)) if value == level])


@cache
def expected(name: str) -> dict[str, Any]:
    if name in SIMULATED:
        found: dict[str, Any] = json.loads((OWN / f"{name}.json").read_text())
        return found
    return dict(shared_json(f"expected/{name}.json"))


@cache
def fitted(name: str) -> Fit:
    table = table_of(name)
    return fit(bivariate(table.tp, table.n1, table.tn, table.n0))

"""Several readers, several modalities, the same cases: Obuchowski and Rockette's analysis of variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.discrimination import placements_of
from hepar.validate.inputs import Bools, Floats, classes


@dataclass(frozen=True)
class Comparison:
    """One way to generalise: `statistic` (F, or chi-square per degree of freedom) with its degrees of freedom and p;
    difference of the first two modalities, first minus second."""

    generalises_to: str
    statistic: float
    df1: float
    df2: float | None
    p: float
    difference: Estimate


@dataclass(frozen=True, eq=False)
class Mrmc:
    """aucs: modality x reader. The covariances (jackknife over cases): var, one AUC; cov1, same reader, other modality;
    cov2 same modality, other reader; cov3 both other."""

    aucs: Floats
    means: Floats
    var: float
    cov1: float
    cov2: float
    cov3: float
    var_reader: float
    var_modality_reader: float
    ms_modality: float
    ms_modality_reader: float
    random_readers_random_cases: Comparison
    fixed_readers_random_cases: Comparison
    random_readers_fixed_cases: Comparison


def mrmc(truth: ArrayLike, ratings: ArrayLike, *, method: str = "or", level: float = 0.95) -> Mrmc:
    """Obuchowski-Rockette with Hillis' degrees of freedom; AUC by Wilcoxon, covariance by the jackknife (as RJafroc).

    truth: one value per case. ratings: modality x reader x case, higher means positive; two or more of each.
    method: "or", or "dbm" (Dorfman, Berbaum and Metz' pseudovalues): the same but for fixed readers, where it takes F
    and t with as many degrees of freedom as cases less one where "or" takes chi-square and the normal.
    """
    from scipy.stats import chi2, norm
    from scipy.stats import f as fisher
    from scipy.stats import t as student

    positive, x = classes(truth), np.asarray(ratings, dtype=np.float64)
    if x.ndim != 3 or x.shape[2] != positive.size or min(x.shape[:2]) < 2 or not np.isfinite(x).all():
        raise WrongCall(f"the ratings have the shape {x.shape} or a gap; needed: modality x reader x {positive.size}"
                        " cases, two modalities and two readers at least")  # fmt: skip
    if method not in ("or", "dbm"):
        raise WrongCall(f"method {method!r}; needed: or, or dbm")
    if min(int(positive.sum()), int((~positive).sum())) < 2:
        raise WrongCall("fewer than two cases of one class; needed: two of each at least")
    n_mod, n_read, n = x.shape
    area, left_out = np.empty((n_mod, n_read)), np.empty((n_mod, n_read, n))
    for i in range(n_mod):
        for j in range(n_read):
            area[i, j], left_out[i, j] = _jackknife(x[i, j, positive], x[i, j, ~positive], positive)
    flat = left_out.reshape(n_mod * n_read, n)
    cov = np.cov(flat, ddof=1).reshape(n_mod, n_read, n_mod, n_read) * (n - 1) ** 2 / n
    same_mod, same_read = np.eye(n_mod, dtype=bool)[:, None, :, None], np.eye(n_read, dtype=bool)[None, :, None, :]
    var, cov1, cov2, cov3 = (
        float(cov[np.broadcast_to(a & b, cov.shape)].mean())
        for a, b in ((same_mod, same_read), (~same_mod, same_read), (same_mod, ~same_read), (~same_mod, ~same_read))
    )
    by_mod, by_read, all_mean = area.mean(axis=1), area.mean(axis=0), area.mean()
    ms_t = n_read * float(((by_mod - all_mean) ** 2).sum()) / (n_mod - 1)
    ms_r = n_mod * float(((by_read - all_mean) ** 2).sum()) / (n_read - 1)
    ms_tr = float(((area - by_mod[:, None] - by_read + all_mean) ** 2).sum()) / ((n_mod - 1) * (n_read - 1))
    gap, df_tr, high = float(by_mod[0] - by_mod[1]), (n_mod - 1) * (n_read - 1), 0.5 + level / 2.0

    def difference(error: float, width: float, method: str) -> Estimate:
        half = width * float(np.sqrt(2.0 * error / n_read))
        return Estimate(gap, gap - half, gap + half, level, method)

    both = ms_tr + max(n_read * (cov2 - cov3), 0.0)
    ddf = both**2 / (ms_tr**2 / df_tr)
    rrrc = Comparison("other readers and cases", ms_t / both, n_mod - 1, ddf,
                      float(fisher.sf(ms_t / both, n_mod - 1, ddf)),
                      difference(both, float(student.ppf(high, ddf)), "Obuchowski-Rockette, Hillis"))  # fmt: skip
    if method == "or":
        cases = var - cov1 + (n_read - 1) * max(cov2 - cov3, 0.0)
        chi = (n_mod - 1) * ms_t / cases
        frrc = Comparison("other cases, these readers", chi, n_mod - 1, None, float(chi2.sf(chi, n_mod - 1)),
                          difference(cases, float(norm.ppf(high)), "Obuchowski-Rockette, readers fixed"))  # fmt: skip
    else:
        cases, df_tc = var - cov1 + (n_read - 1) * (cov2 - cov3), (n_mod - 1) * (n - 1)
        frrc = Comparison("other cases, these readers", ms_t / cases, n_mod - 1, df_tc,
                          float(fisher.sf(ms_t / cases, n_mod - 1, df_tc)),
                          difference(cases, float(student.ppf(high, df_tc)),
                                     "Dorfman-Berbaum-Metz, readers fixed"))  # fmt: skip
    rrfc = Comparison("other readers, these cases", ms_t / ms_tr, n_mod - 1, df_tr,
                      float(fisher.sf(ms_t / ms_tr, n_mod - 1, df_tr)),
                      difference(ms_tr, float(student.ppf(high, df_tr)),
                                 "Obuchowski-Rockette, cases fixed"))  # fmt: skip
    var_tr = ms_tr - var + cov1 + max(cov2 - cov3, 0.0)
    var_r = (ms_r - ms_tr) / n_mod - cov1 + cov3
    return Mrmc(area, by_mod, var, cov1, cov2, cov3, var_r, var_tr, ms_t, ms_tr, rrrc, frrc, rrfc)


def _jackknife(cases: Floats, controls: Floats, positive: Bools) -> tuple[float, Floats]:
    """The area, and the area without each case in turn, in the order of the cases."""
    area, by_pos, by_neg = placements_of(cases, controls)
    without = np.empty(positive.size)
    without[positive] = (area * cases.size - by_pos) / (cases.size - 1)
    without[~positive] = (area * controls.size - by_neg) / (controls.size - 1)
    return area, without

"""Smooth curves through 0-and-1 outcomes: R's loess and lowess, and restricted cubic splines, each by its own name.

The figures of a calibration curve depend on the smoother, so every result names the one it used.
"""

from __future__ import annotations

from math import floor

import numpy as np

from hepar.validate.inputs import Bools, Floats
from hepar.validate.logistic import logistic

SMOOTHERS = ("loess", "loess1", "lowess", "rcs5", "rcs3")


def smooth(risk: Floats, positive: Bools, *, smoother: str = "loess") -> Floats:
    """Observed risk at each predicted one. "loess": span 0.75, degree 2; "loess1": degree 1 (both R's defaults
    otherwise); "lowess": f = 2/3 without robust steps, as rms's val.prob; "rcs5", "rcs3": logistic regression on a
    restricted cubic spline of the logit with 5 or 3 knots."""
    y = positive.astype(np.float64)
    if smoother in ("loess", "loess1"):
        return loess(risk, y, risk, span=0.75, degree=1 if smoother == "loess1" else 2)
    if smoother == "lowess":
        return lowess(risk, y, f=2.0 / 3.0)
    x = logit(risk)
    design = np.column_stack([np.ones(x.size), spline(x, knots(x, int(smoother[3:])))])
    return np.asarray(1.0 / (1.0 + np.exp(-design @ logistic(design, positive).coefficients)))


def logit(risk: Floats) -> Floats:
    """Log odds; risks of 0 and 1 are moved inside by 1e-12."""
    inside = np.clip(risk, 1e-12, 1.0 - 1e-12)
    return np.asarray(np.log(inside / (1.0 - inside)))


def loess(x: Floats, y: Floats, at: Floats, *, span: float, degree: int) -> Floats:
    """R's loess of one variable with its defaults: local fits at the vertices of a k-d tree (cell 0.2), joined by cubic
    polynomials that keep their slopes."""
    order = np.argsort(x, kind="stable")
    xs, ys = x[order], y[order]
    n = xs.size
    spread = 0.005 * max(float(xs[-1] - xs[0]), max(abs(float(xs[0])), abs(float(xs[-1]))) * 1e-3 + 1e-30)
    vertices = [float(xs[0]) - spread, float(xs[-1]) + spread]
    _split(xs, 0, n - 1, floor(n * span * 0.2), (vertices[0], vertices[1]), vertices)
    places = np.array(sorted(vertices))
    q = min(n, floor(n * span + 1e-5))
    fits = np.array([_local(xs, ys, v, q, degree) for v in places])
    where = np.clip(np.searchsorted(places, at, "right") - 1, 0, places.size - 2)
    left, width = places[where], places[where + 1] - places[where]
    h = (at - left) / width
    value, slope = fits[:, 0], fits[:, 1]
    return np.asarray(
        (1 - h) ** 2 * (1 + 2 * h) * value[where]
        + h**2 * (3 - 2 * h) * value[where + 1]
        + (h * (1 - h) ** 2 * slope[where] - h**2 * (1 - h) * slope[where + 1]) * width
    )


def _split(xs: Floats, low: int, high: int, most: int, edges: tuple[float, float], vertices: list[float]) -> None:
    """Cut the cell of cases low to high, whose ends are `edges`, at its middle case until `most` cases are left."""
    if high - low + 1 <= most:
        return
    middle, offset = (low + high) // 2, 0
    while low <= middle + offset < high:  # the cut nearest the middle that parts no tie, above before below
        if xs[middle + offset] != xs[middle + offset + 1]:
            middle += offset
            break
        offset = -offset if offset > 0 else 1 - offset
    cut = float(xs[middle])
    if cut in edges:
        return
    vertices.append(cut)
    _split(xs, low, middle, most, (edges[0], cut), vertices)
    _split(xs, middle + 1, high, most, (cut, edges[1]), vertices)


def _local(xs: Floats, ys: Floats, at: float, q: int, degree: int) -> tuple[float, float]:
    away = np.abs(xs - at)
    reach = float(np.partition(away, q - 1)[q - 1]) or 1e-30
    near = away < reach * 0.999
    root = np.sqrt(np.where(away[near] > reach * 0.001, (1.0 - (away[near] / reach) ** 3) ** 3, 1.0))
    powers = np.vander(xs[near] - at, degree + 1, increasing=True)
    fit = np.linalg.lstsq(powers * root[:, None], ys[near] * root, rcond=1e-12)[0]
    return float(fit[0]), float(fit[1])


def lowess(x: Floats, y: Floats, *, f: float) -> Floats:
    """Cleveland's lowess without robust steps, as R's lowess(iter = 0) with its default delta (it interpolates
    between points within a hundredth of the range). Values in the order of x."""
    order = np.argsort(x, kind="stable")
    xs, ys = x[order], y[order]
    n = xs.size
    window, delta = max(2, min(n, floor(f * n + 1e-7))), 0.01 * float(xs[-1] - xs[0])
    fitted = np.zeros(n)
    left, last, i = 0, -1, 0
    while True:
        while left + window < n and xs[left + window] - xs[i] < xs[i] - xs[left]:
            left += 1
        fitted[i] = _line(xs, ys, xs[i], left, left + window - 1, ys[i])
        if last < i - 1:
            share = (xs[last + 1 : i] - xs[last]) / (xs[i] - xs[last])
            fitted[last + 1 : i] = share * fitted[i] + (1 - share) * fitted[last]
        last = i
        limit = xs[last] + delta
        i = last + 1
        while i < n and xs[i] <= limit:
            if xs[i] == xs[last]:
                fitted[i] = fitted[last]
                last = i
            i += 1
        i = max(last + 1, i - 1)
        if last >= n - 1:
            break
    out = np.empty(n)
    out[order] = fitted
    return out


def _line(xs: Floats, ys: Floats, at: float, left: int, right: int, own: float) -> float:
    reach = max(at - xs[left], xs[right] - at)
    away = np.abs(xs[left:] - at)
    inside = away <= 0.999 * reach
    stop = left + inside.size
    part = slice(left, stop)
    weight = np.where(away <= 0.001 * reach, 1.0, (1.0 - (away / reach) ** 3) ** 3 if reach > 0 else 1.0) * inside
    total = weight.sum()
    if total <= 0:
        return float(own)
    weight = weight / total
    if reach > 0:
        centre = float(weight @ xs[part])
        lever = at - centre
        spread = float(weight @ (xs[part] - centre) ** 2)
        if np.sqrt(spread) > 0.001 * (xs[-1] - xs[0]):
            weight = weight * (lever / spread * (xs[part] - centre) + 1.0)
    return float(weight @ ys[part])


def knots(x: Floats, number: int) -> Floats:
    """Harrell's places of the knots: quantiles."""
    shares = {3: (0.1, 0.5, 0.9), 4: (0.05, 0.35, 0.65, 0.95), 5: (0.05, 0.275, 0.5, 0.725, 0.95)}[number]
    return np.quantile(x, shares)


def spline(x: Floats, at: Floats) -> Floats:
    """Restricted cubic spline, as Hmisc's rcspline.eval: x itself and one term per inner knot but one."""
    last, before, scale = at[-1], at[-2], (at[-1] - at[0]) ** 2

    def cube(v: Floats) -> Floats:
        return np.maximum(v, 0.0) ** 3

    terms = [x]
    for knot in at[:-2]:
        tail = cube(x - before) * (last - knot) - cube(x - last) * (before - knot)
        terms.append((cube(x - knot) - tail / (last - before)) / scale)
    return np.column_stack(terms)

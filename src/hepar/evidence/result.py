"""What `pool` hands back: one frozen object with the names of `results.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hepar.evidence.fit import Fit
from hepar.evidence.influence import Influence
from hepar.evidence.likelihood import Array
from hepar.evidence.reitsma import Reitsma
from hepar.evidence.small_study import Deeks, Lfk, Threshold
from hepar.evidence.table import Excluded, Table
from hepar.evidence.univariate import Univariate
from hepar.record.estimate import Estimate


@dataclass(frozen=True)
class Settings:
    """interval: "t", "z", "profile" or "bootstrap"; draws, seed: of the bootstrap, 0 draws for none."""

    interval: str
    level: float
    draws: int
    seed: int


@dataclass(frozen=True)
class Data:
    """k: tables used; studies: how many they come from; clustered_by: the column that says so, if any.

    n_diseased, n_nondiseased: people in them. notices: what to know, in sentences.
    """

    k: int
    studies: int
    clustered_by: str | None
    n_diseased: int
    n_nondiseased: int
    excluded: tuple[Excluded, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Simpler:
    """A model with fewer parameters, fitted beside the full one and never in its place. words: what it leaves out."""

    name: str
    words: str
    parameters: int
    loglik: float
    aic: float
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True)
class Model:
    """loglik: with binomial coefficients. boundary: "none", "rho=-1", "rho=+1" or "var=0"; words: what that means.

    node_difference: change of loglik with more quadrature points. gradient_norm: largest gradient at the maximum.
    """

    name: str
    quadrature_points: int
    loglik: float
    aic: float
    bic: float
    converged: bool
    boundary: str
    gradient_norm: float
    node_difference: float
    words: str
    simpler: tuple[Simpler, ...]


@dataclass(frozen=True)
class Coefficient:
    """An estimate on its own scale, its standard error and Wald interval; or none and why not."""

    estimate: float | None
    se: float | None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    method: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Logit:
    """Means on the logit scale; covariance: between both estimates."""

    sensitivity: Coefficient
    specificity: Coefficient
    covariance: float


@dataclass(frozen=True)
class BetweenStudy:
    """Variances of the studies' logits and their correlation."""

    var_logit_sensitivity: Estimate
    var_logit_specificity: Estimate
    correlation: Estimate


@dataclass(frozen=True)
class Summary:
    """At the summary point; auc: integral of the HSROC curve over 0..1."""

    sensitivity: Estimate
    specificity: Estimate
    lr_positive: Estimate
    lr_negative: Estimate
    dor: Estimate
    auc: Estimate


@dataclass(frozen=True)
class Hsroc:
    """Parameters of Rutter and Gatsonis by the identities of Harbord 2007. `lambda_` is `lambda` in JSON."""

    lambda_: Coefficient
    theta: Coefficient
    beta: Coefficient
    s2_alpha: Coefficient
    s2_theta: Coefficient


@dataclass(frozen=True, eq=False)
class Region:
    """An ellipse about the summary point. covariance: (2, 2), logits of sensitivity and specificity.

    radius: in standard deviations. sensitivity, specificity: the outline, closed.
    """

    covariance: Array
    radius: float
    level: float
    sensitivity: Array
    specificity: Array


@dataclass(frozen=True, eq=False)
class Regions:
    """confidence: where the summary point lies. prediction: where a new study's true accuracy lies."""

    confidence: Region
    prediction: Region


@dataclass(frozen=True)
class Normality:
    """Mardia's tests of the studies' standardised logits; low p speaks against bivariate normal effects."""

    skewness: float
    skewness_p: float
    kurtosis: float
    kurtosis_p: float


@dataclass(frozen=True)
class Heterogeneity:
    """i2_*: percent, after Zhou and Dendukuri 2014. tau_*: standard deviations of the logits.

    prediction_*: interval for the true value of a new study, about the summary. univariate: Cochran's Q and I2 of each
    number on its own.
    """

    i2_sensitivity: Estimate
    i2_specificity: Estimate
    i2_bivariate: Estimate
    tau_sensitivity: Estimate
    tau_specificity: Estimate
    prediction_sensitivity: Estimate
    prediction_specificity: Estimate
    univariate: Mapping[str, Univariate]
    normality: Normality | None


@dataclass(frozen=True)
class SmallStudy:
    """Tests of small-study effects; None where they cannot be computed."""

    deeks: Deeks | None
    lfk: Lfk | None


@dataclass(frozen=True)
class Fagan:
    """Probability of disease after a positive and after a negative result, at one prior probability.

    pooled_prevalence: the prior is the share of diseased people in the tables. Intervals: from the likelihood ratios.
    """

    prior: float
    post_positive: Estimate
    post_negative: Estimate
    pooled_prevalence: bool = False


@dataclass(frozen=True, eq=False)
class Comparison:
    """The normal approximation, for comparison with programs that use it."""

    reitsma_ml: Reitsma
    reitsma_reml: Reitsma


@dataclass(frozen=True, eq=False)
class Result:
    """A meta-analysis of diagnostic accuracy. table, fit: what it was made from; not part of the document."""

    settings: Settings
    data: Data
    model: Model
    logit: Logit
    between_study: BetweenStudy
    summary: Summary
    hsroc: Hsroc
    regions: Regions
    heterogeneity: Heterogeneity
    threshold: Threshold
    small_study: SmallStudy
    fagan: tuple[Fagan, ...]
    influence: tuple[Influence, ...]
    comparison: Comparison
    table: Table = field(repr=False)
    fit: Fit = field(repr=False)

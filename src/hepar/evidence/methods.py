"""The methods paragraph of a paper, from what was really done."""

from __future__ import annotations

from hepar.evidence.comparison import Compared
from hepar.evidence.document import versions
from hepar.evidence.result import Result

_INTERVAL = {
    "t": "Wald intervals on the logit or log scale with a t distribution (number of studies minus 2 degrees of"
    " freedom)",
    "z": "Wald intervals on the logit or log scale with the normal distribution",
    "profile": "profile-likelihood intervals for sensitivity and specificity and Wald intervals with a t distribution"
    " (number of studies minus 2 degrees of freedom) for the other quantities",
    "bootstrap": "percentile intervals of a parametric bootstrap",
}


def pool_methods(result: Result) -> tuple[str, ...]:
    """Paragraphs for the methods section of a review."""
    used = versions()
    settings, model = result.settings, result.model
    clustered = (
        " Tables of the same study shared its random effects." if result.data.clustered_by else
        " Each table was treated as an independent study."
    )  # fmt: skip
    draws = f" The bootstrap used {settings.draws} draws (seed {settings.seed})." if settings.draws else ""
    return (
        "Sensitivity and specificity were pooled jointly with the bivariate binomial random-effects model (Reitsma"
        " 2005; Chu and Cole 2006), fitted by maximum likelihood with the exact binomial likelihood and adaptive"
        f" Gauss-Hermite quadrature ({model.quadrature_points} x {model.quadrature_points} points); no continuity"
        f" correction was applied.{clustered} Standard errors come from the observed information. We report"
        f" {_INTERVAL[settings.interval]}.{draws}",
        "Likelihood ratios and the diagnostic odds ratio were derived from the summary point by the delta method; the"
        " summary ROC curve is that of the HSROC model (Rutter and Gatsonis 2001) by the identities of Harbord 2007,"
        " its area the integral over all false-positive rates, with an interval on the logit scale. Heterogeneity is"
        " described by the between-study variances, prediction intervals and the I2 of Zhou and Dendukuri 2014."
        " Small-study effects were tested after Deeks 2005 (0.5 added to all cells of studies with a zero only)."
        " Influence was judged by leaving out one study at a time (Cook's distance; deleted residuals).",
        f"Computed with hepar {used['hepar']} (numpy {used['numpy']}, scipy {used['scipy']}).",
    )


def compare_methods(compared: Compared) -> tuple[str, ...]:
    """The paragraph on a meta-regression."""
    used = versions()
    clustered = (
        f"tables of one study (column {compared.clustered_by}) shared its random effects" if compared.clustered_by else
        "each table was treated as an independent study"
    )  # fmt: skip
    return (
        f"Accuracy was compared between levels of {compared.covariate} by bivariate meta-regression with the exact"
        f" binomial likelihood; {clustered}, and the between-study covariance was {compared.covariance} in all"
        " levels. The joint likelihood-ratio test compares models with and without the covariate on both sides; the"
        " separate tests remove it from sensitivity or from specificity alone. Contrasts carry Wald intervals"
        " by the delta method.",
        f"Computed with hepar {used['hepar']} (numpy {used['numpy']}, scipy {used['scipy']}).",
    )

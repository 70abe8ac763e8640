# Reference values for hepar.validate on small made-up tables: Rscript make.R > r_values.json (another seed: make.R SEED)
# R 4.2.2 and the Debian 12 packages pROC, rms, Hmisc, psych, vcd, survival, riskRegression, survey, jsonlite.
suppressMessages({
  library(pROC); library(rms); library(Hmisc); library(psych); library(vcd); library(survival)
  library(riskRegression); library(survey); library(jsonlite)
})
set.seed(as.integer(c(commandArgs(TRUE), 20261122)[1]))
out <- list()

# ---- ROC: continuous, tied, tiny, unbalanced, worse than chance ----
roc_case <- function(truth, a, b, level) {
  one <- roc(truth, a, levels = c(0, 1), direction = "<", quiet = TRUE)
  two <- roc(truth, b, levels = c(0, 1), direction = "<", quiet = TRUE)
  wald <- as.numeric(ci.auc(one, conf.level = level))
  v <- var(one)
  mid <- qlogis(as.numeric(auc(one))); half <- qnorm(0.5 + level / 2) * sqrt(v) / (as.numeric(auc(one)) * (1 - as.numeric(auc(one))))
  paired <- roc.test(one, two, paired = TRUE, conf.level = level)
  unpaired <- roc.test(one, two, paired = FALSE)
  part <- function(range, focus) c(
    auc(one, partial.auc = range, partial.auc.focus = focus),
    auc(one, partial.auc = range, partial.auc.focus = focus, partial.auc.correct = TRUE))
  best <- coords(one, "best", ret = c("threshold", "sensitivity", "specificity"), transpose = FALSE)
  list(truth = truth, a = a, b = b, level = level, auc = as.numeric(auc(one)), variance = v, wald = wald[c(1, 3)],
       logit = plogis(mid + c(-1, 1) * half), z = unname(paired$statistic), p = paired$p.value,
       covariance = cov(one, two), welch = c(unname(unpaired$statistic), unname(unpaired$parameter), unpaired$p.value),
       specificity_90 = part(c(1, 0.9), "sp"), specificity_70 = part(c(1, 0.7), "sp"),
       sensitivity_80 = part(c(1, 0.8), "se"), best = as.list(best[nrow(best), ]))
}
make <- function(n1, n0, shift, digits) {
  truth <- c(rep(1, n1), rep(0, n0)); hidden <- rnorm(n1 + n0)
  list(truth, round(hidden + rnorm(n1 + n0) + shift * truth, digits), round(hidden + rnorm(n1 + n0) + shift * truth / 2, digits))
}
shapes <- list(continuous = list(25, 35, 1.2, 4), tied = list(20, 30, 1, 0), tiny = list(4, 5, 0.8, 2),
               unbalanced = list(5, 95, 1.5, 1), backwards = list(15, 15, -1, 2))
out$roc <- lapply(names(shapes), function(name) {
  made <- do.call(make, shapes[[name]])
  c(list(name = name), roc_case(made[[1]], made[[2]], made[[3]], if (name == "tied") 0.9 else 0.95))
})

# ---- AUC of lesions in patients: Obuchowski 1997, written out pair by pair ----
patient <- rep(1:18, times = rep(c(1, 2, 3, 5, 2, 1), 3)); n <- length(patient)
own <- rnorm(18)
truth <- as.numeric(runif(n) < plogis(own[patient])); score <- round(own[patient] + rnorm(n) + truth, 1)
psi <- outer(score[truth == 1], score[truth == 0], function(x, y) (x > y) + (x == y) / 2)
area <- mean(psi); m <- sum(truth); k <- n - m
by1 <- rowMeans(psi); by0 <- colMeans(psi); of1 <- patient[truth == 1]; of0 <- patient[truth == 0]
s10 <- s01 <- s11 <- 0
for (i in 1:18) {
  d1 <- sum(by1[of1 == i]) - sum(of1 == i) * area; d0 <- sum(by0[of0 == i]) - sum(of0 == i) * area
  s10 <- s10 + d1^2; s01 <- s01 + d0^2; s11 <- s11 + d1 * d0
}
i10 <- length(unique(of1)); i01 <- length(unique(of0))
out$clustered_auc <- list(patient = patient, truth = truth, score = score, auc = area,
  variance = i10 / ((i10 - 1) * m) * s10 / m + i01 / ((i01 - 1) * k) * s01 / k + 2 * 18 / 17 * s11 / (m * k))

# ---- a share of lesions in patients ----
hit <- as.numeric(runif(n) < plogis(1 + own[patient]))
design <- svydesign(id = ~patient, data = data.frame(hit, patient), weights = ~1)
both <- svyciprop(~hit, design, method = "beta")
out$clustered_share <- list(patient = patient, hit = hit, share = unname(coef(svymean(~hit, design))),
  variance = unname(vcov(svymean(~hit, design))[1]), beta = as.numeric(confint(both)))

# ---- more than two classes: Hand and Till 2001, with a table of scores and with one score ----
classes <- rep(c("a", "b", "c", "d"), times = c(10, 14, 8, 6))
scores <- round(matrix(rnorm(38 * 4), 38) + 1.2 * outer(classes, c("a", "b", "c", "d"), "=="), 1)
colnames(scores) <- c("a", "b", "c", "d")
out$hand_till <- list(truth = classes, scores = scores, auc = as.numeric(multiclass.roc(classes, scores)$auc))

# ---- calibration ----
calibration_case <- function(y, p) {
  x <- qlogis(p); tight <- glm.control(epsilon = 1e-15, maxit = 100)
  slope <- glm(y ~ x, family = binomial(), control = tight); large <- glm(y ~ offset(x), family = binomial(), control = tight)
  stats <- suppressWarnings(val.prob(p, y, pl = FALSE))
  low <- predict(loess(y ~ p), p)
  steps <- isoreg(p, y)
  group <- cut(p, quantile(p, seq(0, 1, 0.1)), include.lowest = TRUE)
  f <- ave(p, group); o <- ave(y, group)
  list(y = y, p = p, slope = unname(coef(slope)), slope_se = unname(sqrt(diag(vcov(slope)))),
       large = unname(coef(large)), large_se = unname(sqrt(vcov(large)[1])), val_prob = as.list(stats[-(1:2)]),
       loess = as.numeric(low), isotonic = as.numeric(as.stepfun(steps)(p)), logistic = unname(fitted(slope)),
       shifted = unname(fitted(large)),
       parts = list(brier = mean((p - y)^2), reliability = mean((f - o)^2), resolution = mean((o - mean(y))^2),
                    uncertainty = mean(y) * (1 - mean(y)), within_variance = mean((p - f)^2),
                    within_covariance = 2 * mean((p - f) * (y - o))))
}
p <- round(plogis(rnorm(120)), 4); y <- as.numeric(runif(120) < plogis(0.3 + 0.7 * qlogis(p)))
q <- round(plogis(qlogis(p) + rnorm(120) / 2), 4)
out$calibration <- calibration_case(y, p)
out$improve <- c(list(q = q), as.list(unclass(improveProb(p, q, y))[c("nri", "se.nri", "z.nri", "nri.ev", "se.nri.ev", "nri.ne", "se.nri.ne", "idi", "se.idi", "z.idi")]))
at <- c(0.2, 0.35, 0.5, 0.65, 0.8)
band <- replicate(4000, { i <- sample(120, replace = TRUE); predict(loess(y[i] ~ p[i]), at) })
out$band <- list(at = at, low = apply(band, 1, quantile, 0.025, na.rm = TRUE), high = apply(band, 1, quantile, 0.975, na.rm = TRUE))

# ---- readers ----
tables <- list(matrix(c(11, 2, 0, 1, 3, 9, 4, 0, 1, 2, 8, 3, 0, 0, 2, 6), 4), matrix(c(40, 1, 2, 3), 2))
out$kappa <- lapply(tables, function(t) {
  fleiss <- Kappa(t, weights = "Fleiss-Cohen"); linear <- Kappa(t, weights = "Equal-Spacing")
  list(rows = t, plain = unname(fleiss$Unweighted), linear = unname(linear$Weighted), quadratic = unname(fleiss$Weighted),
       psych = suppressWarnings(cohen.kappa(t)$confid))
})
icc_case <- function(x) { t <- suppressWarnings(ICC(x, lmer = FALSE)$results); list(ratings = x, table = as.matrix(t[, -1])) }
base <- rnorm(7)
out$icc <- list(icc_case(round(outer(base, c(0, 0.5, -0.3), "+") + rnorm(21) / 2, 1)), icc_case(matrix(c(1, 2, 3, 4, 5, 2, 1, 4, 3, 5), 5)),
                icc_case(matrix(round(rnorm(16), 1), 8)))

# ---- survival, many ties ----
n <- 60; z <- cbind(x1 = round(rnorm(n), 1), x2 = rbinom(n, 1, 0.4)); g <- rep(1:3, 20)
late <- ceiling(8 * rexp(n) * exp(-0.6 * z[, 1])); drop <- ceiling(14 * rexp(n))
time <- pmin(late, drop); event <- as.numeric(late <= drop)
one_fit <- function(ties) {
  fit <- coxph(Surv(time, event) ~ z, ties = ties)
  list(coef = unname(coef(fit)), se = unname(sqrt(diag(vcov(fit)))), loglik = fit$loglik, score = fit$score)
}
fit <- coxph(Surv(time, event) ~ x1 + x2, data = as.data.frame(z), x = TRUE, y = TRUE)
zph <- lapply(c(km = "km", identity = "identity", log = "log", rank = "rank"), function(how) unname(cox.zph(fit, transform = how)$table))
marker <- round(z[, 1] + rnorm(n) / 2, 1)
c_of <- function(weight) { f <- concordance(Surv(time, event) ~ marker, reverse = TRUE, timewt = weight); c(f$concordance, sqrt(f$var)) }
km <- survfit(Surv(time, event) ~ 1)
median_of <- function(t, e) { f <- survfit(Surv(t, e) ~ 1); q <- quantile(f, 0.5); c(q$quantile, q$lower, q$upper) }
flat <- list(time = c(1, 2, 3, 4, 5, 6, 7, 8), event = c(1, 1, 1, 1, 0, 1, 1, 1))
score_of <- function(when) {
  s <- Score(list(m = matrix(plogis(marker), ncol = 1)), formula = Surv(time, event) ~ 1, data = data.frame(time, event),
             times = when, cens.model = "km", metrics = c("auc", "brier"))
  list(time = when, auc = unlist(s$AUC$score[, c("AUC", "se", "lower", "upper")]),
       brier = unlist(s$Brier$score[model == "m", c("Brier", "se")]), null = unlist(s$Brier$score[model == "Null model", c("Brier", "se")]))
}
diff3 <- survdiff(Surv(time, event) ~ g)
out$survival <- list(time = time, event = event, x1 = z[, 1], x2 = z[, 2], group = g, marker = marker,
  efron = one_fit("efron"), breslow = one_fit("breslow"), zph = zph, harrell = c_of("n"), uno = c_of("n/G2"),
  rcorr_cens = unname(1 - rcorr.cens(marker, Surv(time, event))["C Index"]),
  at_5 = unlist(summary(km, times = 5)[c("surv", "lower", "upper")]), median = median_of(time, event),
  flat = c(flat, list(median = median_of(flat$time, flat$event))),
  rmean_10 = unname(summary(km, rmean = 10)$table[c("rmean", "se(rmean)")]), log_rank = c(diff3$chisq, diff3$pvalue),
  score = lapply(c(4, 8), score_of))

# ---- smooth curves through risks with ties ----
out$ties <- lapply(c(1, 2, 2, 2), function(digits) {
  x <- round(plogis(rnorm(90)), digits); y <- as.numeric(runif(90) < x)
  list(p = x, y = y, loess = as.numeric(predict(loess(y ~ x), x)), loess1 = as.numeric(predict(loess(y ~ x, degree = 1), x)),
       lowess = approx(lowess(x, y, iter = 0), xout = x, ties = mean)$y)
})

out$versions <- c(R = R.version.string, sapply(c("pROC", "rms", "Hmisc", "psych", "vcd", "survival", "riskRegression", "survey"),
                                               function(p) as.character(packageVersion(p))))
cat(toJSON(out, digits = 15, auto_unbox = TRUE, na = "null"), "\n")

suppressMessages(library(lme4))
set.seed(7)
# Odd tables of our own and lme4's Laplace fit of each; odd.json is what this prints, in braces. R 4.2.2, lme4 1.1-31.
make <- function(k, n1, n0, m1, m2, s1, s2, rho) {
  z1 <- rnorm(k); z2 <- rho*z1 + sqrt(1-rho^2)*rnorm(k)
  data.frame(study=paste0("s", seq_len(k)), n1=n1, n0=n0, TP=rbinom(k,n1,plogis(m1+s1*z1)), TN=rbinom(k,n0,plogis(m2+s2*z2))) }
sets <- list(
 few = make(4, c(30,55,20,80), c(60,40,90,35), 1.2, 1.5, .6, .7, -.4),
 zeros = make(15, sample(4:14,15,TRUE), sample(5:20,15,TRUE), 2.8, 2.5, .6, .7, -.3),
 many = make(400, sample(10:200,400,TRUE), sample(10:300,400,TRUE), 1.4, 1.6, .7, .8, -.5),
 unequal = make(12, c(3,5000,8,12,900,4,20,6,10000,15,7,30), c(2,9000,5,40,3,700,8,20000,6,11,60,4), 1, 2, .5, .6, .2),
 twins = { d <- make(10, sample(20:60,10), sample(20:60,10), 1.3, 1.1, .5, .5, 0); d$study <- rep(paste0("s",1:5), 2); d })
out <- "."
for (nm in names(sets)) { d <- sets[[nm]]; d$FN <- d$n1-d$TP; d$FP <- d$n0-d$TN; k <- nrow(d)
 write.csv(d[,c("study","TP","FP","FN","TN")], file.path(out,paste0(nm,".csv")), row.names=FALSE, quote=FALSE)
 L <- data.frame(study=factor(rep(seq_len(k),2)), sens=rep(1:0,each=k), spec=rep(0:1,each=k), x=c(d$TP,d$TN), n=c(d$n1,d$n0))
 m <- suppressMessages(glmer(cbind(x,n-x)~0+sens+spec+(0+sens+spec|study), data=L, family=binomial, control=glmerControl(optimizer="bobyqa", optCtrl=list(maxfun=1e5, rhoend=1e-9))))
 V <- VarCorr(m)$study
 cat(sprintf('"%s": {"loglik": %.8f, "logit_sens": %.8f, "logit_spec": %.8f, "var_logit_sens": %.8f, "var_logit_spec": %.8f, "corr": %.8f},\n', nm, logLik(m), fixef(m)[1], fixef(m)[2], V[1,1], V[2,2], attr(V,"correlation")[1,2])) }

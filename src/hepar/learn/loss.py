"""The loss: cross-entropy, soft Dice of liver, lesions and organs, and a lesion-against-liver term."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from hepar.learn.classes import IGNORE, LESION_CLASS, LIVER_CLASSES, NOT_LIVER, SOME_LIVER

VESSEL_CLASS = 12
_CLASS_WEIGHT = (1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.2, 1.5, 1.5, 0.8, 1.0, 0.8, 1.5)
_ORGANS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
_NOT_LIVER_CLASSES = tuple(k for k in range(13) if k not in LIVER_CLASSES)
SMOOTH_VOXELS = 40.0


def total_loss(
    logits: torch.Tensor, half: torch.Tensor, target: torch.Tensor, *, lesion_push: float = 0.8
) -> torch.Tensor:
    """logits [n, 13, D, H, W], half the same at half resolution, target [n, D, H, W] uint8 with 255 = unknown.

    Voxels of NOT_LIVER and SOME_LIVER are judged by the summed probability of the classes that they may be, and by the
    liver's Dice; a target may hold nothing else.

    The conditional term compares only the channels lesion and liver, averaged over lesion and over liver voxels
    apart: with plain cross-entropy and Dice the rare lesion class stays at zero. lesion_push is the weight of its
    lesion half: it starts the class, and later, when small, lets the true prior hold false lesions down.
    """
    logits = logits.float()
    whole = target.long()
    not_liver = whole == NOT_LIVER
    some_liver = whole == SOME_LIVER
    target = whole.masked_fill(not_liver | some_liver, IGNORE)
    half_target = target[:, ::2, ::2, ::2]
    known = (whole != IGNORE).float()
    named = (target != IGNORE).float()
    weight = torch.tensor(_CLASS_WEIGHT, device=logits.device)
    log_p = F.log_softmax(logits, 1)
    loss = log_p.new_zeros(())
    if named.any():
        loss = F.nll_loss(log_p, target, weight=weight, ignore_index=IGNORE)
    # unbind, not indexing: the gradient of p[:, k] would fill a whole 13-channel tensor with zeros for each k.
    p = (log_p.exp() * known[:, None]).unbind(1)
    channel = logits.unbind(1)
    for somewhere, kinds in ((not_liver, _NOT_LIVER_CLASSES), (some_liver, LIVER_CLASSES)):
        if somewhere.any():
            may_be = torch.stack([log_p.unbind(1)[k][somewhere] for k in kinds])
            loss = loss - torch.logsumexp(may_be, 0).sum() / target.numel()
    is_liver = torch.zeros_like(known, dtype=torch.bool)
    for k in LIVER_CLASSES:
        is_liver |= target == k
    is_lesion = target == LESION_CLASS
    loss = loss + soft_dice(sum(p[k] for k in LIVER_CLASSES), (is_liver | some_liver).float())
    loss = loss + 1.5 * soft_dice(p[LESION_CLASS] * ~some_liver, is_lesion.float())
    present = [k for k in _ORGANS if bool((target == k).any())]
    if present:
        loss = loss + 0.5 * sum(soft_dice(p[k] * named, (target == k).float()) for k in present) / len(present)
    margin = channel[LESION_CLASS] - torch.logaddexp(channel[1], channel[VESSEL_CLASS])
    healthy = is_liver & ~is_lesion
    if is_lesion.any():
        loss = loss + lesion_push * F.softplus(-margin[is_lesion]).mean()
    if healthy.any():
        loss = loss + 1.0 * F.softplus(margin[healthy]).mean()
    if (half_target != IGNORE).any():
        loss = loss + 0.3 * F.cross_entropy(half.float(), half_target, weight=weight, ignore_index=IGNORE)
    return loss


def soft_dice(p: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1 - Dice of probabilities and a 0/1 truth; 0 where both are empty."""
    both = (p * truth).sum()
    return 1 - (2 * both + SMOOTH_VOXELS) / (p.sum() + truth.sum() + SMOOTH_VOXELS)

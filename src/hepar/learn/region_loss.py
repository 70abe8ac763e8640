"""The loss of the second network: liver, lesions, portal and hepatic veins."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from scipy import ndimage

from hepar.learn.classes import EITHER_VEIN, IGNORE, NOT_LIVER
from hepar.learn.loss import soft_dice

REGION_LIVER = (1, 2, 3, 4)
_CLASS_WEIGHT = (1.0, 1.0, 2.0, 2.0, 2.0)
_HARD_SHARE = 0.003
_HARD_OUTSIDE_SHARE = 0.001


def region_loss(
    logits: torch.Tensor,
    half: torch.Tensor,
    target: torch.Tensor,
    *,
    lesion_push: float = 0.8,
    each_lesion: float = 0.0,
    hard_healthy: float = 0.0,
    hard_outside: float = 0.0,
) -> torch.Tensor:
    """logits [n, 5, D, H, W], half the same at half resolution, target [n, D, H, W] uint8 with its codes above 5.

    Cross-entropy; for "no liver" and "either vein" on the sum of the classes that may be; soft Dice of liver, lesion
    and veins; and the lesion-against-liver term of `total_loss`. each_lesion: weight of the same term averaged over
    lesions, not over their voxels: a lesion of 4 mm has ten voxels, one of 40 mm ten thousand. hard_healthy: weight of
    the same for the healthy voxels that look most like a lesion, two voxels and more from any (a false find is as small
    as a small lesion; hard example mining, Shrivastava 2016, CVPR). hard_outside: the same outside the liver, where
    fluid, gut and kidney are taken for a tumour that grows outwards.
    """
    logits = logits.float()
    whole = target.long()
    either, not_liver, known = whole == EITHER_VEIN, whole == NOT_LIVER, (whole != IGNORE).float()
    named = whole.masked_fill(either | not_liver, IGNORE)
    weight = torch.tensor(_CLASS_WEIGHT, device=logits.device)
    log_p = F.log_softmax(logits, 1)
    loss = F.nll_loss(log_p, named, weight=weight, ignore_index=IGNORE)
    parts = log_p.unbind(1)
    if not_liver.any():
        loss = loss - parts[0][not_liver].sum() / target.numel()
    if either.any():
        loss = loss - 2 * torch.logaddexp(parts[3], parts[4])[either].sum() / target.numel()
    p = (log_p.exp() * known[:, None]).unbind(1)
    lesion, vein = whole == 2, (whole == 3) | (whole == 4) | either
    liver = (whole == 1) | lesion | vein
    loss = loss + soft_dice(p[1] + p[2] + p[3] + p[4], liver.float()) + 1.5 * soft_dice(p[2], lesion.float())
    if vein.any():
        loss = loss + 0.5 * soft_dice(p[3] + p[4], vein.float())
    apart = (~either).float()
    for k in (3, 4):
        if (whole == k).any():
            loss = loss + 0.3 * soft_dice(p[k] * apart, (whole == k).float())
    channel = logits.unbind(1)
    margin = channel[2] - torch.logsumexp(torch.stack((channel[1], channel[3], channel[4])), 0)
    healthy = liver & ~lesion
    if lesion.any():
        missed = F.softplus(-margin[lesion])
        loss = loss + lesion_push * missed.mean()
        if each_lesion:
            loss = loss + each_lesion * (missed * _shares(lesion)).sum()
    if healthy.any():
        loss = loss + F.softplus(margin[healthy]).mean()
        if hard_healthy:
            loss = loss + hard_healthy * _hardest(margin[healthy & _far(lesion)], _HARD_SHARE)
    if hard_outside:
        any_other = channel[2] - torch.logsumexp(torch.stack((channel[0], channel[1], channel[3], channel[4])), 0)
        outside = ((whole == 0) | not_liver) & _far(lesion)
        loss = loss + hard_outside * _hardest(any_other[outside], _HARD_OUTSIDE_SHARE)
    return loss + 0.3 * F.cross_entropy(half.float(), named[:, ::2, ::2, ::2], weight=weight, ignore_index=IGNORE)


def _far(lesion: torch.Tensor) -> torch.Tensor:
    """Two voxels and more from any lesion."""
    return F.max_pool3d(lesion.float()[:, None], 5, 1, 2)[:, 0] == 0


def _hardest(margin: torch.Tensor, share: float) -> torch.Tensor:
    """Mean loss of this share of voxels, those with the largest margin for "lesion"; 0 where there are none."""
    hardest = margin.topk(int(share * len(margin))).values
    return F.softplus(hardest).sum() / max(len(hardest), 1)


def _shares(lesion: torch.Tensor) -> torch.Tensor:
    """One weight per lesion voxel, in their order: the same sum for each connected lesion, 1 in all."""
    joined = ndimage.generate_binary_structure(lesion.dim(), 1)
    joined[0], joined[2] = False, False  # never across the patches of a batch
    parts, count = ndimage.label(lesion.cpu().numpy(), joined)
    of_voxel = torch.from_numpy(parts)[lesion.cpu()].long()
    return (1 / (count * of_voxel.bincount(minlength=count + 1)[of_voxel])).to(lesion.device)

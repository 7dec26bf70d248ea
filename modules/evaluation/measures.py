"""Distances between sets of pictures, and agreement of pictures with texts, over any feature extractor.

Fréchet distance   |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))     (Heusel et al. 2017, https://arxiv.org/abs/1706.08500)
agreement          100 * max(0, cosine(picture, text)), mean        (CLIPScore: Hessel et al. 2021,
                                                                     https://arxiv.org/abs/2104.08718, w = 100)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from torch import Tensor

from modules.core.errors import BadRequest


def frechet(first: Tensor, second: Tensor) -> float:
    """Distance of two sets of features (n, d), (m, d). Raises BadRequest where a set has fewer than two rows."""
    if min(len(first), len(second)) < 2:
        raise BadRequest("A Fréchet distance needs two pictures or more on either side.")
    (mean, spread), (other_mean, other_spread) = (_moments(each) for each in (first, second))
    product = linalg.sqrtm(spread @ other_spread)
    trace = np.trace(spread) + np.trace(other_spread) - 2 * np.trace(np.real(product))
    return float(max(0.0, ((mean - other_mean) ** 2).sum() + trace))


def agreement(pictures: Tensor, texts: Tensor) -> float:
    """Mean of 100 * cosine of rows that belong together (n, d) twice; opposite ones count as 0."""
    cosine = (pictures * texts).sum(1) / (pictures.norm(dim=1) * texts.norm(dim=1)).clamp(min=1e-12)
    return float(100 * cosine.clamp(min=0).mean())


def _moments(features: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    table = features.double().numpy()
    return table.mean(0), np.atleast_2d(np.cov(table, rowvar=False))

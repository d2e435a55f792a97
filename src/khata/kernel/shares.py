"""A whole number shared out by weights, so that the shares add up to it exactly."""

from __future__ import annotations

import numpy as np

from khata.kernel.quantities import Int64, int64

_SAFE = 2**62  # a product below it cannot overflow int64


def largest_remainder(total: int, weights: Int64) -> Int64:
    """Share `total` (any sign) in proportion to `weights`: whole shares of the total's sign, with the total as sum.

    Each share is its exact proportion cut off towards zero; what is left over goes one by one to the largest cut-off
    parts, of equal ones to the earliest. Weights that are all zero count as equal. `weights` is (n,), n > 0 unless the
    total is 0, and none below zero: else a ValueError.
    """
    weights = int64("weights", weights)
    if weights.ndim != 1 or (weights < 0).any():
        raise ValueError("weights are one row of numbers, none of them below 0")
    if not len(weights):
        if total:
            raise ValueError(f"{total} cannot be shared out among nobody: give at least one weight")
        return weights
    if not weights.any():
        weights = np.ones(len(weights), np.int64)
    sign, whole = (-1, -total) if total < 0 else (1, total)
    shares, cut_off = _divided(whole, weights)
    left = whole - sum(shares.tolist())
    shares[np.argsort(-cut_off, kind="stable")[:left]] += 1
    return sign * shares


def _divided(whole: int, weights: Int64) -> tuple[Int64, Int64]:
    """Of each weight whole * weight // sum and what that division leaves; exact at any size that fits the result."""
    of = sum(weights.tolist())
    if of >= _SAFE or whole >= 2**63:
        raise ValueError("the weights, or the total, do not fit into 64 bits: use a coarser unit")
    if whole * int(weights.max()) < _SAFE:
        shares, cut_off = np.divmod(weights * whole, of)
        return shares, cut_off
    pairs = [divmod(whole * weight, of) for weight in weights.tolist()]
    table = np.array(pairs, np.int64)
    return table[:, 0].copy(), table[:, 1].copy()

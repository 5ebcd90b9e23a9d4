"""How alike two layers see the same rows: centred kernel alignment (Kornblith et al., 2019)."""

import numpy as np

FEWEST_ROWS = 4


def cka(first: np.ndarray, second: np.ndarray) -> float:
    """Linear CKA of two representations of the same rows, (n, a) and (n, b): 1 where one is the other turned, moved and
    scaled; about 0 where they have nothing in common, then also a little below it.

    With the estimator of HSIC without bias (Song et al., 2012; Nguyen, Raghu & Kornblith, 2021): the plain one calls
    wide layers alike where there are few rows. Raises `ValueError` for fewer than four rows. NaN where a layer says the
    same of every row.
    """
    if len(first) != len(second) or len(first) < FEWEST_ROWS:
        raise ValueError(f"both need the same rows, at least {FEWEST_ROWS}, got {len(first)} and {len(second)}")
    ours, theirs = _products(first), _products(second)
    scale = hsic(ours, ours) * hsic(theirs, theirs)
    return float(hsic(ours, theirs) / np.sqrt(scale)) if scale > 0 else float("nan")


def hsic(first: np.ndarray, second: np.ndarray) -> float:
    """The Hilbert-Schmidt independence criterion of two kernel matrices (n, n), without bias (Song et al., 2012, eq.
    5). Their diagonals are not read."""
    n = len(first)
    ours, theirs = first - np.diag(np.diag(first)), second - np.diag(np.diag(second))
    together = (ours * theirs).sum()
    apart = ours.sum() * theirs.sum() / ((n - 1) * (n - 2))
    mixed = 2 * (ours.sum(0) @ theirs.sum(0)) / (n - 2)
    return float((together + apart - mixed) / (n * (n - 3)))


def _products(rows: np.ndarray) -> np.ndarray:
    """The products of every two rows, centred and scaled first: a far origin would swallow the digits."""
    centred = np.asarray(rows, dtype=np.float64) - np.asarray(rows, dtype=np.float64).mean(0)
    size = np.linalg.norm(centred)
    return np.asarray(centred @ centred.T / size**2 if size else centred @ centred.T)

"""Imports Numba before pytest turns warnings into errors: some of its versions warn of NumPy's."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import numba.cuda  # noqa: F401  # imported for what importing it does

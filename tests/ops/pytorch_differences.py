"""Where PyTorch does otherwise than we do, and why: each entry says at which elements.

`DIFFERENCES` is by op and a few words. The tests let pass what an entry names and nothing else, and
fail for an entry that doesn't show any more. Ours are the conventions of `tinyaccel.testing`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tinyaccel.testing.strategies import Case

Array = np.ndarray[Any, Any]
Of = Literal["value", "sign", "gradient", "call"]


@dataclass(frozen=True)
class Seen:
    """One result, or one gradient, of ours and of PyTorch's. Of a call that raised, neither.

    by  which input the gradient is by
    """

    case: Case
    ours: Array
    theirs: Array
    by: int = -1

    @property
    def arrays(self) -> list[Array]:
        """The inputs, floats as float64."""
        return [a.astype(np.float64) if a.dtype.kind not in "biu" else a for a in self.case.arrays]


Where = Callable[[Seen], Any]  # -> a mask of the elements, or one bool for all of them


@dataclass(frozen=True)
class Difference:
    """A difference of results ("value"), of the signs of zeros, of gradients; or PyTorch raises."""

    of: Of
    why: str
    where: Where


# Elements


def _each(condition: Callable[..., Any], by: int | None = None) -> Where:
    """Where the inputs, broadcast, fulfil `condition`; of a gradient, what is summed from them."""

    def where(seen: Seen) -> Any:
        if by not in (None, seen.by):
            return False
        full = np.asarray(condition(*np.broadcast_arrays(*seen.arrays)))
        shape = seen.ours.shape
        if full.ndim > len(shape):
            full = full.any(tuple(range(full.ndim - len(shape))))
        ones = tuple(i for i, n in enumerate(shape) if n == 1 != full.shape[i])
        return full.any(ones, keepdims=True)

    return where


def _group(condition: Callable[..., Any]) -> Where:
    """Where, of one input, any of what is reduced together fulfils `condition`."""

    def where(seen: Seen) -> Any:
        axis = seen.case.attrs["axis"]
        return condition(*seen.arrays).any(axis=axis, keepdims=True)

    return where


def _anywhere(condition: Callable[..., Any], by: int | None = None) -> Where:
    """All of a call, if an element of any input fulfils `condition`."""

    def where(seen: Seen) -> bool:
        return by in (None, seen.by) and any(condition(a).any() for a in seen.arrays)

    return where


def _nan(*xs: Array) -> Array:
    return np.any([np.isnan(x) for x in xs], axis=0)


def _infinite(*xs: Array) -> Array:
    return np.any([~np.isfinite(x) for x in xs], axis=0)


def _beyond(seen: Seen) -> Any:
    """Floats that the integer dtype they are cast to doesn't hold."""
    (x,), to = seen.arrays, seen.case.attrs["dtype"]
    if x.dtype.kind != "f" or not to.is_integer:
        return False
    return ~((np.trunc(x) >= to.min) & (np.trunc(x) <= to.max))


def _replaced(seen: Seen) -> Any:
    """Updates for whose row there is a later one."""
    x, indices, _ = seen.arrays
    axis = seen.case.attrs["axis"] % x.ndim
    if seen.by != 2:
        return False
    rows = (indices % max(x.shape[axis], 1)).ravel()
    lost = np.array([row in rows[i + 1 :] for i, row in enumerate(rows)], bool)
    return lost.reshape((*indices.shape, *[1] * (x.ndim - axis - 1)))


def _nothing_to_divide_by(seen: Seen) -> Any:
    """Integers over 0."""
    return seen.arrays[1].dtype.kind in "iu" and bool((seen.arrays[1] == 0).any())


def _nearly_constant(seen: Seen) -> Any:
    """Where all that is reduced together is one number, which has more digits than a sum holds."""
    (x,), axis = seen.arrays, seen.case.attrs["axis"]
    lowest, largest = (f(x, axis=axis, keepdims=True) for f in (np.min, np.max))
    return lowest == largest if x.size else False


def _no_freedom(seen: Seen) -> Any:
    (x,), attrs = seen.arrays, seen.case.attrs
    return np.ones(x.shape).sum(axis=attrs["axis"], keepdims=True) <= attrs["correction"]


def _all_lowest(seen: Seen) -> Any:
    (x,), axis = seen.arrays, seen.case.attrs["axis"]
    return np.isneginf(x).all(axis=axis, keepdims=True)


def _to(digits: float) -> Where:
    """Where the two agree to so much, relatively."""
    return lambda seen: np.isclose(seen.ours, seen.theirs, rtol=digits, atol=0)


_FREEDOM = "the variance is inf for n <= correction: PyTorch divides its slope by n - correction"
_SIGN_OF_NAN = "PyTorch's sign(NaN) is 0; ours is NaN"
_PASSES = "PyTorch passes the gradient of a NaN on, as it is; ours is that of a comparison: 0"
_LARGEST = "0 / 0 elements equal a NaN: PyTorch gives that; ours gives 0 to each"
_STAYS = "PyTorch has the slope of the upper branch at NaN; ours is NaN"
_BETWEEN = "one is NaN where infinities meet in an order of operations that the other doesn't have"
_FIRST_NAN = "of several NaNs in a window PyTorch takes the last; ours is the first"
_LOWEST = (
    "padded before, as PyTorch has no padding of one side, a pixel of -inf ties with the padding, "
    "and the first has the gradient; ours never goes to the padding"
)
_ZERO_DIVISION = "PyTorch raises for integers over 0; ours are 0"

DIFFERENCES: dict[tuple[str, str], Difference] = {
    # Elementwise
    ("abs", "NaN"): Difference("gradient", _SIGN_OF_NAN, _each(_nan)),
    ("l1", "NaN"): Difference("gradient", _SIGN_OF_NAN, _each(_nan)),
    ("smooth_l1", "NaN"): Difference("gradient", _SIGN_OF_NAN, _each(_nan)),
    ("sign", "NaN"): Difference("value", _SIGN_OF_NAN, _each(_nan)),
    ("sign", "-0.0"): Difference(
        "sign", "PyTorch's sign(-0.0) is 0.0; ours is -0.0, as the Array API has it",
        _each(lambda x: x == 0),
    ),
    ("remainder", "zero"): Difference(
        "sign", "PyTorch's remainder of 0 is a's zero; ours has b's sign, as Python's and NumPy's",
        _each(lambda a, b: np.signbit(a) != np.signbit(b)),
    ),
    ("log_sigmoid", "-0.0"): Difference(
        "sign", "ours comes to 0 from below, as -0.0", _each(lambda x: x > 0)
    ),
    ("remainder", "integers"): Difference("call", _ZERO_DIVISION, _nothing_to_divide_by),
    ("floor_divide", "integers"): Difference("call", _ZERO_DIVISION, _nothing_to_divide_by),
    ("remainder", "poles"): Difference(
        "gradient", "PyTorch's slope by b is -floor(a / b), infinite at its poles; ours is NaN",
        _each(lambda a, b: (b == 0) | np.isinf(b) | np.isinf(a), by=1),
    ),
    ("astype", "beyond the integers"): Difference(
        "value", "C leaves it open, and PyTorch so too; ours saturates, and NaN is 0", _beyond
    ),
    ("relu", "NaN"): Difference("gradient", _PASSES, _each(_nan)),
    ("hardtanh", "NaN"): Difference("gradient", _PASSES, _each(_nan)),
    ("relu6", "NaN"): Difference("gradient", _PASSES, _each(_nan)),
    ("maximum", "NaN"): Difference("gradient", _PASSES, _each(_nan)),
    ("minimum", "NaN"): Difference("gradient", _PASSES, _each(_nan)),
    ("hardswish", "NaN"): Difference("gradient", _STAYS, _each(_nan)),
    ("elu", "NaN"): Difference("gradient", _STAYS, _each(_nan)),
    ("selu", "NaN"): Difference("gradient", _STAYS, _each(_nan)),
    ("hardsigmoid", "1/6"): Difference(
        "gradient", "PyTorch's 1/6 is one of float32, also for float64", _to(1e-7)
    ),
    ("gelu", "-inf"): Difference(
        "gradient", "PyTorch's tanh variant is NaN there; ours is 0", _each(np.isneginf)
    ),
    ("softplus", "inf"): Difference(
        "gradient", "PyTorch's is inf / inf beyond e**709 unless its threshold cuts it off; ours 1",
        _each(lambda x: x > 200),
    ),
    ("pow", "exponent at 0"): Difference(
        "gradient", "0**b * log 0 is taken as 0; PyTorch does so for b >= 0 alone",
        _each(lambda a, b: (a == 0) & ~(b >= 0), by=1),
    ),
    ("copysign", "infinity"): Difference(
        "gradient", "PyTorch's slope is result / a, NaN at infinity; ours is a sign",
        _each(lambda a, b: np.isinf(a), by=0),
    ),
    ("rsqrt", "-0.0"): Difference(
        "gradient", "a pole of either sign: PyTorch's is y**3, ours y / x",
        _each(lambda x: (x == 0) & np.signbit(x)),
    ),
    ("acosh", "below 1"): Difference(
        "gradient", "PyTorch has a slope where there is no value; ours is NaN",
        _each(lambda x: x < 1),
    ),
    ("hypot", "corner"): Difference(
        "gradient", "PyTorch's is 0 / 0 at (0, 0); ours is 0, as the norm's",
        _each(lambda a, b: (a == 0) & (b == 0)),
    ),
    ("logaddexp", "equal infinities"): Difference(
        "gradient", "PyTorch's is inf - inf; ours is a half each",
        _each(lambda a, b: np.isinf(a) & (a == b)),
    ),
    # Reductions and scans
    ("max", "NaN"): Difference("gradient", _LARGEST, _group(_nan)),
    ("min", "NaN"): Difference("gradient", _LARGEST, _group(_nan)),
    ("norm", "NaN"): Difference(
        "gradient", "the largest |x| is NaN: PyTorch gives 0 to each, ours NaN", _group(_nan)
    ),
    ("norm", "nothing"): Difference(
        "call", "PyTorch refuses a norm of nothing with an order below 0; ours is inf",
        lambda seen: seen.arrays[0].size == 0 and seen.case.attrs["ord"] < 0,
    ),
    ("var", "no freedom"): Difference("gradient", _FREEDOM, _no_freedom),
    ("std", "no freedom"): Difference("gradient", _FREEDOM, _no_freedom),
    ("var", "infinity"): Difference("gradient", _BETWEEN, _group(_infinite)),
    ("logsumexp", "all -inf"): Difference(
        "gradient", "PyTorch's is exp(-inf + inf); ours is 0 for each", _all_lowest
    ),
    ("std", "constants"): Difference(
        "gradient", "at 0 PyTorch's is 0, and so is ours; but ours comes from the mean, and the "
        "mean of 0.1, 0.1, ... may be off by a last digit", _nearly_constant,
    ),
    ("cumsum", "digits"): Difference(
        "value", "PyTorch adds one after the other, with errors that grow with n; ours in log2(n) "
        "steps", _to(1e-12),
    ),
    ("cumprod", "infinity"): Difference("gradient", _BETWEEN, _anywhere(_infinite)),
    # Indexing
    ("index_set", "replaced"): Difference(
        "gradient", "PyTorch's index_put passes a gradient to updates that a later one replaces; "
        "ours passes it to the last, whose value stays", _replaced,
    ),
    # Windows
    ("max_pool2d", "NaN"): Difference("gradient", _FIRST_NAN, _anywhere(_nan)),
    ("max_pool1d", "NaN"): Difference("gradient", _FIRST_NAN, _anywhere(_nan)),
    ("adaptive_max_pool2d", "NaN"): Difference("gradient", _FIRST_NAN, _anywhere(_nan)),
    ("max_pool2d_input_grad", "NaN"): Difference("value", _FIRST_NAN, _anywhere(_nan)),
    ("max_pool2d_input_grad", "slope of NaN"): Difference(
        "gradient", _FIRST_NAN, _anywhere(_nan)
    ),
    ("max_pool2d", "-inf"): Difference("gradient", _LOWEST, _anywhere(np.isneginf)),
    ("max_pool1d", "-inf"): Difference("gradient", _LOWEST, _anywhere(np.isneginf)),
    ("max_pool2d_input_grad", "-inf"): Difference("value", _LOWEST, _anywhere(np.isneginf)),
    ("max_pool2d_input_grad", "slope of -inf"): Difference(
        "gradient", _LOWEST, _anywhere(np.isneginf)
    ),
    ("interpolate", "infinity"): Difference(
        "value", "of a pixel with weight 0 PyTorch takes nothing; ours is 0 * inf",
        _anywhere(_infinite),
    ),
    # Networks
    ("scaled_dot_product_attention", "nothing to see"): Difference(
        "value", "without keys PyTorch's is NaN if the queries are; ours is 0, a sum of nothing",
        lambda seen: not seen.arrays[1].shape[-2],
    ),
    ("batch_norm", "infinity"): Difference("value", _BETWEEN, _anywhere(_infinite)),
    ("batch_norm", "slope"): Difference("gradient", _BETWEEN, _anywhere(_infinite)),
    ("huber", "delta 0"): Difference(
        "call", "PyTorch refuses delta=0; ours is 0 everywhere, the limit",
        lambda seen: seen.case.attrs.get("delta") == 0,
    ),
    ("bce", "no probability"): Difference(
        "call", "PyTorch raises for a p outside 0 to 1, which a graph can't; ours is NaN",
        lambda seen: not ((seen.arrays[0] >= 0) & (seen.arrays[0] <= 1)).all(),
    ),
    ("bce_with_logits", "infinity"): Difference("value", _BETWEEN, _anywhere(_infinite)),
    ("bce_with_logits", "slope"): Difference("gradient", _BETWEEN, _anywhere(_infinite)),
    ("bce_with_logits", "digits"): Difference(
        "value", "PyTorch takes log s from the logit, which costs it digits; ours doesn't",
        lambda seen: np.abs(seen.ours - seen.theirs) < 1e-15 * sum(
            np.abs(a).sum() for a in seen.arrays[:1]
        ),
    ),
    ("kl_div", "target 0"): Difference(
        "gradient", "PyTorch's slope by a target of 0 is NaN; there p log p counts as constant",
        _each(lambda x, target: target == 0, by=1),
    ),
}  # fmt: skip

_ONE_SIDE = {"kernel": (1, 2), "stride": (1, 2), "padding": ((0, 0), (1, 0)), "dilation": (1, 1)}
# Calls that the kit's layouts and values leave out: where a difference shows, where a bug was.
MORE: dict[str, list[tuple[tuple[Array, ...], dict[str, Any]]]] = {
    "cumsum": [((np.full(1023, 0.1),), {"axis": 0, "include_initial": False})],
    "var": [((np.array([1.0, 2.0]),), {"axis": 0, "keepdims": False, "correction": 3})],
    "std": [((np.array([1.0, 2.0]),), {"axis": 0, "keepdims": False, "correction": 3})],
    "norm": [((np.zeros((2, 0)),), {"ord": -1.5, "axis": 1, "keepdims": False})],
    "max_pool1d": [
        ((np.full((1, 1, 2), np.nan),), {"kernel": 2}),
        ((np.full((1, 1, 3), -np.inf),), {"kernel": 2, "padding": (1, 0)}),
    ],
    "max_pool2d": [((np.full((1, 1, 1, 3), -np.inf),), _ONE_SIDE)],
    "max_pool2d_input_grad": [((np.ones((1, 1, 1, 2)), np.full((1, 1, 1, 3), -np.inf)), _ONE_SIDE)],
}

# By these inputs PyTorch has no gradient, and says so. Ours has; finite differences judge it.
NO_SLOPE: dict[str, tuple[int, ...]] = {
    "floor_divide": (0, 1),  # 0 by both
    "batch_norm": (1, 2),  # mean and variance, which come from the batch as well
    "bce": (2,),
    "bce_with_logits": (2, 3),
    "nll": (2,),
    "cross_entropy": (2,),
}

# Which of two equal zeros is chosen depends on the width of the processor's vectors, for both.
ANY_ZERO = ("maximum", "minimum", "relu", "relu6", "hardtanh", "clip", "max", "min")

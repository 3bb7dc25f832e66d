"""Rounding to whole numbers, as floats. Integers are whole already, and come back as they are.

None has a gradient. The sign of a zero is x's: ceil(-0.5) is -0.0.
"""

from __future__ import annotations

from tinyaccel.op import EXACT
from tinyaccel.ops.define import composite, unary
from tinyaccel.ops.elementwise import abs, equal, less, sign, where
from tinyaccel.tensor import Tensor

floor = unary(
    "floor",
    "The largest integer value that isn't above x, in x's dtype; it has no gradient",
    takes="number",
    budget=EXACT,
)


@composite(takes="number", budget=EXACT, vjp=(None,))
def ceil(x: Tensor) -> Tensor:
    """The smallest integer value that isn't below x, in x's dtype; it has no gradient."""
    return -floor(-x) if x.dtype.is_float else x


@composite(takes="number", budget=EXACT, vjp=(None,))
def trunc(x: Tensor) -> Tensor:
    """x without its fraction, rounded towards 0, in x's dtype; it has no gradient."""
    return where(less(x, 0), ceil(x), floor(x)) if x.dtype.is_float else x


@composite(takes="number", budget=EXACT, vjp=(None,))
def round(x: Tensor) -> Tensor:
    """The nearest integer value, the even one of two, in x's dtype; it has no gradient.

    IEEE 754's roundTiesToEven, as in NumPy, PyTorch and the Array API.

    >>> import tinyaccel as ta
    >>> ta.round(ta.tensor([0.5, 1.5, 2.5, -1.2]))
    tensor([ 0.,  2.,  2., -1.])
    """
    if not x.dtype.is_float:
        return x
    size = abs(x)
    below = floor(size)
    fraction = size - below  # exact: of neighbours without a sign, the difference always is
    odd = equal(below % 2, 1)
    up = less(0.5, fraction) | (equal(fraction, 0.5) & odd)
    return sign(x) * where(up, below + 1, below)

"""Initial weights: drawn on the host in float64, rounded once, so equal on every device.

Functions whose name ends in _ replace the values of a tensor that is there, as PyTorch's do, and
return it. All draws come from the seed that `tinyaccel.manual_seed` sets, one after the other.

>>> import tinyaccel as ta
>>> layer = ta.nn.Linear(8, 4)
>>> ta.nn.init.xavier_uniform_(layer.weight).shape, ta.nn.init.zeros_(layer.bias).tolist()
((4, 8), [0.0, 0.0, 0.0, 0.0])
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes, shapes
from tinyaccel.backend import Device
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.nn.module import Parameter
from tinyaccel.ops.random import host_uniform
from tinyaccel.tensor import DTypeLike, Tensor, tensor
from tinyaccel.trace import refuse

FanMode = Literal["fan_in", "fan_out"]
_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
_LINEAR = ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d")  # gain 1, as "linear"


# Fresh tensors, for the layers


def fan_in_uniform(
    shape: shapes.Shape,
    fan_in: int,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
) -> Tensor:
    """A parameter drawn from U(-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's default.

    shape   any
    fan_in  how many inputs one output is a weighted sum of
    dtype   a float; float32 by default

    The draws come from the seed that `tinyaccel.manual_seed` sets, in the order in which layers
    are made, and don't depend on device or dtype. Raises `DTypeError` if dtype is no float.
    Y. LeCun et al., "Efficient BackProp", 1998, for the scaling with the fan-in.
    """
    kind = _float(dtype, "fan_in_uniform")
    drawn = (2 * host_uniform(shape) - 1) / math.sqrt(fan_in)
    return Parameter(tensor(drawn, dtype=kind, device=device))


def constant(
    shape: shapes.Shape,
    value: float,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
) -> Tensor:
    """A tensor filled with `value`, laid out in full, for parameters and buffers.

    dtype: a float, float32 by default; raises `DTypeError` otherwise.
    """
    kind = _float(dtype, "constant")
    return tensor(np.full(shape, value), dtype=kind, device=device)


def _float(dtype: DTypeLike | None, what: str) -> dtypes.DType:
    kind = dtypes.DEFAULT_FLOAT if dtype is None else dtypes.as_dtype(dtype)
    if not kind.is_float:
        raise DTypeError(f"{what}: dtype {kind}; expected a float, since parameters are trained")
    return kind


# In place. Common to all: t is a parameter or another tensor of floats, on any device. `DTypeError`
# is raised for one of integers, `TraceError` inside a jitted function, where a draw would be a
# constant.


def _put(t: Tensor, values: npt.NDArray[np.float64]) -> Tensor:
    t.assign(tensor(values, dtype=t.dtype, device=t.device))
    return t


def _check(name: str, t: Tensor, *, axes: int = 0, only: bool = False) -> None:
    """Raise unless t may be filled: a float, of at least (or only) so many axes, not in a trace."""
    _float(t.dtype, name)
    refuse(name, "initialise outside the jitted function")
    if t.ndim < axes or (only and t.ndim != axes):
        raise ShapeError(
            f"{name}: tensor {t.shape}; expected {'' if only else 'at least '}{axes} axes"
        )


def _normals(shape: shapes.Shape) -> npt.NDArray[np.float64]:
    """Standard normal numbers. G. Box, M. Muller, 1958: sqrt(-2 log(1 - u)) cos(2 pi v)."""
    u, v = host_uniform((2, *shape))
    drawn: npt.NDArray[np.float64] = np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * math.pi * v)
    return drawn


def constant_(t: Tensor, val: float) -> Tensor:
    """All elements `val`."""
    _check("constant_", t)
    return _put(t, np.full(t.shape, float(val)))


def ones_(t: Tensor) -> Tensor:
    """All elements 1."""
    return constant_(t, 1.0)


def zeros_(t: Tensor) -> Tensor:
    """All elements 0."""
    return constant_(t, 0.0)


def uniform_(t: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """U(a, b): all numbers from a to b equally likely. Raises `ArgumentError` unless a <= b."""
    _check("uniform_", t)
    if not a <= b:
        raise ArgumentError(f"uniform_: from {a} to {b}; expected a <= b")
    return _put(t, a + (b - a) * host_uniform(t.shape))


def normal_(t: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """N(mean, std**2). Raises `ArgumentError` for a negative std."""
    _check("normal_", t)
    _check_std("normal_", std)
    return _put(t, mean + std * _normals(t.shape))


def _check_std(name: str, std: float) -> None:
    if not std >= 0:
        raise ArgumentError(f"{name}: std={std}; expected 0 or more")


def trunc_normal_(
    t: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Tensor:
    """N(mean, std**2) without what lies outside a to b, by the inverse of its distribution.

    a, b  bounds of the numbers themselves, not counted in deviations

    Raises `ArgumentError` unless a < b and std > 0, or if less than 1e-9 of the distribution lies
    between them. M. Wichura, "Algorithm AS 241", 1988, as Python's statistics has it.
    """
    _check("trunc_normal_", t)
    if not (a < b and std > 0):
        raise ArgumentError(f"trunc_normal_: std={std} from {a} to {b}; expected std > 0, a < b")
    normal = NormalDist(mean, std)
    low, high = normal.cdf(a), normal.cdf(b)
    if high - low < 1e-9:
        raise ArgumentError(
            f"trunc_normal_: N({mean}, {std}**2) has next to nothing from {a} to {b}; "
            "move the bounds towards the mean"
        )
    # The middles of the 2**24 steps that a draw may take, so that neither 0 nor 1 is met.
    shares = low + (high - low) * (host_uniform(t.shape) + 2.0**-25)
    drawn = np.array([normal.inv_cdf(p) for p in shares.ravel().tolist()]).reshape(t.shape)
    return _put(t, np.clip(drawn, a, b))


def eye_(t: Tensor) -> Tensor:
    """A matrix with 1 where row and column are the same, else 0: y = x at first."""
    _check("eye_", t, axes=2, only=True)
    return _put(t, np.eye(t.shape[0], t.shape[1]))


def dirac_(t: Tensor, groups: int = 1) -> Tensor:
    """Convolution weights (O, I, \\*kernel) that pass input channel i on as output channel i.

    1 at the middle of the kernel (place k // 2 of k), else 0. In each of `groups` equal parts of
    the outputs, the first min(O / groups, I) do so. Raises `ShapeError` for a weight of fewer than
    3 axes, `ArgumentError` for groups that don't divide O.
    S. Zagoruyko, N. Komodakis, "DiracNets", arXiv:1706.00388.
    """
    _check("dirac_", t, axes=3)
    if groups < 1 or t.shape[0] % groups:
        raise ArgumentError(
            f"dirac_: groups={groups} for {t.shape[0]} outputs; expected a divisor of them"
        )
    values = np.zeros(t.shape)
    middle = tuple(k // 2 for k in t.shape[2:])
    part = t.shape[0] // groups
    for group in range(groups):
        for i in range(min(part, t.shape[1])):
            values[(group * part + i, i, *middle)] = 1
    return _put(t, values)


# Scaled by how many numbers are summed


def fans(t: Tensor) -> tuple[int, int]:
    """How many inputs each output of a weight sums, and how many outputs each input reaches.

    t: (outputs, inputs, \\*kernel) -> (inputs * k, outputs * k), k the kernel's size. Raises
    `ShapeError` for fewer than 2 axes.

    >>> import tinyaccel as ta
    >>> fans(ta.zeros((8, 3, 5, 5)))
    (75, 200)
    """
    if t.ndim < 2:
        raise ShapeError(f"fans: tensor {t.shape}; expected (outputs, inputs, *kernel), a weight")
    size = math.prod(t.shape[2:])
    return t.shape[1] * size, t.shape[0] * size


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights are to be larger, so that an activation keeps the spread of its input.

    linear, sigmoid, conv1d, conv2d, conv_transpose1d, conv_transpose2d: 1; tanh: 5/3; relu:
    sqrt(2); leaky_relu: sqrt(2 / (1 + param**2)), param its negative slope, 0.01 by default; selu:
    3/4. PyTorch's values. Raises `ArgumentError` for another name.

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity not in _GAINS:
        known = ", ".join([*_GAINS, "leaky_relu", *_LINEAR])
        raise ArgumentError(
            f"calculate_gain: nonlinearity={nonlinearity!r}; expected one of {known}"
        )
    return _GAINS[nonlinearity]


def xavier_uniform_(t: Tensor, gain: float = 1.0) -> Tensor:
    """U(-b, b), b = gain * sqrt(6 / (fan_in + fan_out)), for weights of two axes and more.

    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010, equation 16.
    """
    _check("xavier_uniform_", t, axes=2)
    bound = gain * math.sqrt(6 / max(1, sum(fans(t))))
    return _put(t, bound * (2 * host_uniform(t.shape) - 1))


def xavier_normal_(t: Tensor, gain: float = 1.0) -> Tensor:
    """N(0, gain**2 * 2 / (fan_in + fan_out)). X. Glorot, Y. Bengio, 2010, equation 12."""
    _check("xavier_normal_", t, axes=2)
    return _put(t, gain * math.sqrt(2 / max(1, sum(fans(t)))) * _normals(t.shape))


def _kaiming_std(name: str, t: Tensor, a: float, mode: FanMode, nonlinearity: str) -> float:
    _check(name, t, axes=2)
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f'{name}: mode={mode!r}; expected "fan_in" or "fan_out"')
    fan = fans(t)[0 if mode == "fan_in" else 1]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(1, fan))  # an empty weight has none


def kaiming_uniform_(
    t: Tensor, a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """U(-b, b), b = sqrt(3) * gain / sqrt(fan), for weights of two axes and more.

    a             the negative slope, if the nonlinearity is "leaky_relu"
    mode          "fan_in" keeps the spread of what goes forward, "fan_out" of the gradient
    nonlinearity  what follows the layer: its `calculate_gain`

    Raises `ArgumentError` for another mode or nonlinearity.
    K. He et al., "Delving Deep into Rectifiers", arXiv:1502.01852, equations 10 and 14.
    """
    std = _kaiming_std("kaiming_uniform_", t, a, mode, nonlinearity)
    return _put(t, math.sqrt(3) * std * (2 * host_uniform(t.shape) - 1))


def kaiming_normal_(
    t: Tensor, a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """N(0, gain**2 / fan), otherwise as `kaiming_uniform_`. K. He et al., arXiv:1502.01852."""
    std = _kaiming_std("kaiming_normal_", t, a, mode, nonlinearity)
    return _put(t, std * _normals(t.shape))


# With a structure


def orthogonal_(t: Tensor, gain: float = 1.0) -> Tensor:
    """gain times a random matrix with orthonormal rows or columns, whichever are fewer.

    t: (outputs, ...), at least 2 axes, taken as a matrix (outputs, all else). From the QR
    decomposition of normal numbers, with R's diagonal made positive: all
    such matrices are equally likely.
    A. Saxe, J. McClelland, S. Ganguli, arXiv:1312.6120; F. Mezzadri, "How to generate random
    matrices from the classical compact groups", 2007, for the diagonal.
    """
    _check("orthogonal_", t, axes=2)
    rows, columns = t.shape[0], math.prod(t.shape[1:])
    q, r = np.linalg.qr(_normals((max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return _put(t, gain * (q if rows >= columns else q.T).reshape(t.shape))


def sparse_(t: Tensor, sparsity: float, std: float = 0.01) -> Tensor:
    """N(0, std**2), but in each column ceil(sparsity * rows) places, chosen at random, are 0.

    t: (rows, columns). Raises `ArgumentError` for a sparsity outside 0 to 1 or a negative std.
    J. Martens, "Deep learning via Hessian-free optimization", 2010.
    """
    _check("sparse_", t, axes=2, only=True)
    _check_std("sparse_", std)
    if not 0 <= sparsity <= 1:
        raise ArgumentError(f"sparse_: sparsity={sparsity}; expected a share from 0 to 1")
    values = std * _normals(t.shape)
    empty = np.argsort(host_uniform(t.shape), axis=0)[: math.ceil(sparsity * t.shape[0])]
    np.put_along_axis(values, empty, 0.0, axis=0)
    return _put(t, values)

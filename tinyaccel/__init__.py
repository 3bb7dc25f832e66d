"""tinyaccel: a small tensor engine whose backends are proven to agree.

>>> import tinyaccel as ta
>>> x = ta.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4., 6.])
"""

from tinyaccel import errors, nn, optim
from tinyaccel.autograd import grad, hvp, jacobian, jvp, value_and_grad, vjp
from tinyaccel.backend import (
    Backend,
    Device,
    backend_names,
    default_device,
    get_device,
    load_backend,
    precision,
    register_backend,
)
from tinyaccel.dtypes import (
    DType,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int32,
    int64,
    uint8,
    uint32,
)
from tinyaccel.graph import Graph, Instr
from tinyaccel.jit import jit
from tinyaccel.op import OPS, Op, Spec
from tinyaccel.ops import random
from tinyaccel.ops.composite import (
    batch_norm,
    cross_entropy,
    dropout,
    gelu,
    log_softmax,
    mse,
    softmax,
)
from tinyaccel.ops.creation import arange, full, ones, ones_like, zeros, zeros_like
from tinyaccel.ops.define import custom_op
from tinyaccel.ops.elementwise import (
    abs,  # noqa: A004  # the Array API's names
    add,
    astype,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    clip,
    cos,
    div,
    equal,
    erf,
    exp,
    expm1,
    floor,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    log1p,
    maximum,
    minimum,
    mul,
    neg,
    not_equal,
    pow,  # noqa: A004
    relu,
    remainder,
    shift_left,
    shift_right,
    sigmoid,
    sign,
    sin,
    sqrt,
    square,
    sub,
    tanh,
    where,
)
from tinyaccel.ops.indexing import scatter_add, take_along_axis
from tinyaccel.ops.linalg import linear, matmul
from tinyaccel.ops.movement import (
    broadcast_to,
    concat,
    expand_dims,
    flip,
    pad,
    permute_dims,
    reshape,
    squeeze,
    stack,
)
from tinyaccel.ops.random import Generator, manual_seed
from tinyaccel.ops.reduce import (
    argmax,
    max,  # noqa: A004
    mean,
    min,  # noqa: A004
    sum,  # noqa: A004
    var,
)
from tinyaccel.ops.window import avg_pool2d, conv2d, fold, max_pool2d, unfold
from tinyaccel.tape import enable_grad, no_grad
from tinyaccel.tensor import Tensor, tensor

__version__ = "0.1.0"

__all__ = [name for name in dir() if not name.startswith("_")]

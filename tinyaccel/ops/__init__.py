"""The ops. Primitives, which a backend's kernels (or the Array API's defaults) compute:

    elementwise  neg abs exp expm1 log log1p sqrt sin cos tanh erf relu
                 add sub mul div pow maximum minimum remainder floor_divide equal less less_equal
                 bitwise_and bitwise_or bitwise_xor shift_left shift_right where astype
    rounding     floor
    trigonometry atan2
    reduce       sum max argmax
    movement     reshape permute_dims broadcast_to flip pad slice concat
    indexing     take_along_axis scatter_add take index_add index_set
    sorting      argsort
    linalg       matmul
    convolution  conv2d conv2d_input_grad conv2d_weight_grad
    unfold       unfold fold
    creation     arange

Every other op is a composite: it has a body, spelled in these.
"""

from tinyaccel.ops import (
    activation,
    arrange,
    attention,
    classification,
    convolution,
    creation,
    einsum,
    elementwise,
    indexing,
    linalg,
    logic,
    loss,
    movement,
    normalization,
    pooling,
    powers,
    random,
    recurrent,
    reduce,
    resize,
    rounding,
    scan,
    sorting,
    trigonometry,
    unfold,
)

__all__ = [
    "activation",
    "arrange",
    "attention",
    "classification",
    "convolution",
    "creation",
    "einsum",
    "elementwise",
    "indexing",
    "linalg",
    "logic",
    "loss",
    "movement",
    "normalization",
    "pooling",
    "powers",
    "random",
    "recurrent",
    "reduce",
    "resize",
    "rounding",
    "scan",
    "sorting",
    "trigonometry",
    "unfold",
]

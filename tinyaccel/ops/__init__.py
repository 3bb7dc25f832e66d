"""The ops. Primitives, which a backend's kernels (or the Array API's defaults) compute:

    elementwise  neg abs exp expm1 log log1p sqrt sin cos tanh erf floor relu
                 add sub mul div pow maximum minimum remainder equal less less_equal
                 bitwise_and bitwise_or bitwise_xor shift_left shift_right where astype
    reduce       sum max argmax
    movement     reshape permute_dims broadcast_to flip pad slice concat
    indexing     take_along_axis scatter_add
    linalg       matmul
    window       conv2d conv2d_input_grad conv2d_weight_grad unfold fold
    creation     arange

Every other op is a composite: it has a body, spelled in these.
"""

from tinyaccel.ops import (
    composite,
    creation,
    elementwise,
    indexing,
    linalg,
    movement,
    random,
    reduce,
    window,
)

__all__ = [
    "composite",
    "creation",
    "elementwise",
    "indexing",
    "linalg",
    "movement",
    "random",
    "reduce",
    "window",
]

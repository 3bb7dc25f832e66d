"""Every layer and loss with settings and inputs: the table that they are tested from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


class Drawn(NamedTuple):
    """An input that isn't just normal numbers, and whether there is a gradient by it."""

    draw: Callable[[np.random.Generator], Array]
    slope: bool = False


Input: TypeAlias = "tuple[int, ...] | Drawn"  # a tuple is the shape of normal numbers


class Case(NamedTuple):
    """A layer by name and settings, which are the same in PyTorch.

    NumPy arrays among the settings become tensors on both sides.
    """

    layer: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    inputs: tuple[Input, ...]

    def __str__(self) -> str:
        options = [f"{name}={np.asarray(v).tolist()}" for name, v in self.options.items()]
        shape = "" if isinstance(self.inputs[0], Drawn) else f" of {self.inputs[0]}"
        return f"{self.layer}({', '.join([*map(str, self.args), *options])}){shape}"


def integers(low: int, high: int, *shape: int) -> Drawn:
    return Drawn(lambda rng: rng.integers(low, high, shape).astype(np.int32))


def uniform(low: float, high: float, *shape: int) -> Drawn:
    return Drawn(lambda rng: rng.uniform(low, high, shape), slope=True)


def signs(*shape: int) -> Drawn:
    """1 and -1, as floats."""
    return Drawn(lambda rng: np.asarray(np.sign(rng.normal(size=shape))))


def fixed(values: Any) -> Drawn:
    return Drawn(lambda rng: np.asarray(values))


def case(layer: str, *args: Any, of: Any, **options: Any) -> Case:
    """`of` is one input, or a list of several."""
    return Case(layer, args, options, tuple(of) if isinstance(of, list) else (of,))


IMAGE = (2, 4, 5, 6)
SIGNAL = (2, 4, 7)
ROWS = (6, 5)

LAYERS = [
    case("Linear", 5, 3, of=ROWS),
    case("Linear", 5, 3, bias=False, of=(2, 3, 5)),
    case("Linear", 5, 3, of=(5,)),
    case("Flatten", of=IMAGE),
    case("Flatten", start_dim=0, end_dim=2, of=IMAGE),
    case("Unflatten", 1, (2, 2), of=IMAGE),
    case("Unflatten", -1, (3, -1), of=IMAGE),
    case("Embedding", 6, 3, of=integers(0, 6, 4, 5)),
    case("Embedding", 6, 3, padding_idx=2, of=integers(0, 6, 4, 5)),
    case("Embedding", 6, 3, padding_idx=-1, of=integers(0, 6, 9)),
    case("Conv1d", 4, 6, 3, of=SIGNAL),
    case("Conv1d", 4, 6, 3, stride=2, padding=1, dilation=2, groups=2, bias=False, of=SIGNAL),
    case("Conv1d", 4, 2, 4, padding="same", of=SIGNAL),
    case("Conv2d", 4, 6, 3, of=IMAGE),
    case("Conv2d", 4, 6, (2, 3), bias=False, of=IMAGE),
    case("Conv2d", 4, 6, 3, stride=(2, 1), padding=(1, 2), of=IMAGE),
    case("Conv2d", 4, 6, 3, dilation=2, padding=1, groups=2, of=IMAGE),
    case("Conv2d", 4, 6, (3, 4), padding="same", of=IMAGE),
    case("Conv2d", 4, 6, 3, padding="valid", of=IMAGE),
    case("ConvTranspose1d", 4, 6, 3, of=SIGNAL),
    case("ConvTranspose1d", 4, 6, 3, stride=3, padding=1, output_padding=2, groups=2, dilation=2,
         bias=False, of=SIGNAL),
    case("ConvTranspose2d", 4, 6, 3, of=IMAGE),
    case("ConvTranspose2d", 4, 6, (4, 3), (2, 1), (1, 2), (1, 0), of=IMAGE),
    case("ConvTranspose2d", 4, 6, 3, 2, 1, 0, 2, False, 2, of=IMAGE),  # in PyTorch's order
    case("MaxPool1d", 2, of=SIGNAL),
    case("MaxPool1d", 3, stride=2, padding=1, ceil_mode=True, of=(2, 4, 8)),
    case("MaxPool2d", 2, of=IMAGE),
    case("MaxPool2d", 3, stride=2, padding=1, of=IMAGE),
    case("MaxPool2d", (3, 2), dilation=(1, 2), stride=1, of=IMAGE),
    case("MaxPool2d", 2, ceil_mode=True, of=IMAGE),
    case("AvgPool1d", 2, of=SIGNAL),
    case("AvgPool1d", 3, 2, 1, True, False, of=SIGNAL),
    case("AvgPool2d", 2, of=IMAGE),
    case("AvgPool2d", 3, 2, 1, True, False, of=(2, 4, 6, 5)),
    case("AvgPool2d", 3, stride=2, padding=1, of=IMAGE),
    case("AdaptiveAvgPool1d", 3, of=SIGNAL),
    case("AdaptiveAvgPool2d", 1, of=IMAGE),
    case("AdaptiveAvgPool2d", (None, 4), of=IMAGE),
    case("AdaptiveMaxPool1d", 3, of=SIGNAL),
    case("AdaptiveMaxPool2d", (2, 3), of=IMAGE),
    case("AdaptiveMaxPool2d", (3, None), of=IMAGE),
    case("BatchNorm1d", 5, of=ROWS),
    case("BatchNorm1d", 4, eps=0.1, momentum=0.3, of=SIGNAL),
    case("BatchNorm2d", 4, of=IMAGE),
    case("BatchNorm2d", 4, affine=False, momentum=None, of=IMAGE),
    case("BatchNorm2d", 4, track_running_stats=False, of=IMAGE),
    case("LayerNorm", 5, of=ROWS),
    case("LayerNorm", (5, 6), eps=0.1, bias=False, of=IMAGE),
    case("LayerNorm", [6], elementwise_affine=False, of=IMAGE),
    case("RMSNorm", 5, of=ROWS),
    case("RMSNorm", (5, 6), eps=0.1, elementwise_affine=False, of=IMAGE),
    case("GroupNorm", 2, 4, of=IMAGE),
    case("GroupNorm", 4, 4, eps=0.1, affine=False, of=SIGNAL),
    case("InstanceNorm1d", 4, eps=0.1, affine=True, of=SIGNAL),
    case("InstanceNorm2d", 4, of=IMAGE),
    case("InstanceNorm2d", 4, eps=0.1, affine=True, of=IMAGE),
    case("Upsample", scale_factor=2, of=IMAGE),
    case("Upsample", size=(7, 4), mode="bilinear", align_corners=True, of=IMAGE),
    case("UpsamplingNearest2d", (7, 4), of=IMAGE),
    case("UpsamplingNearest2d", scale_factor=3, of=IMAGE),
    case("UpsamplingBilinear2d", (9, 11), of=IMAGE),
    case("LocalResponseNorm", 2, of=IMAGE),
    case("LocalResponseNorm", 5, 0.5, 0.6, 2.0, of=SIGNAL),
    case("ZeroPad1d", (2, 1), of=SIGNAL),
    case("ZeroPad2d", 1, of=IMAGE),
    case("ZeroPad2d", (1, 2, 0, 3), of=IMAGE),
    case("ConstantPad1d", 2, 0.5, of=SIGNAL),
    case("ConstantPad2d", (1, 2, 0, 3), -1.5, of=IMAGE),
    case("ReflectionPad1d", (3, 6), of=SIGNAL),
    case("ReflectionPad2d", (1, 5, 0, 3), of=IMAGE),
    case("ReplicationPad1d", (0, 3), of=SIGNAL),
    case("ReplicationPad2d", (1, 2, 0, 3), of=IMAGE),
    case("PixelShuffle", 2, of=IMAGE),
    case("PixelUnshuffle", 2, of=(2, 3, 4, 6)),
    case("ChannelShuffle", 2, of=(2, 6, 3, 2)),
    case("Unfold", 2, of=IMAGE),
    case("Unfold", (3, 2), (1, 2), (2, 1), (2, 3), of=IMAGE),
    case("Fold", (3, 4), 2, of=(2, 8, 6)),
    case("Fold", (5, 6), (3, 2), (1, 2), (2, 1), (2, 3), of=(2, 12, 8)),
    case("CosineSimilarity", of=[IMAGE, IMAGE]),
    case("CosineSimilarity", dim=-1, of=[ROWS, (1, 5)]),
    case("PairwiseDistance", of=[ROWS, ROWS]),
    case("PairwiseDistance", 3.0, 0.1, True, of=[ROWS, (5,)]),
    case("PairwiseDistance", np.inf, of=[ROWS, ROWS]),
]  # fmt: skip
WIDE = uniform(-8, 8, 6, 5)
ACTIVATIONS = [
    case("CELU", alpha=0.25, of=WIDE),
    case("ELU", of=WIDE),
    case("ELU", alpha=0.5, of=WIDE),
    case("GELU", of=WIDE),
    case("GELU", approximate="tanh", of=WIDE),
    case("GLU", of=IMAGE),
    case("GLU", dim=1, of=IMAGE),
    case("Hardshrink", lambd=0.8, of=WIDE),
    case("Hardsigmoid", of=WIDE),
    case("Hardswish", of=WIDE),
    case("Hardtanh", min_val=-0.5, max_val=0.25, of=WIDE),
    case("Identity", of=WIDE),
    case("LeakyReLU", negative_slope=0.2, of=WIDE),
    case("LogSigmoid", of=WIDE),
    case("LogSoftmax", dim=1, of=IMAGE),
    case("Mish", of=WIDE),
    case("PReLU", of=WIDE),
    case("PReLU", 4, init=0.1, of=IMAGE),
    case("RReLU", 0.1, 0.5, of=WIDE),
    case("ReLU", of=WIDE),
    case("ReLU6", of=WIDE),
    case("SELU", of=WIDE),
    case("SiLU", of=WIDE),
    case("Sigmoid", of=WIDE),
    case("Softmax", dim=-1, of=IMAGE),
    case("Softmax", dim=1, of=IMAGE),
    case("Softmax2d", of=IMAGE),
    case("Softmin", dim=1, of=IMAGE),
    case("Softplus", beta=2.0, of=WIDE),
    case("Softshrink", lambd=0.8, of=WIDE),
    case("Softsign", of=WIDE),
    case("Tanh", of=WIDE),
    case("Tanhshrink", of=WIDE),
    case("Threshold", 0.3, -2.0, of=WIDE),
]

WEIGHT = np.array([0.5, 2.0, 1.0, 0.25, 3.0])
LABELS = fixed([0, 1, 2, 3, 4, 0])
SHARES = uniform(0, 1, *ROWS)
SIGNS = signs(*ROWS)
TRIPLET = [(3, 4, 5)] * 3
LOSSES = [
    case("BCELoss", reduction="sum", of=[SHARES, SHARES]),
    case("BCELoss", weight=WEIGHT, of=[SHARES, SHARES]),
    case("BCEWithLogitsLoss", weight=WEIGHT, pos_weight=2 * WEIGHT, of=[ROWS, SHARES]),
    case("BCEWithLogitsLoss", pos_weight=WEIGHT, reduction="none", of=[ROWS, SHARES]),
    case("CosineEmbeddingLoss", margin=0.2, reduction="sum", of=[ROWS, ROWS, signs(6)]),
    case("CosineEmbeddingLoss", reduction="none", of=[(5,), (5,), signs()]),
    case("CrossEntropyLoss", reduction="none", of=[ROWS, LABELS]),
    case("CrossEntropyLoss", weight=WEIGHT, label_smoothing=0.1, of=[ROWS, LABELS]),
    case("CrossEntropyLoss", ignore_index=0, reduction="sum", of=[ROWS, LABELS]),
    case("GaussianNLLLoss", of=[ROWS, ROWS, uniform(-0.0, 0.02, *ROWS)], eps=0.01),
    case("GaussianNLLLoss", full=True, reduction="none", of=[ROWS, ROWS, uniform(0.1, 2, 6)]),
    case("GaussianNLLLoss", reduction="sum", of=[ROWS, ROWS, uniform(0.1, 2, 6, 1)]),
    case("HingeEmbeddingLoss", of=[ROWS, SIGNS]),
    case("HingeEmbeddingLoss", margin=0.3, reduction="none", of=[ROWS, SIGNS]),
    case("HuberLoss", delta=0.25, of=[ROWS, ROWS]),
    case("HuberLoss", reduction="sum", of=[ROWS, ROWS]),
    case("KLDivLoss", reduction="batchmean", of=[ROWS, SHARES]),
    case("KLDivLoss", reduction="sum", log_target=True, of=[ROWS, ROWS]),
    case("L1Loss", reduction="none", of=[ROWS, ROWS]),
    case("MSELoss", of=[ROWS, ROWS]),
    case("MarginRankingLoss", of=[ROWS, ROWS, SIGNS]),
    case("MarginRankingLoss", margin=0.5, reduction="sum", of=[ROWS, ROWS, SIGNS]),
    case("MultiLabelMarginLoss", of=[(3, 4), fixed([[2, 0, -1, 1], [-1, 0, 1, 2], [3, 1, 0, 2]])]),
    case("MultiLabelMarginLoss", reduction="none", of=[(1, 3), fixed([[1, -1, -1]])]),
    case("MultiLabelSoftMarginLoss", weight=WEIGHT, of=[ROWS, fixed(np.eye(6, 5))]),
    case("MultiLabelSoftMarginLoss", reduction="none", of=[ROWS, fixed(np.eye(6, 5))]),
    case("MultiMarginLoss", of=[ROWS, LABELS]),
    case("MultiMarginLoss", 2, 0.7, weight=WEIGHT, reduction="none", of=[ROWS, LABELS]),
    case("NLLLoss", weight=WEIGHT, ignore_index=2, of=[ROWS, LABELS]),
    case("NLLLoss", reduction="sum", of=[ROWS, LABELS]),
    case("PoissonNLLLoss", full=True, of=[ROWS, uniform(0, 4, *ROWS)]),
    case("PoissonNLLLoss", log_input=False, eps=0.01, reduction="sum", of=[SHARES, SHARES]),
    case("SmoothL1Loss", beta=0.25, of=[ROWS, ROWS]),
    case("SoftMarginLoss", of=[ROWS, SIGNS]),
    case("TripletMarginLoss", of=TRIPLET),
    case("TripletMarginLoss", 0.5, 3.0, 0.1, True, reduction="none", of=TRIPLET),
    case("TripletMarginWithDistanceLoss", of=TRIPLET),
    case("TripletMarginWithDistanceLoss", margin=0.3, swap=True, reduction="sum", of=TRIPLET),
]

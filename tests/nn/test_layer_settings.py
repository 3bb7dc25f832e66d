"""Layers on settings and input that don't fit, and what they print of their settings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError, AxisError, DTypeError, IndexRangeError, ShapeError

BAD: list[tuple[str, Callable[[], object], type[Exception], str]] = [
    ("linear size", lambda: nn.Linear(0, 3), ArgumentError,
     r"Linear: in_features=0; expected an integer of at least 1"),
    ("linear float size", lambda: nn.Linear(4, 2.5), ArgumentError,  # type: ignore[arg-type]
     r"Linear: out_features=2\.5; expected an integer"),
    ("linear dtype", lambda: nn.Linear(4, 2, dtype="int32"), DTypeError,
     r"dtype int32; expected a float"),
    ("linear input", lambda: nn.Linear(4, 2)(ta.zeros((3, 5))), ShapeError,
     r"linear: input \(3, 5\) has 5 features but weight \(2, 4\) expects"),
    ("conv channels", lambda: nn.Conv2d(0, 4, 3), ArgumentError, r"Conv2d: in_channels=0"),
    ("conv kernel", lambda: nn.Conv2d(1, 4, 0), ArgumentError, r"Conv2d: kernel_size=0"),
    ("conv stride", lambda: nn.Conv2d(1, 4, 3, stride=(1, 0)), ArgumentError,
     r"Conv2d: stride=\(1, 0\)"),
    ("conv padding", lambda: nn.Conv2d(1, 4, 3, padding=-1), ArgumentError,
     r"Conv2d: padding=-1; expected an int or a pair of ints, each at least 0"),
    ("conv same", lambda: nn.Conv2d(1, 4, 3, stride=2, padding="same"), ArgumentError,
     r'padding="same" with stride \(2, 2\); it needs stride 1'),
    ("conv word", lambda: nn.Conv2d(1, 4, 3, padding="sane"), ArgumentError, r"padding='sane'"),
    ("conv groups", lambda: nn.Conv2d(4, 3, 3, groups=2), ArgumentError,
     r"Conv2d: out_channels=3 doesn't divide into groups=2"),
    ("conv input", lambda: nn.Conv2d(4, 8, 3)(ta.zeros((1, 3, 8, 8))), ShapeError,
     r"conv2d: input has 3 channels but weight \(8, 4, 3, 3\)"),
    ("conv too small", lambda: nn.Conv2d(1, 1, 5)(ta.zeros((1, 1, 4, 8))), ShapeError,
     r"conv2d: a window of 5 doesn't fit into 4"),
    ("pool padding", lambda: nn.MaxPool2d(2, padding=2)(ta.zeros((1, 1, 4, 4))), ShapeError,
     r"max_pool2d: padding .* for a window of 2; at most half of it"),
    ("pool kernel", lambda: nn.AvgPool2d((2, 2, 2)), ArgumentError,  # type: ignore[arg-type]
     r"AvgPool2d: kernel_size=\(2, 2, 2\)"),
    ("pool input", lambda: nn.AvgPool2d(2)(ta.zeros((4, 4))), ShapeError,
     r"avg_pool2d: input \(4, 4\); expected \(N, C, H, W\)"),
    ("norm features", lambda: nn.BatchNorm2d(-1), ArgumentError, r"BatchNorm2d: num_features=-1"),
    ("norm eps", lambda: nn.BatchNorm2d(2, eps=-1.0), ArgumentError, r"BatchNorm2d: eps=-1\.0"),
    ("norm momentum", lambda: nn.BatchNorm2d(2, momentum=2.0), ArgumentError,
     r"BatchNorm2d: momentum=2\.0; expected None or 0 to 1"),
    ("norm input", lambda: nn.BatchNorm2d(2)(ta.zeros((1, 3, 4, 4))), ShapeError,
     r"BatchNorm2d: input \(1, 3, 4, 4\); expected \(N, 2, H, W\)"),
    ("norm of one value", lambda: nn.BatchNorm2d(2)(ta.zeros((1, 2, 1, 1))), ShapeError,
     r"1 value per channel; expected at least 2, use a larger batch or eval\(\)"),
    ("dropout p", lambda: nn.Dropout(1.5), ArgumentError, r"Dropout: p=1\.5"),
    ("dropout nan", lambda: nn.Dropout(float("nan")), ArgumentError, r"Dropout: p=nan"),
    ("flatten axis", lambda: nn.Flatten(3)(ta.zeros((2, 3))), AxisError, r"Flatten: axis 3"),
    ("flatten order", lambda: nn.Flatten(2, 1)(ta.zeros((2, 3, 4))), ArgumentError,
     r"Flatten: start_dim=2 comes after end_dim=1 in \(2, 3, 4\)"),
    ("softmax axis", lambda: nn.Softmax(2)(ta.zeros((2, 3))), AxisError, r"softmax: axis 2"),
    ("loss reduction", lambda: nn.MSELoss("average"), ArgumentError,  # type: ignore[arg-type]
     r"MSELoss: reduction='average'; expected \"mean\", \"sum\" or \"none\""),
    ("mse shapes", lambda: nn.MSELoss("none")(ta.zeros((2, 1)), ta.zeros((2,))), ShapeError,
     r"mse: prediction \(2, 1\) and target \(2,\); must be equal"),
    ("labels dtype", lambda: nn.CrossEntropyLoss(reduction="none")(ta.zeros((2, 3)), ta.zeros(2)),
     DTypeError, r"cross_entropy: labels are float32\[2\]; expected integers"),
    ("labels shape", lambda: nn.CrossEntropyLoss()(ta.zeros((2, 3)), ta.arange(3)), ShapeError,
     r"cross_entropy: logits \(2, 3\) and labels \(3,\)"),
    ("unflatten", lambda: nn.Unflatten(1, (2, 3))(ta.zeros((2, 5))), ShapeError,
     r"Unflatten: \(5,\) has 5 elements, which \(2, 3\) can't hold"),
    ("embedding rows", lambda: nn.Embedding(0, 3), ArgumentError,
     r"Embedding: num_embeddings=0; expected an integer of at least 1"),
    ("embedding padding", lambda: nn.Embedding(4, 3, padding_idx=4), ArgumentError,
     r"Embedding: padding_idx=4 of 4 rows; expected one of them, or None"),
    ("embedding input", lambda: nn.Embedding(4, 3)(ta.zeros((2,))), DTypeError,
     r"Embedding: input float32\[2\]; expected integers"),
    ("embedding index", lambda: nn.Embedding(4, 3)(ta.tensor([1, 4])), IndexRangeError,
     r"take: index 4"),
    ("embedding below 0", lambda: nn.Embedding(4, 3)(ta.tensor([-1])), IndexRangeError,
     r"take: index 4"),
    ("conv1d kernel", lambda: nn.Conv1d(1, 1, (3, 3)), ArgumentError,  # type: ignore[arg-type]
     r"Conv1d: kernel_size=\(3, 3\); expected an int of at least 1"),
    ("conv1d padding", lambda: nn.Conv1d(1, 1, 3, padding="sane"), ArgumentError,
     r"Conv1d: padding='sane'"),
    ("conv1d input", lambda: nn.Conv1d(2, 1, 3)(ta.zeros((2, 5))), ShapeError,
     r"conv1d: input \(2, 5\) and weight \(1, 2, 3\); expected \(N, C, L\)"),
    ("transpose groups", lambda: nn.ConvTranspose2d(3, 4, 3, groups=2), ArgumentError,
     r"ConvTranspose2d: in_channels=3 doesn't divide into groups=2; change one"),
    ("transpose padding", lambda: nn.ConvTranspose1d(1, 1, 3, output_padding=-1), ArgumentError,
     r"ConvTranspose1d: output_padding=-1; expected an int of at least 0"),
    ("transpose input", lambda: nn.ConvTranspose2d(2, 4, 3)(ta.zeros((1, 3, 4, 4))), ShapeError,
     r"conv_transpose2d: input has 3 channels, weight \(2, 4, 3, 3\), groups=1"),
    ("pool1d stride", lambda: nn.MaxPool1d(2, stride=0), ArgumentError, r"MaxPool1d: stride=0"),
    ("adaptive size", lambda: nn.AdaptiveAvgPool2d((2, 0)), ArgumentError,
     r"AdaptiveAvgPool2d: output_size=0; expected an int of at least 1"),
    ("adaptive sizes", lambda: nn.AdaptiveMaxPool2d((1, 2, 3)), ArgumentError,  # type: ignore[arg-type]
     r"AdaptiveMaxPool2d: output_size=\(1, 2, 3\); expected a number, or a pair"),
    ("adaptive input", lambda: nn.AdaptiveMaxPool2d(None)(ta.zeros((4, 4))), ShapeError,
     r"adaptive_max_pool2d: input \(4, 4\); expected \(N, C, H, W\)"),
    ("batch norm 1d", lambda: nn.BatchNorm1d(3)(ta.zeros((2, 3, 4, 4))), ShapeError,
     r"BatchNorm1d: input \(2, 3, 4, 4\); expected \(N, 3\) or \(N, 3, L\)"),
    ("layer norm shape", lambda: nn.LayerNorm(()), ArgumentError,
     r"LayerNorm: normalized_shape=\(\); expected the sizes of the last axes"),
    ("layer norm input", lambda: nn.LayerNorm(3)(ta.zeros((3, 4))), ShapeError,
     r"layer_norm: input \(3, 4\) with normalized_shape=\(3,\); expected its last axes"),
    ("rms norm eps", lambda: nn.RMSNorm(3, eps=-1.0), ArgumentError,
     r"RMSNorm: eps=-1\.0; expected a number of at least 0"),
    ("group norm groups", lambda: nn.GroupNorm(4, 6), ArgumentError,
     r"GroupNorm: num_channels=6 doesn't divide into num_groups=4; change one"),
    ("group norm input", lambda: nn.GroupNorm(2, 6)(ta.zeros((1, 4, 2))), ShapeError,
     r"GroupNorm: input \(1, 4, 2\); expected \(N, 6, \.\.\.\)"),
    ("instance norm", lambda: nn.InstanceNorm2d(2)(ta.zeros((1, 2, 1, 1))), ShapeError,
     r"InstanceNorm2d: input \(1, 2, 1, 1\); expected \(N, 2, H, W\) of more than one pixel"),
    ("dropout axes", lambda: nn.Dropout2d()(ta.zeros((2, 3, 4))), ShapeError,
     r"Dropout2d: input \(2, 3, 4\); expected \(N, C, H, W\)"),
    ("dropout2d p", lambda: nn.Dropout2d(-0.1), ArgumentError, r"Dropout2d: p=-0\.1; expected"),
    ("upsample", lambda: nn.Upsample()(ta.zeros((1, 1, 2, 2))), ArgumentError,
     r"interpolate: got neither of size and scale_factor"),
    ("zero pad", lambda: nn.ZeroPad2d((1, 2)), ArgumentError,  # type: ignore[arg-type]
     r"ZeroPad2d: padding=\(1, 2\); expected an int of at least 0, or four of them"),
    ("zero pad input", lambda: nn.ZeroPad2d(1)(ta.zeros((2, 2))), ShapeError,
     r"ZeroPad2d: input \(2, 2\); expected \(N, C, H, W\)"),
    ("pixel shuffle", lambda: nn.PixelShuffle(2)(ta.zeros((1, 6, 2, 2))), ShapeError,
     r"PixelShuffle: input \(1, 6, 2, 2\); expected \(N, C, H, W\), C a multiple of 4"),
    ("glu", lambda: nn.GLU(1)(ta.zeros((2, 3))), ShapeError,
     r"GLU: input \(2, 3\) has 3 along axis 1; expected an even size"),
    ("softmax2d", lambda: nn.Softmax2d()(ta.zeros((2, 3))), ShapeError,
     r"Softmax2d: input \(2, 3\); expected \(N, C, H, W\)"),
    ("prelu", lambda: nn.PReLU(3)(ta.zeros((2, 4))), ShapeError,
     r"PReLU: input \(2, 4\); expected \(N, 3, \.\.\.\)"),
    ("celu", lambda: nn.CELU(0.0), ArgumentError, r"CELU: alpha=0\.0; expected a number above 0"),
    ("rrelu", lambda: nn.RReLU(0.5, 0.1), ArgumentError, r"RReLU: lower=0\.5, upper=0\.1"),
    ("shrink", lambda: nn.Softshrink(-0.5), ArgumentError, r"Softshrink: lambd=-0\.5; expected"),
    ("gelu", lambda: nn.GELU("erf"), ArgumentError, r"^GELU: approximate='erf'; expected"),
    ("hinge", lambda: nn.HingeEmbeddingLoss()(ta.zeros((2,)), ta.zeros((3,))), ShapeError,
     r"HingeEmbeddingLoss: distance \(2,\), target \(3,\); must be equal"),
    ("margin p", lambda: nn.MultiMarginLoss(3), ArgumentError, r"MultiMarginLoss: p=3; expected"),
    ("margin labels", lambda: nn.MultiMarginLoss()(ta.zeros((2, 3)), ta.arange(3)), ShapeError,
     r"MultiMarginLoss: prediction \(2, 3\) and labels \(3,\); expected \(N, C\) and \(N,\)"),
    ("margin label", lambda: nn.MultiMarginLoss()(ta.zeros((2, 3)), ta.tensor([0, -1])),
     IndexRangeError, r"index 3"),
    ("margin floats", lambda: nn.MultiLabelMarginLoss()(ta.zeros((2, 3)), ta.zeros((2, 3))),
     DTypeError, r"MultiLabelMarginLoss: labels are float32\[2, 3\]; expected integers"),
    ("cosine", lambda: nn.CosineEmbeddingLoss()(*[ta.zeros((2, 3))] * 3), ShapeError,
     r"CosineEmbeddingLoss: inputs \(2, 3\), target \(2, 3\); expected \(N, D\) and \(N,\)"),
    ("triplet p", lambda: nn.TripletMarginLoss(p=0.0), ArgumentError, r"TripletMarginLoss: p=0\.0"),
    ("variance", lambda: nn.GaussianNLLLoss()(*[ta.zeros((2, 3))] * 2, ta.zeros((3,))), ShapeError,
     r"GaussianNLLLoss: variance \(3,\) for \(2, 3\)"),
    ("poisson eps", lambda: nn.PoissonNLLLoss(eps=-1.0), ArgumentError, r"PoissonNLLLoss: eps=-1"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "text"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_what_does_not_fit(make: Callable[[], object], error: type[Exception], text: str) -> None:
    """Impossible settings and inputs raise one line that names layer, value and remedy."""
    with pytest.raises(error, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)


PRINTED = [
    (lambda: nn.Conv2d(1, 8, 3), "Conv2d(1, 8, kernel_size=(3, 3))"),
    (lambda: nn.Conv1d(1, 8, 3, 2, padding="valid"),
     "Conv1d(1, 8, kernel_size=3, stride=2, padding='valid')"),
    (lambda: nn.ConvTranspose2d(4, 2, 3, (2, 1), 1, (1, 0), 2),
     "ConvTranspose2d(4, 2, kernel_size=(3, 3), stride=(2, 1), padding=1, output_padding=(1, 0), "
     "groups=2)"),
    (lambda: nn.MaxPool2d(2, ceil_mode=True), "MaxPool2d(kernel_size=(2, 2), ceil_mode=True)"),
    (lambda: nn.AvgPool1d(3, 2, 1, False, False),
     "AvgPool1d(kernel_size=3, stride=2, padding=1, count_include_pad=False)"),
    (lambda: nn.AdaptiveAvgPool2d((None, 2)), "AdaptiveAvgPool2d((None, 2))"),
    (lambda: nn.BatchNorm1d(3, momentum=None), "BatchNorm1d(3, momentum=None)"),
    (lambda: nn.LayerNorm(4, eps=0.1), "LayerNorm((4,), eps=0.1)"),
    (lambda: nn.Embedding(9, 2, padding_idx=-1), "Embedding(9, 2, padding_idx=8)"),
    (lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
     "Upsample(scale_factor=2, mode='bilinear')"),
    (lambda: nn.Flatten(), "Flatten()"),
    (lambda: nn.GELU("tanh"), "GELU(approximate='tanh')"),
    (lambda: nn.Threshold(0.5, 2.0), "Threshold(threshold=0.5, value=2.0)"),
    (lambda: nn.HuberLoss(delta=0.25, reduction="sum"), "HuberLoss(reduction='sum', delta=0.25)"),
    (lambda: nn.TripletMarginLoss(swap=True), "TripletMarginLoss(swap=True)"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "text"), PRINTED, ids=[p[1] for p in PRINTED])
def test_what_is_printed(make: Callable[[], nn.Module], text: str) -> None:
    """The settings that say what a layer is, and those that aren't as they are by default."""
    assert str(make()).split("  ")[0] == text

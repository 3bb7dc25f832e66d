"""A transformer's encoder layer, of attention and a network of two layers."""

from __future__ import annotations

from collections.abc import Callable

from tinyaccel.backend import Device
from tinyaccel.errors import ArgumentError
from tinyaccel.nn.attention import MultiheadAttention
from tinyaccel.nn.dropout import Dropout
from tinyaccel.nn.linear import Linear
from tinyaccel.nn.module import Module
from tinyaccel.nn.normalization import LayerNorm
from tinyaccel.nn.settings import described
from tinyaccel.ops.activation import gelu
from tinyaccel.ops.elementwise import relu
from tinyaccel.ops.random import Generator
from tinyaccel.tensor import DTypeLike, Tensor

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": relu, "gelu": gelu}


class TransformerEncoderLayer(Module):
    """x = norm1(x + attention(x)); y = norm2(x + linear2(activation(linear1(x))))

    d_model          E, features of a step
    nhead            heads of the attention, which divide E
    dim_feedforward  features between linear1 and linear2
    dropout          the probability of a 0, when training, among the attention's weights, what is
                     added to x, and what the activation gives
    activation       "relu" or "gelu"
    layer_norm_eps   of both norms
    batch_first      whether x is (N, L, E), rather than (L, N, E)
    norm_first       normalise what attention and network read, not what they are added to
    bias             whether the linear layers and norms have biases
    generator        where dropout's random words come from, as in `Dropout`
    dtype, device    of the parameters; float32 on the default device

    x: (L, N, E), (N, L, E) with batch_first, or (L, E); masks as `MultiheadAttention` takes them.
    Returns x's shape. Raises `ArgumentError` for impossible settings, `ShapeError` and
    `DTypeError` for what doesn't fit. A. Vaswani et al., arXiv:1706.03762, section 3.1.

    >>> import tinyaccel as ta
    >>> layer = ta.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> layer(ta.zeros((3, 5, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        generator: Generator | None = None,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        if activation not in _ACTIVATIONS:
            raise ArgumentError(
                f'TransformerEncoderLayer: activation={activation!r}; expected "relu" or "gelu"'
            )
        self.activation, self.norm_first = activation, norm_first
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first, generator=generator, dtype=dtype,
            device=device,
        )  # fmt: skip
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype, device=device)
        self.dropout = Dropout(dropout, generator=generator)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype, device=device)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype, device=device)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype, device=device)
        self.dropout1 = Dropout(dropout, generator=generator)
        self.dropout2 = Dropout(dropout, generator=generator)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        def attention(x: Tensor) -> Tensor:
            seen, _ = self.self_attn(
                x, x, x, key_padding_mask=src_key_padding_mask, need_weights=False,
                attn_mask=src_mask, is_causal=is_causal,
            )  # fmt: skip
            return self.dropout1(seen)

        def network(x: Tensor) -> Tensor:
            inner = _ACTIVATIONS[self.activation](self.linear1(x))
            return self.dropout2(self.linear2(self.dropout(inner)))

        if self.norm_first:
            x = src + attention(self.norm1(src))
            return x + network(self.norm2(x))
        x = self.norm1(src + attention(src))
        return self.norm2(x + network(x))

    def extra_repr(self) -> str:
        return described(self, activation="relu", norm_first=False)

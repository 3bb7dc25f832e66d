"""Attention of several heads, as a layer."""

from __future__ import annotations

import math

from tinyaccel import dtypes
from tinyaccel.backend import Device
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.nn import init
from tinyaccel.nn.linear import Linear
from tinyaccel.nn.module import Module, Parameter
from tinyaccel.nn.settings import described, divides, positive
from tinyaccel.ops.activation import softmax
from tinyaccel.ops.arrange import split
from tinyaccel.ops.attention import masked_softmax, scaled_dot_product_attention
from tinyaccel.ops.creation import arange
from tinyaccel.ops.elementwise import less, where
from tinyaccel.ops.linalg import linear
from tinyaccel.ops.normalization import dropout as dropped
from tinyaccel.ops.random import Generator, default_generator
from tinyaccel.shapes import Shape
from tinyaccel.tensor import DTypeLike, Tensor

_NAME = "MultiheadAttention"


class MultiheadAttention(Module):
    """softmax(q k^T / sqrt(d)) v, in parallel for several heads, between linear layers

    embed_dim    E, features of the queries and of the result; a multiple of num_heads
    num_heads    h; each sees d = E / h features of query, key and value
    dropout      the probability of a 0 among the attention weights, when training
    bias         whether the linear layers have biases
    batch_first  whether sequences are (N, L, E), rather than (L, N, E)
    kdim, vdim   features of keys and values; E by default
    generator    where dropout's random words come from, as in `Dropout`
    dtype, device  of the parameters; float32 on the default device

    Called with query, key and value, and if wanted with

    key_padding_mask  (N, S), or (S,) for one sequence: bool, True where a key is to be ignored, or
                      a float that is added to its scores
    need_weights      whether the attention weights are returned too; without them it may be faster
    attn_mask         (L, S) for all, or (N h, L, S): bool, True where a query must NOT look, or a
                      float that is added. (For `scaled_dot_product_attention`, as in PyTorch, it
                      is True where it may.)
    average_attn_weights  whether those returned are the mean of all heads'
    is_causal         whether query i sees the keys 0 to i only, besides what the masks say. (To
                      PyTorch it is a hint that attn_mask says so.)

    query: (L, N, E), key: (S, N, kdim), value: (S, N, vdim); (N, L, ...) with batch_first;
    (L, ...) for one sequence. Returns (output in query's shape, weights or None); weights:
    (N, L, S), or (N, h, L, S) if not averaged, without N for one sequence. A query that may see
    nothing gives weights of 0, where PyTorch gives NaN.

    in_proj_weight: (3 E, E) for query, key and value; with kdim or vdim instead q_proj_weight
    (E, E), k_proj_weight (E, kdim) and v_proj_weight (E, vdim): all Xavier-uniform.
    in_proj_bias: (3 E,), 0. out_proj: a `Linear` of E to E, its bias 0.

    Raises `ArgumentError` for impossible settings, `ShapeError` and `DTypeError` for inputs and
    masks that don't fit. A. Vaswani et al., "Attention Is All You Need", arXiv:1706.03762.

    >>> import tinyaccel as ta
    >>> layer = ta.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = ta.zeros((3, 5, 8))
    >>> output, weights = layer(x, x, x)
    >>> output.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    in_proj_bias: Tensor | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        batch_first: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        *,
        generator: Generator | None = None,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        positive(_NAME, embed_dim=embed_dim, num_heads=num_heads, kdim=self.kdim, vdim=self.vdim)
        divides(_NAME, "num_heads", num_heads, embed_dim=embed_dim)
        if not 0 <= dropout <= 1:
            raise ArgumentError(f"{_NAME}: dropout={dropout}; expected a probability from 0 to 1")
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.bias, self.batch_first, self.generator = bias, batch_first, generator

        def zeros(*shape: int) -> Tensor:
            return Parameter(init.constant(shape, 0.0, dtype=dtype, device=device))

        def drawn(*shape: int) -> Tensor:
            return init.xavier_uniform_(zeros(*shape))

        if self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = drawn(3 * embed_dim, embed_dim)
        else:
            self.q_proj_weight = drawn(embed_dim, embed_dim)
            self.k_proj_weight = drawn(embed_dim, self.kdim)
            self.v_proj_weight = drawn(embed_dim, self.vdim)
        self.in_proj_bias = None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype, device=device)
        if bias:
            self.in_proj_bias = zeros(3 * embed_dim)
            assert self.out_proj.bias is not None
            init.zeros_(self.out_proj.bias)

    def forward(  # type: ignore[override]  # two tensors
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        inputs = [query, key, value]
        one = query.ndim == 2  # a sequence by itself
        self._check(inputs)
        if one:
            inputs = [x.expand_dims(0) for x in inputs]
        elif not self.batch_first:
            inputs = [x.permute_dims(1, 0, 2) for x in inputs]
        (n, length, _), size = inputs[0].shape, inputs[1].shape[1]
        q, k, v = (
            self._heads(linear(x, *part))
            for x, part in zip(inputs, self._projections(), strict=True)
        )
        mask = self._mask((n, length, size), key_padding_mask, attn_mask, is_causal, one, q)
        if need_weights or (self.training and self.dropout):
            weights = self._weights(q, k, mask)
            seen = weights @ v
        else:
            seen = scaled_dot_product_attention(q, k, v, mask)
        output = self.out_proj(seen.permute_dims(0, 2, 1, 3).reshape(n, length, self.embed_dim))
        if one:
            output = output.squeeze(0)
        elif not self.batch_first:
            output = output.permute_dims(1, 0, 2)
        if not need_weights:
            return output, None
        shown = weights.mean(1) if average_attn_weights else weights
        return output, shown.squeeze(0) if one else shown

    def _check(self, inputs: list[Tensor]) -> None:
        q, k, v = (x.shape for x in inputs)
        time = 1 if self.batch_first and len(q) == 3 else 0
        fits = len(q) == len(k) in (2, 3) and k[:-1] == v[:-1]
        fits = fits and (q[-1], k[-1], v[-1]) == (self.embed_dim, self.kdim, self.vdim)
        fits = fits and k[time] > 0 and (len(q) == 2 or q[1 - time] == k[1 - time])
        if not fits:
            layout = "(N, {0}, {1})" if self.batch_first else "({0}, N, {1})"
            features = (self.embed_dim, self.kdim, self.vdim)
            wanted = [layout.format(at, n) for at, n in zip("LSS", features, strict=True)]
            raise ShapeError(
                f"{_NAME}: query {q}, key {k}, value {v}; expected {wanted[0]}, {wanted[1]} and "
                f"{wanted[2]}, or all without N, S at least 1"
            )

    def _projections(self) -> list[tuple[Tensor, Tensor | None]]:
        """Weight and bias for query, key and value."""
        weights: tuple[Tensor, ...]
        if self.kdim == self.vdim == self.embed_dim:
            weights = split(self.in_proj_weight, 3)
        else:
            weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        bias = self.in_proj_bias
        biases = (None,) * 3 if bias is None else split(bias, 3)
        return list(zip(weights, biases, strict=True))

    def _heads(self, x: Tensor) -> Tensor:
        """(N, L, E) -> (N, h, L, d)"""
        n, length, _ = x.shape
        width = self.embed_dim // self.num_heads
        return x.reshape(n, length, self.num_heads, width).permute_dims(0, 2, 1, 3)

    def _mask(
        self, shape: Shape, padding: Tensor | None, pairs: Tensor | None, is_causal: bool,
        one: bool, like: Tensor,
    ) -> Tensor | None:  # fmt: skip
        """All masks as one, to be added to scores (N, h, L, S); None if there is none."""
        n, length, size = shape
        masks = []
        if padding is not None:
            _check_mask("key_padding_mask", padding, (size,) if one else (n, size))
            masks.append(_added(padding, like).reshape(n, 1, 1, size))
        if pairs is not None:
            heads = self.num_heads
            _check_mask("attn_mask", pairs, (length, size), (n * heads, length, size))
            each = (length, size) if pairs.ndim == 2 else (n, heads, length, size)
            masks.append(_added(pairs, like).reshape(each))
        if is_causal:
            rows = arange(length, device=like.device).expand_dims(1)
            masks.append(_added(less(rows, arange(size, device=like.device)), like))
        return sum(masks[1:], start=masks[0]) if masks else None

    def _weights(self, q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
        """The attention weights (N, h, L, S), some of them dropped when training."""
        scores = (q / math.sqrt(q.shape[-1])) @ k.mT
        weights = softmax(scores) if mask is None else masked_softmax(scores + mask)
        if not (self.training and self.dropout):
            return weights
        source = self.generator or default_generator(q.device)
        return dropped(weights, source.bits(weights.shape), p=self.dropout)

    def extra_repr(self) -> str:
        e = self.embed_dim
        return described(
            self,
            "embed_dim",
            "num_heads",
            dropout=0.0,
            bias=True,
            batch_first=False,
            kdim=e,
            vdim=e,
        )


def _check_mask(name: str, mask: Tensor, *wanted: Shape) -> None:
    if mask.shape not in wanted:
        listed = " or ".join(map(str, wanted))
        raise ShapeError(f"{_NAME}: {name} {mask.shape}; expected {listed}")
    if mask.dtype.is_integer:
        raise DTypeError(
            f"{_NAME}: {name} is {mask.dtype}; expected bool, True where nothing is to be seen, or "
            "a float to be added"
        )


def _added(mask: Tensor, like: Tensor) -> Tensor:
    """A mask as what is added to scores: -inf where nothing is to be seen."""
    if mask.dtype is not dtypes.bool_:
        return mask.astype(like.dtype)
    return where(mask, -math.inf, 0.0).astype(like.dtype)

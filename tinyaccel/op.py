"""What an op is: plain data, registered by name in OPS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from tinyaccel import dtypes
from tinyaccel.dtypes import DType, Scalar
from tinyaccel.errors import DTypeError, TinyaccelError
from tinyaccel.shapes import Shape

if TYPE_CHECKING:
    from tinyaccel.tensor import Tensor


class Spec(NamedTuple):
    """What is known of an array before it exists: its shape and its dtype."""

    shape: Shape
    dtype: DType

    def __str__(self) -> str:
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]"


Kind = Literal[
    "unary", "binary", "comparison", "ternary", "cast", "reduction", "movement", "indexing",
    "linalg", "window", "creation", "composite", "custom",
]  # fmt: skip
Takes = Literal["any", "number", "float", "integer", "whole", "bool", "sum"]
Attrs: TypeAlias = Mapping[str, Any]  # hashable values, each op's own
Infer: TypeAlias = Callable[..., Spec]  # infer(*specs, **attrs)
Prepare: TypeAlias = Callable[..., dict[str, Any]]  # prepare(*specs, **attrs) -> canonical attrs
Rule: TypeAlias = "Callable[..., Tensor]"  # rule(g, out, *inputs, **attrs), one per input
Kernel: TypeAlias = Callable[..., Any]  # kernel(*arrays, **attrs) -> array of the backend's type


@dataclass(frozen=True)
class Budget:
    """How far a result may be from the exact one; `tinyaccel.budgets` says what each kind means.

    exact        not at all: movement, comparison, integer arithmetic
    elementwise  units * eps * (|y| + sum_i |dy/dx_i * x_i|) + the smallest normal number
    accumulate   units * sqrt(k) * eps * op(|a|, |b|), k = length(*specs, **attrs) terms
    steps        the sum of what the body's own steps are allowed (composites)
    """

    kind: Literal["exact", "elementwise", "accumulate", "steps"]
    units: float = 0.0
    length: Callable[..., int] | None = None


EXACT = Budget("exact")
STEPS = Budget("steps")


class Interval(NamedTuple):
    """Where tests may draw an input of an op: low to high, and how far from 0 at least."""

    low: float = -4.0
    high: float = 4.0
    away_from_zero: float = 0.0


@dataclass(frozen=True, eq=False)
class Op:
    """One operation, written once: `OPS[name]` is all that the rest of the engine knows of it.

    name       the key into OPS and into each backend's kernels
    kind       which family's rules it follows
    infer      infer(*specs, **attrs) -> Spec of the one result
    prepare    prepare(*specs, **attrs) -> attrs in canonical form; also where they are checked
    takes      what dtypes the promoted inputs may have; "float" turns integers into float32,
               "sum" turns bool and small integers into 32 bits
    together   positions of the inputs that promote to one common dtype (None: all of them)
    vjp        a rule per input, or one rule that returns a gradient per input; None where there
               is no gradient to have
    body       for a composite: the same op spelled in other ops
    broadcasts whether the tape sums gradients back to their inputs' shapes
    reference  "module:function", an independent implementation for the tests; None for the one
               of the op's name in `tinyaccel.testing.references`
    domain     per input, where the tests may draw
    budget     the permitted error
    kernels    kernels that come with the op itself, by backend (`custom_op`)
    doc        one line for people
    """

    name: str
    kind: Kind
    infer: Infer
    prepare: Prepare | None = None
    takes: Takes = "any"
    together: tuple[int, ...] | None = None
    vjp: tuple[Rule | None, ...] | Callable[..., Sequence[Tensor | None]] | None = None
    body: Callable[..., Tensor] | None = None
    broadcasts: bool = False
    reference: str | None = None
    domain: tuple[Interval, ...] = (Interval(),)
    budget: Budget = EXACT
    kernels: Mapping[str, Kernel] = field(default_factory=dict)
    doc: str = ""

    @property
    def is_primitive(self) -> bool:
        return self.body is None

    def input_dtypes(self, given: Sequence[DType | Scalar]) -> list[DType]:
        """The dtypes that the inputs are cast to before any kernel sees them.

        `given` holds the dtype of each tensor, and each weak scalar as it came. Raises
        `DTypeError` where the op doesn't take the result.
        """
        result = [g if isinstance(g, DType) else dtypes.of_scalar(g) for g in given]
        together = range(len(given)) if self.together is None else self.together
        group = [given[i] for i in together if i < len(given)]
        known = [g for g in group if isinstance(g, DType)]
        scalars = [g for g in group if not isinstance(g, DType)]
        common: DType | None
        if known:
            common = dtypes.promote(*known)
            for scalar in scalars:
                common = dtypes.with_scalar(common, scalar)
        else:
            common = dtypes.promote(*(dtypes.of_scalar(s) for s in scalars)) if scalars else None
        if common is not None:
            common = self._taken(common)
            for i in together:
                if i < len(given):
                    result[i] = common
            for scalar in scalars:
                dtypes.check_scalar(scalar, common, self.name)
        return result

    def _taken(self, dtype: DType) -> DType:
        """`dtype` as this op computes in it, or `DTypeError`."""
        ok = {
            "any": True,
            "number": dtype.kind != "bool",
            "float": True,
            "integer": not dtype.is_float,
            "whole": dtype.is_integer,
            "bool": dtype.kind == "bool",
            "sum": True,
        }[self.takes]
        if not ok:
            expected = {
                "number": "a number",
                "integer": "integers or bool",
                "whole": "integers",
                "bool": "bool",
            }
            raise DTypeError(
                f"{self.name}: dtype {dtype}; expected {expected[self.takes]}; convert with astype"
            )
        if self.takes == "float":
            return dtypes.default_float(dtype)
        if self.takes == "sum" and dtype.itemsize == 1:
            return dtypes.uint32 if dtype.kind == "uint" else dtypes.int32
        return dtype


OPS: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Put `op` into OPS; raises if its name is taken."""
    if op.name in OPS:
        raise TinyaccelError(f"op {op.name!r} is registered already; choose another name")
    OPS[op.name] = op
    return op

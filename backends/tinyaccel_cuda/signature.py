"""The parameters of a __global__ function, read from its text, and arguments held against them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyaccel.errors import KernelError

# C's names for the types a kernel may take. `long` and `char` are left out: their size or sign
# differs between the host's compiler and CUDA's on some machines.
_DTYPES: dict[str, str] = {
    "bool": "bool",
    "signed char": "int8",
    "int8_t": "int8",
    "unsigned char": "uint8",
    "uint8_t": "uint8",
    "short": "int16",
    "int16_t": "int16",
    "unsigned short": "uint16",
    "uint16_t": "uint16",
    "int": "int32",
    "int32_t": "int32",
    "unsigned": "uint32",
    "unsigned int": "uint32",
    "uint32_t": "uint32",
    "long long": "int64",
    "long long int": "int64",
    "int64_t": "int64",
    "unsigned long long": "uint64",
    "unsigned long long int": "uint64",
    "uint64_t": "uint64",
    "size_t": "uint64",
    "float": "float32",
    "double": "float64",
    "__half": "float16",
    "half": "float16",
    "float2": "float32",
    "float4": "float32",
    "double2": "float64",
    "int2": "int32",
    "int4": "int32",
}
_VECTORS = {"float2", "float4", "double2", "int2", "int4"}

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_GLOBAL = re.compile(
    r"(?P<linkage>extern\s+\"C\"\s+)?"
    r"__global__\s+(?:static\s+)?void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?"
    r"(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)"
)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: an array (a pointer in C) or a scalar, of one dtype."""

    name: str
    dtype: np.dtype
    pointer: bool
    const: bool
    text: str


@dataclass(frozen=True)
class Signature:
    """A kernel's name and parameters."""

    kernel: str
    parameters: tuple[Parameter, ...]

    def check(self, arguments: Sequence[object]) -> list[object]:
        """The arguments, scalars turned into their parameter's dtype.

        arguments: arrays (NumPy or CuPy) for pointers, numbers for scalars.
        Raises `KernelError` where number, kind or dtype don't fit, or an array isn't contiguous.
        """
        if len(arguments) != len(self.parameters):
            wanted = ", ".join(parameter.text for parameter in self.parameters)
            raise KernelError(
                f"{self.kernel}: got {len(arguments)} arguments, expected {len(self.parameters)}: "
                f"({wanted})"
            )
        return [
            self._array(i, parameter, argument)
            if parameter.pointer
            else self._scalar(i, parameter, argument)
            for i, (parameter, argument) in enumerate(zip(self.parameters, arguments, strict=True))
        ]

    def _array(self, position: int, parameter: Parameter, argument: object) -> object:
        where = f"{self.kernel}: argument {position} ({parameter.text})"
        dtype, flags = getattr(argument, "dtype", None), getattr(argument, "flags", None)
        if dtype is None or flags is None or isinstance(argument, np.generic):
            raise KernelError(
                f"{where} is {type(argument).__name__}, expected an array of {parameter.dtype}"
            )
        if dtype != parameter.dtype:
            raise KernelError(
                f"{where} is an array of {dtype}, expected {parameter.dtype}; pass "
                f"{parameter.name}.astype('{parameter.dtype}')"
            )
        if not flags.c_contiguous:
            raise KernelError(
                f"{where} is a strided view, but a pointer sees only consecutive elements; pass "
                "ascontiguousarray(...)"
            )
        if not parameter.const and isinstance(argument, np.ndarray) and not flags.writeable:
            raise KernelError(
                f"{where} is read-only, but the kernel may write to it; pass a copy, or declare "
                f"const {parameter.text}"
            )
        return argument

    def _scalar(self, position: int, parameter: Parameter, argument: object) -> object:
        where = f"{self.kernel}: argument {position} ({parameter.text})"
        if not isinstance(argument, (bool, int, float, np.generic)):
            kind = type(argument).__name__
            raise KernelError(f"{where} is {kind}, expected a number of {parameter.dtype}")
        value = argument.item() if isinstance(argument, np.generic) else argument
        if isinstance(value, float) and parameter.dtype.kind != "f":
            raise KernelError(
                f"{where} is {value!r}, expected an integer of {parameter.dtype}; pass int(...)"
            )
        if parameter.dtype.kind in "iu":
            limits = np.iinfo(parameter.dtype)
            if not limits.min <= value <= limits.max:
                raise KernelError(
                    f"{where} is {value}, which {parameter.dtype} can't hold "
                    f"({limits.min} to {limits.max})"
                )
        return parameter.dtype.type(value)


def parse_signature(text: str, kernel: str) -> Signature:
    """The signature of the __global__ function called `kernel` in a CUDA C text.

    Raises `KernelError` if there is none, or if it has a type that isn't known here.

        >>> text = 'extern "C" __global__ void f(const float* x, int n) {}'
        >>> [(p.name, p.dtype.name, p.pointer) for p in parse_signature(text, "f").parameters]
        [('x', 'float32', True), ('n', 'int32', False)]
    """
    plain = _COMMENT.sub(_blank, text)
    found = list(_GLOBAL.finditer(plain))
    match = next((m for m in found if m["name"] == kernel), None)
    if match is None:
        names = ", ".join(m["name"] for m in found) or "none"
        raise KernelError(
            f"{kernel}: no __global__ function of this name in the source, which has {names}; to "
            "read a file pass pathlib.Path(...)"
        )
    if not match["linkage"] and not re.search(r'extern\s+"C"\s*\{', plain[: match.start()]):
        raise KernelError(
            f'{kernel}: is not extern "C", so CUDA can\'t find it by its name; write '
            f'extern "C" __global__ void {kernel}(...)'
        )
    declared = [part.strip() for part in match["parameters"].split(",") if part.strip()]
    return Signature(kernel, tuple(_parameter(kernel, part) for part in declared if part != "void"))


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _parameter(kernel: str, text: str) -> Parameter:
    words = re.sub(r"\b(__restrict__|__restrict|volatile)\b", " ", text).replace("*", " * ")
    tokens = words.split()
    pointer = "*" in tokens
    const = "const" in tokens[: tokens.index("*")] if pointer else True
    names = [token for token in tokens if token not in ("*", "const")]
    kind, name = " ".join(names[:-1]), names[-1]
    kind = kind.removeprefix("std::")
    if kind not in _DTYPES or (kind in _VECTORS and not pointer) or tokens.count("*") > 1:
        raise KernelError(
            f"{kernel}: parameter ({text}) has a type that is not taken; use a number or a pointer "
            "to one: float, double, int, unsigned, long long, ... (not long, not char)"
        )
    return Parameter(name, np.dtype(_DTYPES[kind]), pointer, const, " ".join(text.split()))

"""Weights from PyTorch and to it: names and shapes stay, since both sides have the same ones.

Nothing is ever unpickled: a file comes as safetensors, or through PyTorch itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import ml_dtypes
import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes
from tinyaccel.errors import ArgumentError, DataError, DTypeError, PackageError
from tinyaccel.nn.module import LoadReport, Module
from tinyaccel.storage import read_tensors
from tinyaccel.tensor import Tensor

if TYPE_CHECKING:
    import torch

State = dict[str, npt.NDArray[Any]]

# Modules of PyTorch that hold another one, and are named in front of all that it has.
_WRAPPERS = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "AveragedModel": "module",
    "OptimizedModule": "_orig_mod",
}
_PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".tar"}
_MAGIC = (b"PK\x03\x04", b"\x80")  # how a pickle begins, in a zip archive or bare


def from_torch(source: object, *, rename: Mapping[str, str] | None = None) -> State:
    """PyTorch's weights as arrays by name, for `model.load_state_dict`.

    source  a torch.nn.Module, its state_dict, or the path of a .safetensors file
    rename  names to replace, whole ones or the front up to a dot: {"linear": "fc"} makes fc.weight
            of linear.weight

    The arrays are copies on the host, of the same shapes and dtypes, bfloat16 included; from a GPU,
    transposed or tied ones too. What DataParallel, torch.compile and an average of weights put in
    front of all names ("module.", "_orig_mod.") is taken off.

    Raises `ArgumentError` for a source that is none of these, `DTypeError` for numbers that
    tinyaccel doesn't have (complex, quantized, int16, ...), `DataError` for a file that is missing,
    damaged or a pickle (.pt, .pth), which could run any code when it is read.

    >>> from_torch({"module.weight": np.ones((2, 3), np.float32)})["weight"].shape
    (2, 3)
    """
    given = _read(Path(source)) if isinstance(source, str | Path) else _state_of(source)
    state = {name: _array(name, value) for name, value in given.items()}
    return _renamed(state, rename or {})


def to_torch(source: Module | Mapping[str, npt.ArrayLike]) -> dict[str, torch.Tensor]:
    """Parameters and buffers as PyTorch tensors by name, for `module.load_state_dict`.

    source  a model, or what its `state_dict` gave

    The tensors are copies on the CPU, of the same dtypes, none of which requires a gradient; what
    the model shares between two names is shared again. Raises `PackageError` without PyTorch.

    >>> import tinyaccel as ta
    >>> weights = to_torch(ta.nn.Linear(3, 2))  # doctest: +SKIP
    >>> {name: tuple(t.shape) for name, t in weights.items()}  # doctest: +SKIP
    {'weight': (2, 3), 'bias': (2,)}
    """
    library = _torch("to_torch")
    given = source._saved() if isinstance(source, Module) else source
    made: dict[int, torch.Tensor] = {}
    for value in given.values():
        if id(value) not in made:
            made[id(value)] = _torch_tensor(library, value)
    return {name: made[id(value)] for name, value in given.items()}


def load_torch(
    model: Module,
    source: object,
    *,
    strict: bool = True,
    rename: Mapping[str, str] | None = None,
) -> LoadReport:
    """Set a model's parameters and buffers to PyTorch's: from_torch and load_state_dict in one.

    source, rename  as for `from_torch`
    strict          whether names that are missing or left over are an error

    Numbers are rounded to the model's own dtypes. Files older than PyTorch 0.4.1 lack batch norm's
    num_batches_tracked, which then stays as it is. Returns which names were missing and unexpected.
    Raises what `from_torch` raises; and `ArgumentError` for names and shapes that don't fit, with
    the `rename` that would make them fit, if there is one. Nothing is changed then.

    >>> import tinyaccel as ta
    >>> source = {"a.weight": np.ones((1, 2))}
    >>> model = ta.nn.Sequential({"b": ta.nn.Linear(2, 1, bias=False)})
    >>> load_torch(model, source)
    Traceback (most recent call last):
    tinyaccel.errors.ArgumentError: load_torch: Sequential lacks b.weight (1, 2); left over are \
a.weight (1, 2); try rename={'a': 'b'}; nothing was loaded
    >>> load_torch(model, source, rename={"a": "b"})
    LoadReport(missing_keys=[], unexpected_keys=[])
    """
    state = from_torch(source, rename=rename)
    own = {name: value.shape for name, value in model._saved().items()}
    lacking = {n: shape for n, shape in own.items() if n not in state and not _counts_batches(n)}
    left = {n: value.shape for n, value in state.items() if n not in own}
    if strict and (lacking or left):
        parts = [f"{type(model).__name__} lacks {_listed(lacking)}"] if lacking else []
        parts += [f"left over are {_listed(left)}"] if left else []
        pairs = _near(lacking, left)
        parts += [f"try rename={pairs}"] if pairs else []
        raise ArgumentError(f"load_torch: {'; '.join(parts)}; nothing was loaded")
    return model.load_state_dict(state, strict=False)


# From PyTorch


def _state_of(source: object) -> dict[str, object]:
    """The tensors of a module or a state_dict by name, without what wrappers put in front."""
    bare = source
    while type(bare).__name__ in _WRAPPERS and hasattr(bare, "state_dict"):
        bare = getattr(bare, _WRAPPERS[type(bare).__name__])
    given = bare.state_dict() if hasattr(bare, "state_dict") else source
    if not isinstance(given, Mapping):
        raise ArgumentError(
            f"from_torch: got {type(source).__name__}; expected a torch.nn.Module, its state_dict, "
            "or the path of a .safetensors file"
        )
    # torch.compile of a part leaves its mark in the middle.
    state = {str(name).replace("_orig_mod.", ""): value for name, value in given.items()}
    if given is source:
        named = [name for name in state if name != "n_averaged"]  # an average's own count
        if named and all(name.startswith("module.") for name in named):
            return {name.removeprefix("module."): state[name] for name in named}
    return state


def _array(name: str, value: object) -> npt.NDArray[Any]:
    """A copy of a tensor on the host, in a dtype of ours."""
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
    elif isinstance(value, Tensor):
        array = value.numpy()
    elif hasattr(value, "detach"):
        array = _from_tensor(name, value)
    else:
        hint = "pass the state_dict that is in it" if isinstance(value, Mapping) else "leave it out"
        raise ArgumentError(
            f"from_torch: {name!r} is {type(value).__name__}; expected tensors by name; {hint}"
        )
    try:
        dtypes.as_dtype(array.dtype)
    except DTypeError:
        raise _unknown(name, array.dtype) from None
    return np.array(array, order="C")


def _from_tensor(name: str, value: Any) -> npt.NDArray[Any]:
    try:
        there = value.detach().cpu()
        if str(there.dtype) == "torch.bfloat16":  # which PyTorch doesn't hand to NumPy
            bits = there.contiguous().view(_torch("from_torch").int16)
            return cast(npt.NDArray[Any], bits.numpy().view(ml_dtypes.bfloat16))
        return cast(npt.NDArray[Any], there.numpy())
    except (TypeError, ValueError, RuntimeError) as error:
        raise _unknown(name, f"{value.dtype} ({str(error).splitlines()[0]})") from error


def _unknown(name: str, what: object) -> DTypeError:
    return DTypeError(
        f"from_torch: {name!r} is {what}; expected a dense tensor of bool, int8, uint8, int32, "
        "uint32, int64, float16, bfloat16, float32 or float64; convert it in PyTorch first"
    )


def _read(path: Path) -> dict[str, object]:
    """The tensors of a safetensors file; what a pickle holds is never looked at."""
    start = b""
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(9)
    # A safetensors file begins with a length of 8 bytes, and then its header's "{".
    if path.suffix in _PICKLES or (start.startswith(_MAGIC) and not start.endswith(b"{")):
        raise DataError(
            f"from_torch: {path} is a pickle, which could run any code when it is read; in PyTorch "
            "write it with safetensors.torch.save_file(module.state_dict(), 'weights.safetensors')"
        )
    tensors, texts = read_tensors(path)
    # Of tensors that are one and the same, a file may hold one, and name the others in its texts.
    tied = {name: tensors[kept] for name, kept in texts.items() if kept in tensors}
    return _state_of(tied | tensors)


def _renamed(state: State, rename: Mapping[str, str]) -> State:
    def fits(front: str, name: str) -> bool:
        return name == front or name.startswith(f"{front}.")

    for front in rename:
        if not any(fits(front, name) for name in state):
            some = ", ".join(list(state)[:8]) + (", ..." if len(state) > 8 else "")
            raise ArgumentError(
                f"from_torch: rename of {front!r}, but no name is that, or begins with it and a "
                f"dot; the names are {some}"
            )
    fronts = sorted(rename, key=len, reverse=True)  # of two that fit, the longer is meant
    result: State = {}
    for name, value in state.items():
        old = next((front for front in fronts if fits(front, name)), None)
        if old is not None:
            name = (rename[old] + name.removeprefix(old)).lstrip(".")
        if name in result:
            raise ArgumentError(f"from_torch: rename makes {name!r} of two names; keep them apart")
        result[name] = value
    return result


# To PyTorch


def _torch(what: str) -> Any:
    try:
        return import_module("torch")
    except ModuleNotFoundError as error:
        raise PackageError(f"{what}: PyTorch is not installed; pip install torch") from error


def _torch_tensor(library: Any, value: object) -> torch.Tensor:
    array = np.array(value.numpy() if isinstance(value, Tensor) else value, order="C")
    if array.dtype == ml_dtypes.bfloat16:
        whole = library.from_numpy(array.view(np.int16))
        return cast("torch.Tensor", whole.view(library.bfloat16))
    return cast("torch.Tensor", library.from_numpy(array))


# What doesn't fit


def _counts_batches(name: str) -> bool:
    return name.split(".")[-1] == "num_batches_tracked"


def _listed(names: Mapping[str, tuple[int, ...]]) -> str:
    shown = [f"{name} {shape}" for name, shape in list(names.items())[:6]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _near(
    lacking: Mapping[str, tuple[int, ...]], left: Mapping[str, tuple[int, ...]]
) -> dict[str, str]:
    """The `rename` that gives what is lacking the names and shapes of what is left over, or {}."""
    found: dict[str, str] = {}
    for wanted, shape in lacking.items():
        end = wanted.split(".")[-1]
        fitting = [n for n, s in left.items() if s == shape and n.split(".")[-1] == end]
        if not fitting:
            return {}
        best = max(fitting, key=lambda n: SequenceMatcher(None, n, wanted).ratio())
        old, new = best.split("."), wanted.split(".")
        while len(old) > 1 and len(new) > 1 and old[-1] == new[-1]:
            old, new = old[:-1], new[:-1]
        if found.setdefault(".".join(old), ".".join(new)) != ".".join(new):
            return {}
    return found

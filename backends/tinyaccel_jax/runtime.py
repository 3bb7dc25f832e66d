"""How kernels become XLA programs and arrays cross over: the one file that touches JAX's settings.

JAX narrows 64-bit types unless `jax_enable_x64` is set, and that setting is the user's. So it is
switched on in a context, `jax.enable_x64(True)` (JAX 0.8 and later; a thread's own, under 1 us),
around each upload, trace, compilation and call; a program that was compiled with 64-bit types
must also be called so, or JAX would narrow its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import SingleDeviceSharding

from tinyaccel.graph import Graph, Instr
from tinyaccel.op import Kernel, Spec


def devices(platform: str) -> list[jax.Device]:
    """JAX's devices of a platform in this process; none if the platform isn't here."""
    try:
        return list(jax.local_devices(backend=platform))
    except RuntimeError:  # how JAX says that it has no such platform
        return []


def _options(platform: str) -> dict[str, bool]:
    """Options of our own programs, so that the user's XLA_FLAGS stay the user's.

    Without excess precision a bfloat16 result is rounded once an op, jitted as eagerly. On a GPU
    the fastest algorithms add in an order that changes from run to run.
    """
    options = {"xla_allow_excess_precision": False}
    return options | {"xla_gpu_deterministic_ops": True} if platform == "gpu" else options


def upload(array: npt.NDArray[Any], device: jax.Device) -> jax.Array:
    """A device array of `array`'s values. JAX may use host memory in place, so it gets a copy."""
    with jax.enable_x64(True):
        placed: jax.Array = jax.device_put(np.array(array, order="C"), device)
    return placed


def wait(platform: str) -> None:
    """Wait for every array of a platform that is still in use (JAX on CPUs has no wider wait)."""
    arrays: list[jax.Array] = jax.live_arrays(platform=platform)  # type: ignore[no-untyped-call]
    for array in arrays:
        if not array.is_deleted():  # a user of JAX may have given one away to a call of his own
            array.block_until_ready()


def _key(value: object) -> Hashable:
    """An attribute as part of a cache key: 1, 1.0 and True differ, as do 0.0 and -0.0."""
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    return (type(value), value.hex()) if isinstance(value, float) else (type(value), value)


class Dispatched:
    """A kernel that runs at once: one XLA program for each combination of shapes and attributes.

    plain  the kernel itself, JAX code to be traced into a larger program
    """

    __slots__ = ("_name", "_options", "_programs", "plain")

    def __init__(self, kernel: Kernel, name: str, platform: str) -> None:
        self.plain = kernel
        self._name = name
        self._options = _options(platform)
        self._programs: dict[Hashable, Callable[..., jax.Array]] = {}

    def __call__(self, *arrays: jax.Array, **attrs: Any) -> jax.Array:
        key = tuple((name, _key(value)) for name, value in attrs.items()) if attrs else ()
        program = self._programs.get(key)
        if program is None:
            program = self._programs[key] = self._program(attrs)
        with jax.enable_x64(True):
            return program(*arrays)

    def _program(self, attrs: Mapping[str, Any]) -> Callable[..., jax.Array]:
        def run(*arrays: jax.Array) -> jax.Array:
            return jnp.asarray(self.plain(*arrays, **attrs))

        run.__name__ = self._name  # what profilers and XLA's dumps show
        return jax.jit(run, compiler_options=self._options)


def _struct(spec: Spec) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(spec.shape, spec.dtype.numpy)  # type: ignore[no-untyped-call]


def _compared(graph: Graph) -> set[int]:
    """The floats that are asked to be equal to others, as in the gradient of a maximum.

    XLA may compute a value once for each of its uses, and round it otherwise in each (fused
    multiplications and additions): then it isn't equal to its own maximum. These must be computed
    once, and kept.
    """
    pairs = [instr.inputs for instr in graph.instrs if instr.op == "equal"]
    return {v for a, b in pairs if a != b for v in (a, b) if graph.specs[v].dtype.is_float}


def _once(kernel: Kernel, platform: str, nothing: jax.Array) -> Kernel:
    """`kernel`, whose result is computed once, whatever becomes of it.

    On CPUs XLA takes its own barriers away before it fuses. So the result goes through a loop of as
    many turns as `nothing` says, a 0 that XLA doesn't know: what comes out of a loop is stored.
    """

    def more(state: tuple[jax.Array, jax.Array]) -> jax.Array:
        return state[0] < nothing

    def turn(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        return state[0] + 1, -state[1]

    def run(*arrays: jax.Array, **attrs: Any) -> jax.Array:
        if platform != "cpu":
            alone = kernel(*arrays, **attrs)
            kept: jax.Array = jax.lax.optimization_barrier(alone)  # type: ignore[no-untyped-call]
            return kept
        out: jax.Array = jax.lax.while_loop(
            more, turn, (jnp.zeros_like(nothing), kernel(*arrays, **attrs))
        )[1]
        return out

    return run


class Program:
    """A graph as one XLA executable: call it with the arrays of its inputs.

    graph   what to compile; its constants become constants of the program
    kernel  finds the plain JAX function for an instruction
    device  where it runs
    """

    def __init__(self, graph: Graph, kernel: Callable[[Any], Kernel], device: jax.Device) -> None:
        compared = _compared(graph)

        def whole(arrays: Sequence[jax.Array], nothing: jax.Array) -> list[jax.Array]:
            def held(instr: Instr) -> Kernel:
                found = kernel(instr)
                return _once(found, device.platform, nothing) if instr.out in compared else found

            return graph.runner(held, jnp.asarray)(arrays)

        whole.__name__ = "graph"
        # Nothing is donated: an array that the caller holds is never overwritten.
        self._function = jax.jit(
            whole,
            compiler_options=_options(device.platform),
            out_shardings=SingleDeviceSharding(device),
        )
        with jax.enable_x64(True):
            inputs = [_struct(graph.specs[v]) for v in graph.inputs]
            self._nothing = jax.device_put(np.zeros((), np.int32), device)
            self._lowered = self._function.lower(inputs, self._nothing)
            self._compiled = self._lowered.compile()

    def __call__(self, arrays: Sequence[jax.Array]) -> list[jax.Array]:
        with jax.enable_x64(True):
            results: list[jax.Array] = self._compiled(list(arrays), self._nothing)
        return results

    def lowered_text(self) -> str:
        """The program as given to XLA (StableHLO), where precisions are as we ask for them."""
        return self._lowered.as_text()

    def compiled_text(self) -> str:
        """The program as XLA has optimised it (HLO)."""
        return self._compiled.as_text() or ""

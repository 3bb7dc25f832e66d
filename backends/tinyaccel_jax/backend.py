"""XlaBackend and TpuBackend: JAX arrays as device arrays. JAX is loaded when one is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinyaccel.backend import Backend, Device
from tinyaccel.errors import DeviceError
from tinyaccel.graph import Graph, Instr
from tinyaccel.op import Kernel, Op

if TYPE_CHECKING:
    import jax

    from tinyaccel_jax.runtime import Program


class XlaBackend(Backend):
    """XLA on the platforms that JAX finds: "xla:cpu", "xla:gpu", a second one as "xla:gpu:1".

    The best platform comes first, and is what "xla" alone means. Eagerly, each op is one small
    XLA program; a jitted function is one large one. Raises `ImportError` if JAX is missing,
    `DeviceError` if it finds no device.

    >>> import tinyaccel as ta
    >>> ta.tensor([1.0, 2.0], device="xla:cpu") + 1
    tensor([2., 3.], device='xla:cpu')
    """

    name: ClassVar[str] = "xla"
    priority: ClassVar[int] = 5
    compiles_each_shape: ClassVar[bool] = True
    platforms: ClassVar[tuple[str, ...]] = ("tpu", "gpu", "cpu")

    def __init__(self) -> None:
        # Not at the top of the file: asking which backends exist must not load JAX.
        import jax.numpy

        from tinyaccel_jax import runtime
        from tinyaccel_jax.kernels import KERNELS

        self.xp = jax.numpy
        self.kernels: Mapping[str, Kernel] = KERNELS
        self._runtime = runtime
        self._devices = self._named({p: runtime.devices(p) for p in self.platforms})
        if not self._devices:
            raise DeviceError(self._nothing_found(jax.__version__))
        self._platform = next(iter(self._devices.values())).platform

    def _named(self, found: Mapping[str, list[jax.Device]]) -> dict[str, jax.Device]:
        """JAX's devices by our names, the best platform first."""
        return {
            f"{self.name}:{platform}:{i}" if i else f"{self.name}:{platform}": device
            for platform, devices in found.items()
            for i, device in enumerate(devices)
        }

    def _nothing_found(self, version: str) -> str:
        return (
            f"device {self.name!r}: JAX {version} finds no device of {', '.join(self.platforms)}; "
            "look at JAX_PLATFORMS, or install JAX again"
        )

    def devices(self) -> list[str]:
        return list(self._devices)

    def upload(self, array: npt.NDArray[Any], device: Device) -> jax.Array:
        return self._runtime.upload(array, self._devices[device.name])

    def download(self, array: jax.Array) -> npt.NDArray[Any]:
        return np.array(array)

    def memory(self, device: Device) -> int | None:
        """What JAX may use of an accelerator; nothing is known of a CPU."""
        stats = self._devices[device.name].memory_stats()
        return None if stats is None else stats.get("bytes_limit")

    def synchronize(self) -> None:
        for platform in {device.platform for device in self._devices.values()}:
            self._runtime.wait(platform)

    def forget(self) -> None:
        """Empty JAX's caches, which keep every shape of every op."""
        import jax

        jax.clear_caches()  # type: ignore[no-untyped-call]

    def wrap(self, kernel: Kernel, name: str) -> Kernel:
        """The kernel as XLA programs of its own, for eager use."""
        return self._runtime.Dispatched(kernel, name, self._platform)

    def instr_kernel(self, instr: Instr, graph: Graph) -> Kernel:
        """The kernel for an instruction as plain JAX code, to be traced with all the others."""
        kernel = super().instr_kernel(instr, graph)
        return kernel.plain if isinstance(kernel, self._runtime.Dispatched) else kernel

    def compile(self, graph: Graph, device: Device) -> Program:
        """The whole graph as one XLA executable."""
        return self._runtime.Program(
            graph, lambda instr: self.instr_kernel(instr, graph), self._devices[device.name]
        )

    def source(self, graph: Graph, device: Device) -> str:
        """What XLA made of the graph, its optimised HLO; compiled once more to be shown."""
        return self.compile(graph, device).compiled_text()


class TpuBackend(XlaBackend):
    """The TPUs that JAX finds: "tpu:0", "tpu:1", ..., and "tpu" for the first.

    As `XlaBackend`, whose custom kernels it also takes. Raises `DeviceError` where there is no TPU.
    """

    name: ClassVar[str] = "tpu"
    priority: ClassVar[int] = 40
    platforms: ClassVar[tuple[str, ...]] = ("tpu",)

    def _named(self, found: Mapping[str, list[jax.Device]]) -> dict[str, jax.Device]:
        return {f"tpu:{i}": device for i, device in enumerate(found["tpu"])}

    def _nothing_found(self, version: str) -> str:
        others = ", ".join(p for p in XlaBackend.platforms if self._runtime.devices(p)) or "none"
        return (
            f"device 'tpu': no TPU is here; JAX {version} looked for the platform tpu and found "
            f"{others}; run on a machine with a TPU, pip install 'tinyaccel[tpu]' there, or use "
            'device="xla"'
        )

    def _find(self, op: Op, low: bool) -> Kernel | None:
        if "xla" in op.kernels and self.name not in op.kernels:
            op = dataclasses.replace(op, kernels={self.name: op.kernels["xla"]})
        return super()._find(op, low)

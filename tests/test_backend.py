"""Tests of tinyaccel.backend: the contract, discovery, devices, and a stranger's backend."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import backend as module
from tinyaccel.backend import DEFAULT_DEVICE, PRECISION, Backend, Device
from tinyaccel.errors import ArgumentError, BackendError, DeviceError
from tinyaccel.op import OPS, Kernel


@pytest.fixture(autouse=True)
def _as_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backends and devices that a test makes known are forgotten again."""
    for table in ("_registered", "_backends", "_devices"):
        monkeypatch.setattr(module, table, dict(getattr(module, table)))


class Plain(Backend):
    """NumPy, announced by nobody but the test."""

    name = "plain"
    xp: ModuleType | None = np
    kernels: Mapping[str, Kernel] = {"erf": np.vectorize(math.erf, otypes=[np.float32])}

    def devices(self) -> list[str]:
        return ["plain:0", "plain:1"]

    def upload(self, array: np.ndarray, device: Device) -> Any:
        return np.array(array)

    def download(self, array: Any) -> np.ndarray:
        return np.array(array)


# Devices


def test_canonical_names() -> None:
    """There is one object for each device, whatever it was called by."""
    ta.register_backend("plain", Plain)
    first = ta.get_device("plain")
    assert first.name == str(first) == "plain:0"
    assert repr(first) == "device('plain:0')"
    assert ta.get_device("plain:0") is first is ta.get_device(first)
    assert ta.get_device("plain:1") is not first
    assert ta.get_device("plain:1").backend is first.backend
    assert ta.get_device("cpu").name == "cpu"


def test_unknown_device_lists_those_known() -> None:
    """The message names what is installed, and asking for names imports none of them."""
    for name in ("gpu", "gpu:0", "", "CPU"):
        with pytest.raises(DeviceError) as caught:
            ta.tensor(1.0, device=name)
        text = str(caught.value)
        assert text.startswith(f"device: {name.split(':')[0]!r} is unknown; expected one of ")
        assert text.endswith(f"{', '.join(ta.backend_names())} or auto")
    assert {"cpu", "cuda", "cuda-sim", "tpu", "xla"} <= set(ta.backend_names())


def test_absent_device_lists_those_here() -> None:
    """A known backend without the device that is asked for says which it has."""
    with pytest.raises(DeviceError, match="device: 'cpu:7' is not here; cpu has cpu"):
        ta.get_device("cpu:7")
    ta.register_backend("plain", Plain)
    with pytest.raises(DeviceError, match="'plain:2' is not here; plain has plain:0, plain:1"):
        ta.get_device("plain:2")


def test_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    """auto is the backend of the highest priority that works; those below 0 are never chosen."""
    table: dict[str, tuple[int, list[str]]] = {
        "a": (1, ["a"]), "b": (5, ["b:0", "b:1"]), "c": (9, []), "d": (-1, ["d"]),
    }  # fmt: skip

    def factory(name: str) -> Callable[[], Backend]:
        priority, devices = table[name]
        body = {"name": name, "priority": priority, "devices": lambda self: devices}
        return type(name, (Plain,), body)

    def broken() -> Backend:
        raise ImportError("no module named e")

    monkeypatch.setattr(module, "_entry_points", dict)
    for known in ("_registered", "_backends", "_devices"):  # those of other tests don't take part
        monkeypatch.setattr(module, known, {})
    for name in table:
        ta.register_backend(name, factory(name))
    ta.register_backend("e", broken)
    assert ta.get_device("auto").name == "b:0"
    for name in ("a", "b"):
        del module._registered[name]
    with pytest.raises(DeviceError, match='device: "auto" found no usable backend'):
        ta.get_device("auto")


def test_default_device() -> None:
    """Within the block tensors are made there; the name is checked before the block is entered."""
    ta.register_backend("plain", Plain)
    with ta.default_device("plain:1"):
        assert ta.tensor(1.0).device.name == ta.zeros(2).device.name == "plain:1"
        assert ta.tensor(1.0, device="cpu").device.name == "cpu"
    assert DEFAULT_DEVICE.get() == "cpu"
    with pytest.raises(DeviceError):
        ta.default_device("nowhere")


def test_precision() -> None:
    """It holds within its block, is told to the kernel, and knows three levels."""
    seen: list[str] = []

    def matmul(a: Any, b: Any, *, precision: str) -> Any:
        seen.append(precision)
        return np.matmul(a, b)

    body = {"kernels": {**Plain.kernels, "matmul": matmul}}
    ta.register_backend("plain", type("Notes", (Plain,), body))
    x = ta.ones((2, 2), device="plain")
    with ta.precision("fast"):
        x @ x
    x @ x
    assert seen == ["fast", "highest"]
    assert PRECISION.get() == "highest"
    with pytest.raises(ArgumentError, match='precision: \'low\'; expected "highest", "high" or'):
        ta.precision("low")  # type: ignore[arg-type]


# Discovery


def test_register_again_replaces() -> None:
    """A second registration of a name takes effect, also for devices that are known by it."""
    ta.register_backend("plain", Plain)
    first = ta.get_device("plain")
    ta.register_backend("plain", type("Other", (Plain,), {}))
    assert ta.get_device("plain") is not first
    assert type(ta.get_device("plain").backend).__name__ == "Other"


def test_backends_are_made_once() -> None:
    """load_backend gives the same object each time."""
    ta.register_backend("plain", Plain)
    assert ta.load_backend("plain") is ta.load_backend("plain")


def test_missing_kernels_are_all_listed() -> None:
    """A backend without an Array API namespace is told of every primitive that it lacks."""
    body = {"name": "bare", "xp": None, "kernels": {"add": np.add}}
    ta.register_backend("bare", type("Bare", (Plain,), body))
    with pytest.raises(BackendError) as caught:
        ta.get_device("bare")
    text = str(caught.value)
    assert text.startswith("backend 'bare' lacks kernels for ")
    assert text.endswith("to its `kernels` or give it an Array API namespace as `xp`")
    listed = text.split("for ")[1].split(";")[0].split(", ")
    primitives = {o.name for o in OPS.values() if o.is_primitive and o.kind != "custom"}
    assert set(listed) == primitives - {"add"}
    assert len(listed) == len(set(listed))


def test_no_backend_at_all() -> None:
    """What the factory makes must be a Backend."""
    ta.register_backend("odd", lambda: "a string")  # type: ignore[arg-type, return-value]
    with pytest.raises(BackendError, match=r"backend 'odd': str is no tinyaccel\.Backend; derive"):
        ta.get_device("odd")


def _entry_point(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint(name, value, "tinyaccel.backends")
    monkeypatch.setattr(module, "_entry_points", lambda: {name: point})


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point whose package isn't installed says what was missing and how to get it."""
    _entry_point("lost", "no_such_package_here:Backend [lost-extra]", monkeypatch)
    with pytest.raises(BackendError) as caught:
        ta.get_device("lost")
    assert str(caught.value) == (
        "device 'lost': No module named 'no_such_package_here'; pip install 'tinyaccel[lost-extra]'"
    )


def test_package_missing_when_the_backend_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where the package is needed only by the backend's constructor, without an extra."""
    _entry_point("late", "collections:OrderedDict", monkeypatch)

    def late() -> Backend:
        raise ImportError("No module named 'cupy'")

    ta.register_backend("late", late)
    with pytest.raises(BackendError, match="device 'late': No module named 'cupy'; install what"):
        ta.get_device("late")


@pytest.mark.parametrize("name", ["cuda", "cuda-sim", "xla", "tpu"])
def test_our_entry_points_name_an_extra(name: str) -> None:
    """Every backend but the CPU's announces the extra that brings its packages, hyphen and all."""
    expected = {"xla": "jax"}.get(name, name)
    error = module._missing_package(name, ImportError("No module named 'x'"))
    assert (
        str(error) == f"device {name!r}: No module named 'x'; pip install 'tinyaccel[{expected}]'"
    )


# Kernels


def test_order_of_lookup() -> None:
    """The op's own kernel, the backend's, the body, the Array API default: in this order."""
    ta.register_backend("plain", Plain)
    found = ta.load_backend("plain")
    erf = OPS["erf"]
    assert found.kernel(erf) is Plain.kernels["erf"]
    assert found.kernel(OPS["softmax"]) is None
    assert found.kernel(OPS["add"]) is np.add

    def mine(x: Any) -> Any:
        return x

    op = ta.op.Op("thing", "custom", lambda x: x, body=lambda x: x, kernels={"plain": mine})
    assert found.kernel(op) is mine


def test_compile_refuses_composites_without_kernel() -> None:
    """A graph must be expanded before it is compiled: the message says so."""
    ta.register_backend("plain", Plain)
    fn = ta.jit(lambda x: ta.softmax(x))
    fn(ta.ones((2, 2), device="plain"))
    device = ta.get_device("plain")
    with pytest.raises(BackendError, match="softmax: plain has no kernel; expand composites first"):
        device.backend.compile(fn.graph(), device)
    assert "add" not in fn.source()
    assert "# Array API default" in fn.source()


def test_synchronize_is_optional() -> None:
    """A backend whose work is done when a kernel returns needs no synchronize."""
    Plain().synchronize()


# A stranger's backend, made of nothing but the standard


class Strict(Backend):
    """array-api-strict, which has only what the standard has. The standard lacks erf."""

    name: ClassVar[str] = "strict"

    def __init__(self) -> None:
        import array_api_strict

        self.xp = array_api_strict
        self.kernels: Mapping[str, Kernel] = {"erf": self._erf}

    def _erf(self, x: Any) -> Any:
        values = [math.erf(v) for v in np.asarray(x).ravel().tolist()]
        return self.xp.reshape(self.xp.asarray(values, dtype=x.dtype), x.shape)  # type: ignore[union-attr]

    def devices(self) -> list[str]:
        return ["strict"]

    def upload(self, array: np.ndarray, device: Device) -> Any:
        return self.xp.asarray(array, copy=True)  # type: ignore[union-attr]

    def download(self, array: Any) -> np.ndarray:
        return np.array(array)


@pytest.fixture
def strict() -> Iterator[str]:
    """A device that has nothing but an Array API namespace (and erf)."""
    pytest.importorskip("array_api_strict", reason="the standard's own test library")
    ta.register_backend("strict", Strict)
    with ta.default_device("strict"):
        yield "strict"


def _train(device: str, jitted: bool) -> list[float]:
    """Twenty steps of a small MLP with dropout; the losses."""
    rng = np.random.default_rng(1)
    with ta.default_device(device):
        x = ta.tensor(rng.normal(size=(16, 4)).astype(np.float32))
        labels = ta.tensor(rng.integers(0, 3, 16).astype(np.int32))
        shapes: Sequence[tuple[int, ...]] = [(8, 4), (8,), (3, 8), (3,)]
        w = [ta.tensor(rng.normal(size=s).astype(np.float32) * 0.5, requires_grad=True)
             for s in shapes]  # fmt: skip
        generator = ta.Generator(3)

        def step() -> ta.Tensor:
            h = ta.gelu(ta.linear(x, w[0], w[1]))
            h = ta.dropout(h, generator.bits(h.shape), p=0.1)
            loss = ta.cross_entropy(ta.linear(h, w[2], w[3]), labels)
            loss.backward()
            for p in w:
                assert p.grad is not None
                p.assign(p - 0.3 * p.grad)
                p.grad = None
            return loss

        run = ta.jit(step) if jitted else step
        return [run().item() for _ in range(20)]


def test_stranger_trains(strict: str) -> None:
    """A backend of standard functions trains an MLP as the CPU does, eager and jitted."""
    expected = _train("cpu", jitted=False)
    assert expected[-1] < 0.6 * expected[0]
    for jitted in (False, True):
        np.testing.assert_allclose(_train(strict, jitted), expected, rtol=1e-4)


@pytest.mark.filterwarnings("error")
def test_stranger_runs_the_rest(strict: str, rng: np.random.Generator) -> None:
    """Convolution, pooling, casts, indexing and random draws use standard functions only."""
    image = rng.normal(size=(2, 4, 6, 6)).astype(np.float32)
    weight = rng.normal(size=(4, 2, 3, 3)).astype(np.float32)
    index = rng.integers(0, 6, (2, 4, 3, 6)).astype(np.int32)

    def everything(device: str) -> list[ta.Tensor]:
        with ta.default_device(device):
            x, w, i = ta.tensor(image), ta.tensor(weight), ta.tensor(index)

            def net(x: ta.Tensor, w: ta.Tensor) -> ta.Tensor:
                y = ta.conv2d(x, w, stride=(1, 2), padding=1, groups=2)
                y = ta.max_pool2d(ta.relu(y), kernel=2, stride=1)
                return (ta.avg_pool2d(y, kernel=2) * ta.abs(y[:, :, 1::2, :1])).sum()

            grads = ta.grad(net, (0, 1))(x, w)
            second = ta.grad(lambda w: (ta.grad(net)(x, w) ** 2).sum())(w)
            taken = ta.take_along_axis(x, i, axis=2)
            return [
                *grads, second, taken, ta.scatter_add(x, i, taken, axis=2),
                x.astype("int32"), x.astype(bool), (x * 1e30).astype("uint8"),
                x.max((1, 2)), x.argmax(1), x[..., ::-2, None, 1:], ta.concat([x, x], axis=1),
                ta.pad(x, widths=((0, 0, 0), (1, 0, 2), (0, 2, 0), (0, 0, 0)), value=3),
                ta.arange(9, 0, -2) % 4, ta.arange(5) << 2, ta.where(x > 0, x, -x),
                x % 0.7, ta.floor(x), ta.softmax(x, axis=1), ta.Generator(1).uniform((3, 3)),
            ]  # fmt: skip

    for got, expected in zip(everything(strict), everything("cpu"), strict=True):
        assert got.dtype is expected.dtype
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_stranger_lacks_only_erf() -> None:
    """Every primitive but erf, which the standard doesn't have, comes by default."""
    pytest.importorskip("array_api_strict", reason="the standard's own test library")
    found = Strict()
    found.kernels = {}
    assert found.missing_kernels() == ["erf"]

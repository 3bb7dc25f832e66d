"""Weights from PyTorch and to it: every layer and network gives the same there and here."""

from __future__ import annotations

import inspect
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.convert import from_torch, load_torch, to_torch
from tinyaccel.errors import ArgumentError, DataError, DTypeError

torch = pytest.importorskip("torch", reason="PyTorch is what weights come from")

# Every layer that has parameters or buffers: its arguments, which are PyTorch's, and an input.
LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("Linear", (5, 3), {}, (4, 5)),
    ("Embedding", (9, 4), {"padding_idx": 2}, (3, 2)),
    ("Conv1d", (4, 6, 3), {"groups": 2, "stride": 2}, (2, 4, 9)),
    ("Conv2d", (4, 6, (2, 3)), {"groups": 2, "padding": 1}, (2, 4, 5, 6)),
    ("ConvTranspose1d", (4, 6, 3), {"groups": 2, "stride": 2}, (2, 4, 5)),
    ("ConvTranspose2d", (4, 6, (2, 3)), {"groups": 2, "padding": 1}, (2, 4, 5, 6)),
    ("BatchNorm1d", (4,), {"momentum": 0.3}, (6, 4)),
    ("BatchNorm2d", (4,), {"momentum": None}, (2, 4, 3, 3)),
    ("InstanceNorm1d", (4,), {"affine": True}, (2, 4, 3)),
    ("InstanceNorm2d", (4,), {"affine": True}, (2, 4, 3, 3)),
    ("LayerNorm", ((4, 3),), {}, (2, 4, 3)),
    ("RMSNorm", (3,), {}, (2, 4, 3)),
    ("GroupNorm", (2, 4), {}, (2, 4, 3, 3)),
    ("PReLU", (4,), {"init": 0.3}, (2, 4, 3)),
    ("RNN", (3, 5), {"num_layers": 2, "nonlinearity": "relu"}, (4, 2, 3)),
    ("LSTM", (3, 5), {"num_layers": 2, "bidirectional": True, "batch_first": True}, (2, 4, 3)),
    ("GRU", (3, 5), {"bidirectional": True, "bias": False}, (4, 2, 3)),
    ("RNNCell", (3, 5), {}, (2, 3)),
    ("LSTMCell", (3, 5), {}, (2, 3)),
    ("GRUCell", (3, 5), {}, (2, 3)),
    ("MultiheadAttention", (6, 2), {"kdim": 4, "vdim": 5}, (3, 2, 6)),
    ("MultiheadAttention", (6, 2), {"batch_first": True}, (2, 3, 6)),
    ("TransformerEncoderLayer", (6, 2, 8), {"dropout": 0.0, "norm_first": True}, (3, 2, 6)),
]  # fmt: skip


def test_every_layer_with_weights_is_in_the_table() -> None:
    """A layer that takes a dtype has parameters or buffers; each that PyTorch has too is listed."""
    found = set()
    for name in nn.__all__:
        member = getattr(nn, name)
        if isinstance(member, type) and "dtype" in inspect.signature(member).parameters:
            found.add(name)
    assert {name for name in found if hasattr(torch.nn, name)} == {name for name, *_ in LAYERS}


def first(result: Any) -> Any:
    while isinstance(result, tuple):
        result = result[0]
    return result


def inputs_of(name: str, options: dict[str, Any], shape: tuple[int, ...],
              rng: np.random.Generator) -> list[np.ndarray]:  # fmt: skip
    if name == "Embedding":
        return [rng.integers(0, 9, shape)]
    x = rng.standard_normal(shape)
    if name != "MultiheadAttention":
        return [x]
    sizes = [shape[-1], options.get("kdim", shape[-1]), options.get("vdim", shape[-1])]
    return [rng.standard_normal((*shape[:-1], n)) for n in sizes]


def same_outcome(ours: nn.Module, theirs: Any, inputs: list[np.ndarray],
                 rng: np.random.Generator, bound: float = 1e-12) -> None:  # fmt: skip
    """Result, gradients of inputs and parameters, and buffers after it, in float64."""
    there = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    here = [ta.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    expected, got = first(theirs(*there)), first(ours(*here))
    np.testing.assert_allclose(got.numpy(), expected.detach().numpy(), rtol=bound, atol=bound)
    g = rng.standard_normal(expected.shape)
    expected.backward(torch.tensor(g))
    got.backward(ta.tensor(g))
    grads = [(t.grad, x.grad) for t, x in zip(there, here, strict=True) if t.requires_grad]
    named = dict(theirs.named_parameters())
    grads += [(named[name].grad, p.grad) for name, p in ours.named_parameters()]
    for t, x in grads:
        assert (t is None) == (x is None)
        if t is not None and x is not None:
            np.testing.assert_allclose(x.numpy(), t.numpy(), rtol=bound, atol=bound)
    buffers = dict(theirs.named_buffers())
    for name, b in ours.named_buffers():
        np.testing.assert_allclose(b.numpy(), buffers[name].numpy(), rtol=bound, err_msg=name)


@pytest.mark.parametrize(("name", "args", "options", "shape"), LAYERS, ids=lambda v: str(v)[:24])
def test_layers(
    name: str, args: tuple[Any, ...], options: dict[str, Any], shape: tuple[int, ...],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """With PyTorch's weights a layer does what PyTorch's does; and they go back as they came."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*args, **options, dtype=torch.float64)
    for p in theirs.parameters():  # some start as 1 and 0, which would hide a mix-up
        p.data += 0.1 * torch.randn(p.shape, dtype=p.dtype)
    ours = getattr(nn, name)(*args, **options, dtype="float64")
    assert load_torch(ours, theirs) == ([], [])
    same_outcome(ours, theirs, inputs_of(name, options, shape, rng), rng)
    fresh = getattr(torch.nn, name)(*args, **options, dtype=torch.float64)
    fresh.load_state_dict(to_torch(ours))  # strict: names, shapes
    for key, value in fresh.state_dict().items():
        assert value.dtype == theirs.state_dict()[key].dtype
        np.testing.assert_array_equal(value.numpy(), ours.state_dict()[key], err_msg=key)


# Networks, built by hand in PyTorch


def in_order(*layers: Any) -> Any:
    return torch.nn.Sequential(*layers)


def convolutions(channels: int, side: int) -> Any:
    t = torch.nn
    return in_order(
        t.Conv2d(channels, 32, 3), t.ReLU(), t.MaxPool2d(2), t.Conv2d(32, 64, 3), t.ReLU(),
        t.MaxPool2d(2), t.Conv2d(64, 64, 3), t.ReLU(), t.Flatten(), t.Linear(64 * side**2, 64),
        t.ReLU(), t.Linear(64, 10),
    )  # fmt: skip


def two_convolutions(channels: int, padding: int) -> Any:
    t = torch.nn
    return in_order(
        t.Conv2d(channels, 6, 5, padding=padding), t.ReLU(), t.MaxPool2d(2), t.Conv2d(6, 16, 5),
        t.ReLU(), t.MaxPool2d(2), t.Flatten(), t.Linear(400, 120), t.ReLU(), t.Linear(120, 84),
        t.ReLU(), t.Linear(84, 10),
    )  # fmt: skip


class Block(torch.nn.Module):  # type: ignore[misc]
    """He et al.'s, option A."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(out)
        self.conv2 = torch.nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(out)
        self.stride, self.more = stride, out - channels

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        short = torch.nn.functional.pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more)
        )
        return torch.relu(y + short)


class ResNet(torch.nn.Module):  # type: ignore[misc]
    """For CIFAR-10, with `n` blocks a stage."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(16)
        self.layer1 = in_order(*(Block(16, 16, 1) for _ in range(n)))
        self.layer2 = in_order(Block(16, 32, 2), *(Block(32, 32, 1) for _ in range(n - 1)))
        self.layer3 = in_order(Block(32, 64, 2), *(Block(64, 64, 1) for _ in range(n - 1)))
        self.fc = torch.nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        x = self.layer1(torch.relu(self.bn1(self.conv1(x))))
        x = torch.nn.functional.adaptive_avg_pool2d(self.layer3(self.layer2(x)), 1)
        return self.fc(x.flatten(1))


TWINS: dict[str, tuple[Callable[[], Any], tuple[int, int, int]]] = {
    "mlp": (lambda: in_order(torch.nn.Flatten(), torch.nn.Linear(784, 128), torch.nn.ReLU(),
                             torch.nn.Linear(128, 10)), (1, 28, 28)),
    "lenet": (lambda: two_convolutions(1, 2), (1, 28, 28)),
    "mnist_cnn": (lambda: convolutions(1, 3), (1, 28, 28)),
    "cifar_cnn": (lambda: convolutions(3, 4), (3, 32, 32)),
    "cifar_net": (lambda: two_convolutions(3, 0), (3, 32, 32)),
    "digits_cnn": (lambda: in_order(
        torch.nn.Conv2d(1, 32, 3, padding=1), torch.nn.ReLU(),
        torch.nn.Conv2d(32, 64, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Dropout(0.25), torch.nn.Flatten(), torch.nn.Linear(1024, 128), torch.nn.ReLU(),
        torch.nn.Dropout(0.5), torch.nn.Linear(128, 10)), (1, 8, 8)),
    "resnet8": (lambda: ResNet(1), (3, 9, 8)),
    "resnet14": (lambda: ResNet(2), (3, 8, 8)),
    "resnet20": (lambda: ResNet(3), (3, 8, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TWINS))
def test_networks(name: str, rng: np.random.Generator) -> None:
    """A network and its twin in PyTorch: equal counts, results, gradients and running means.

    Both compute in float64, on weights that are float32's.
    """
    build, shape = TWINS[name]
    torch.manual_seed(0)
    theirs = build().double()
    ours = nn.make_model(name, shape)
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.size for p in ours.parameters())
    load_torch(ours, theirs)
    theirs.load_state_dict({k: v.double() for k, v in to_torch(ours).items()})
    wide(ours)
    for model in (ours, theirs):
        model.train(name != "digits_cnn")  # whose masks are drawn otherwise there
    same_outcome(ours, theirs, [rng.standard_normal((2, *shape))], rng, 1e-9)


def wide(model: nn.Module) -> None:
    """All parameters and float buffers in float64."""
    for module in model.modules():
        for name, p in list(module._parameters.items()):
            setattr(module, name, nn.Parameter(p.detach().astype("float64")))
        for name, b in list(module._buffers.items()):
            setattr(module, name, b.astype("float64") if b.dtype.is_float else b)


# What PyTorch's users have


def state() -> dict[str, Any]:
    torch.manual_seed(1)
    return dict(torch.nn.Linear(3, 2).state_dict())


def test_every_dtype_and_layout_comes_and_goes() -> None:
    """All dtypes that both have, bfloat16 to the bit; transposed, 0-d and empty tensors; copies."""
    values = torch.arange(-3, 3).reshape(2, 3)
    names = ["bool", "int8", "uint8", "int32", "int64", "uint32", "float16", "bfloat16", "float32",
             "float64"]  # fmt: skip
    given = {name: values.to(getattr(torch, name)) for name in names}
    given |= {"turned": given["bfloat16"].T, "scalar": given["bfloat16"][0, 0],
              "empty": torch.zeros(0, 3), "grad": torch.ones(2, requires_grad=True)}  # fmt: skip
    arrays = from_torch(given)
    for name, array in arrays.items():
        assert array.flags.c_contiguous and array.shape == tuple(given[name].shape)
        expected = given[name].detach().double().numpy()
        np.testing.assert_array_equal(array.astype(np.float64), expected, err_msg=name)
    assert [arrays[n].dtype.name for n in names] == names
    assert arrays["bfloat16"].dtype == ml_dtypes.bfloat16
    back = to_torch(arrays)
    for name, t in back.items():
        assert t.dtype == given[name].dtype and torch.equal(t, given[name].detach())
    arrays["float32"][:] = 7
    back["int32"][:] = 7
    assert given["float32"][0, 0] == -3 and arrays["int32"][0, 0] == -3


class OptimizedModule(torch.nn.Module):  # type: ignore[misc]
    """What torch.compile returns, whose own code takes 4 s to import."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._orig_mod = inner


@pytest.mark.parametrize(
    "wrap",
    [
        torch.nn.DataParallel,
        OptimizedModule,
        lambda m: torch.nn.DataParallel(OptimizedModule(m)),
        torch.optim.swa_utils.AveragedModel,
        lambda m: {f"module.{k}": v for k, v in m.state_dict().items()},
        lambda m: torch.optim.swa_utils.AveragedModel(m).state_dict(),
        lambda m: OptimizedModule(m).state_dict(),
    ],
    ids=["parallel", "compiled", "both", "average", "state", "average state", "compiled state"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's own
def test_wrappers_are_taken_off(wrap: Callable[[Any], Any]) -> None:
    """What DataParallel, compile and averages put in front of names doesn't arrive."""
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 2))
    ours = nn.Sequential(nn.Linear(3, 2))
    load_torch(ours, wrap(theirs))
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name], value.numpy())


def test_a_part_called_module_keeps_its_name() -> None:
    """In a module of one's own that isn't a wrapper, "module." is a name like any other."""
    theirs = torch.nn.Sequential()
    theirs.add_module("module", torch.nn.Linear(3, 2))
    assert set(from_torch(theirs)) == {"module.weight", "module.bias"}


def test_tied_weights(tmp_path: Path) -> None:
    """What two layers share is under both names, is shared again in PyTorch, and in its files."""
    safetensors = pytest.importorskip("safetensors.torch", reason="the extra 'train'")
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    theirs[1].weight = theirs[0].weight
    ours = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    ours[1].weight = ours[0].weight
    safetensors.save_model(theirs, str(tmp_path / "tied.safetensors"))  # holds one of the two
    for source in (theirs, tmp_path / "tied.safetensors"):
        for p in ours.parameters():
            nn.init.zeros_(p)
        load_torch(ours, source)
        np.testing.assert_array_equal(ours[1].weight.numpy(), theirs[1].weight.detach().numpy())
    back = to_torch(ours)
    assert back["0.weight"] is back["1.weight"] and back["0.bias"] is not back["1.bias"]


def test_files(tmp_path: Path) -> None:
    """A safetensors file that PyTorch wrote is read, bfloat16 too, and one of ours there."""
    safetensors = pytest.importorskip("safetensors.torch", reason="the extra 'train'")
    given = {"w": torch.randn(3, 2).bfloat16(), "n": torch.tensor(5)}
    safetensors.save_file({f"module.{k}": v for k, v in given.items()}, tmp_path / "w.safetensors")
    arrays = from_torch(str(tmp_path / "w.safetensors"))
    assert set(arrays) == {"w", "n"} and arrays["w"].dtype == ml_dtypes.bfloat16
    assert torch.equal(to_torch(arrays)["w"], given["w"])
    safetensors.save_file(to_torch(arrays), tmp_path / "back.safetensors")
    assert torch.equal(safetensors.load_file(tmp_path / "back.safetensors")["w"], given["w"])


class Trap:
    """What a pickle could do when it is read."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, (Path("sprung"),))  # type: ignore[return-value]


def test_pickles_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .pt file is refused by its name, and a pickle under another name by how it begins."""
    monkeypatch.chdir(tmp_path)
    torch.save(state(), "weights.pt")
    Path("zipped").write_bytes(Path("weights.pt").read_bytes())
    torch.save(state(), "old.model", _use_new_zipfile_serialization=False)
    Path("trap.safetensors").write_bytes(pickle.dumps(Trap()))
    for name in ("weights.pt", "zipped", "old.model", "trap.safetensors", "missing.pth"):
        with pytest.raises(DataError, match=f"from_torch: {name} is a pickle, .*save_file"):
            from_torch(name)
    assert not Path("sprung").exists()
    with pytest.raises(DataError, match="nowhere can't be read"):
        from_torch("nowhere")
    header = json.dumps({"x": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}})
    padded = header.ljust(0x280).encode()  # a length that begins as a pickle does
    Path("fine").write_bytes(len(padded).to_bytes(8, "little") + padded + b"\0\0\x80\x3f")
    assert from_torch("fine")["x"] == 1


# What doesn't fit


def test_rename() -> None:
    """Fronts and whole names, the longer before the shorter; "" takes a front off."""
    given = {"net.fc.weight": np.ones(2), "net.fc.bias": np.zeros(1), "netto": np.ones(3)}
    got = from_torch(given, rename={"net": "", "net.fc": "head", "net.fc.bias": "b"})
    assert list(got) == ["head.weight", "b", "netto"]
    assert list(from_torch(given, rename={"net": ""})) == ["fc.weight", "fc.bias", "netto"]
    with pytest.raises(
        ArgumentError, match=r"rename of 'ne', but no name is that, .* net\.fc\.weight"
    ):
        from_torch(given, rename={"ne": "x"})
    with pytest.raises(ArgumentError, match="rename makes 'netto' of two names"):
        from_torch(given, rename={"net.fc.bias": "netto"})


def test_names_that_do_not_fit_are_told_with_the_remedy() -> None:
    """The line says what is lacking and left over, and a `rename` with which it does fit."""
    theirs = torch.nn.Sequential()
    for name in ("first", "linear"):
        theirs.add_module(name, torch.nn.Linear(3, 3))
    ours = nn.Sequential({"first": nn.Linear(3, 3), "fc": nn.Linear(3, 3)})
    before = ours.state_dict()
    with pytest.raises(ArgumentError) as caught:
        load_torch(ours, theirs)
    assert str(caught.value) == (
        "load_torch: Sequential lacks fc.weight (3, 3), fc.bias (3,); left over are linear.weight "
        "(3, 3), linear.bias (3,); try rename={'linear': 'fc'}; nothing was loaded"
    )
    for name, value in ours.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    load_torch(ours, theirs, rename={"linear": "fc"})
    np.testing.assert_array_equal(ours[1].bias.numpy(), theirs.linear.bias.detach().numpy())
    report = load_torch(ours, theirs, strict=False)
    assert report == (["fc.weight", "fc.bias"], ["linear.weight", "linear.bias"])
    with pytest.raises(ArgumentError, match=r"lacks .*0\.weight \(9, 3\).* and 8 more; left over "
                       r"are first\.weight [^;]*; nothing was loaded"):  # fmt: skip
        load_torch(nn.Sequential(*(nn.Linear(3, 9) for _ in range(7))), theirs)
    with pytest.raises(ArgumentError, match=r"wrong: first\.weight float32\[3, 3\] for float32\[4"):
        load_torch(nn.Sequential({"first": nn.Linear(3, 4), "linear": nn.Linear(3, 3)}), theirs)


def test_files_from_before_batches_were_counted() -> None:
    """Batch norm without num_batches_tracked loads, as in PyTorch, and keeps its count."""
    given = {k: v for k, v in torch.nn.BatchNorm2d(2).state_dict().items() if "num" not in k}
    ours = nn.BatchNorm2d(2)
    assert load_torch(ours, given).missing_keys == ["num_batches_tracked"]
    with pytest.raises(ArgumentError, match=r"lacks running_var \(2,\); nothing"):
        load_torch(ours, {k: v for k, v in given.items() if k != "running_var"})


def refusals() -> list[tuple[object, type[Exception], str]]:
    """Sources that aren't weights."""
    whole = {"model": state(), "epoch": 3}
    plain = torch.zeros(2)
    return [
        (3, ArgumentError, "got int; expected a torch.nn.Module, its state_dict, or the path"),
        (whole, ArgumentError, "'model' is dict; expected tensors .* pass the state_dict that is"),
        ({"epoch": 3}, ArgumentError, "'epoch' is int; expected tensors by name; leave it out"),
        ({"x": plain.to(torch.complex64)}, DTypeError, "'x' is complex64; expected a dense tensor"),
        ({"x": plain.to(torch.int16)}, DTypeError, "'x' is int16; .* convert it in PyTorch first"),
        ({"x": plain.to_sparse()}, DTypeError, r"'x' is torch.float32 \(.*[Ss]parse"),
        ({"x": plain.to("meta")}, DTypeError, r"'x' is torch.float32 \(.*meta"),
        ({"x": plain.to(torch.float8_e5m2)}, DTypeError, "'x' is torch.float8_e5m2"),
    ]


@pytest.mark.parametrize("number", range(len(refusals())))
def test_what_is_no_weight(number: int) -> None:
    """One line each says which entry it is, what it is and what to do."""
    source, error, message = refusals()[number]
    with pytest.raises(error, match=f"^from_torch: .*{message}"):
        from_torch(source)

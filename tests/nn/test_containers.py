"""Lists and dictionaries of modules: PyTorch's names, and a trace knows when they change."""

from __future__ import annotations

import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError, IndexRangeError


class Net(nn.Module):
    """Layers in a list, of which the last may be one of several heads."""

    def __init__(self) -> None:
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
        self.heads = nn.ModuleDict({"kind": nn.Linear(3, 2), "age": nn.Linear(3, 1)})

    def forward(self, x: ta.Tensor, head: str = "kind") -> ta.Tensor:
        for layer in self.layers:
            x = ta.tanh(layer(x))
        return self.heads[head](x)


def test_names_are_pytorchs() -> None:
    """Its parameters go by the names that PyTorch gives those of the same containers."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    lib = torch.nn
    twin = lib.Module()
    twin.layers = lib.ModuleList(lib.Linear(3, 3) for _ in range(2))
    twin.heads = lib.ModuleDict({"kind": lib.Linear(3, 2), "age": lib.Linear(3, 1)})
    assert list(Net().state_dict()) == list(twin.state_dict())


def test_like_a_list() -> None:
    """It is iterated, indexed from both ends, sliced, appended to and extended."""
    layers = nn.ModuleList([nn.ReLU()])
    last = nn.Linear(2, 2)
    assert layers.append(nn.Tanh()).extend([nn.Sigmoid(), last]) is layers
    assert len(layers) == 4 and layers[-1] is last and list(layers)[3] is last
    part = layers[2:]
    assert type(part) is nn.ModuleList and list(part) == list(layers)[2:]


def test_like_a_dictionary() -> None:
    """It is indexed by name, iterated in the order of its names, and asked what it has."""
    heads = nn.ModuleDict()
    heads["b"], heads["a"] = nn.ReLU(), nn.Linear(2, 2)
    assert list(heads) == list(heads.keys()) == ["b", "a"] and len(heads) == 2
    assert "a" in heads and "c" not in heads
    assert [m for _, m in heads.items()] == list(heads.values()) == [heads["b"], heads["a"]]


def test_gradients_and_jit() -> None:
    """Gradients reach all that took part and nothing else; a layer more makes another trace."""
    net, x = Net(), ta.ones((2, 3))
    net(x, "age").sum().backward()
    missing = [name for name, p in net.named_parameters() if p.grad is None]
    assert missing == ["heads.kind.weight", "heads.kind.bias"]
    fast = ta.jit(lambda x: net(x))
    for traces in (1, 2):
        assert abs((fast(x) - net(x)).numpy()).max() < 1e-6
        assert fast.traces == traces
        net.layers.append(nn.Linear(3, 3))


def test_bad_input() -> None:
    """What is no module, a name that is taken, and an index that there isn't: one line each."""
    with pytest.raises(ArgumentError, match=r"^ModuleList: entry '0' is ReLU, no module; call the"):
        nn.ModuleList([nn.ReLU])  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match=r"^ModuleDict: entry 'a' is int, no module; expected"):
        nn.ModuleDict({"a": 1})  # type: ignore[dict-item]
    with pytest.raises(ArgumentError, match=r"^ModuleDict\.keys: set to a ReLU, but the name is "):
        nn.ModuleDict({"keys": nn.ReLU()})
    with pytest.raises(IndexRangeError, match=r"^ModuleList: index 2, but it has 1 modules$"):
        nn.ModuleList([nn.ReLU()])[2]

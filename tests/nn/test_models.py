"""The small networks: their sizes, what they take, and that they learn, eagerly and jitted."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError

# Weights, counted by PyTorch on the same layers; and the smallest image that each takes.
SIZES = {
    "mlp": 101_770,
    "lenet": 61_706,
    "mnist_cnn": 93_322,
    "cifar_cnn": 122_570,
    "cifar_net": 62_006,
    "digits_cnn": 151_306,
    "resnet8": 75_290,
    "resnet14": 172_506,
    "resnet20": 269_722,
}
LEAST = {
    "lenet": 12, "mnist_cnn": 18, "cifar_cnn": 18, "cifar_net": 16, "digits_cnn": 2,
    "resnet8": 8, "resnet14": 8, "resnet20": 8,
}  # fmt: skip
IMAGE_ROOMS = ("mlp", "cnn", "resnet")


def test_every_model_is_counted() -> None:
    """The tables above cover the rooms of networks for images; both registries have one set."""
    here = {
        name
        for name, build in nn.MODELS.items()
        if build.__module__.removeprefix("tinyaccel.nn.models.") in IMAGE_ROOMS
    }
    assert here == SIZES.keys()
    assert LEAST.keys() | {"mlp"} == SIZES.keys()
    assert nn.MODELS.keys() == nn.INPUT_SHAPES.keys()


@pytest.mark.parametrize("name", sorted(nn.MODELS))
def test_config_builds_the_model_again(name: str) -> None:
    """Each model turns its default shape into 10 classes; its config, as JSON, gives its equal."""
    model = nn.make_model(name)
    assert nn.summary(model, nn.INPUT_SHAPES[name], 2).rows[0].outputs == ((2, 10),)
    config: dict[str, Any] = json.loads(json.dumps(model.config))
    arguments = inspect.signature(nn.MODELS[name]).parameters
    assert config.keys() == {"name", *arguments}
    assert config["input_shape"] == list(nn.INPUT_SHAPES[name])
    again = nn.make_model(**config)
    assert str(again) == str(model) and again.config == config
    if name in SIZES:
        assert sum(p.size for p in model.parameters()) == SIZES[name]


@pytest.mark.parametrize("name", sorted(LEAST))
def test_other_images(name: str) -> None:
    """A model adapts to channels, classes and any size from the least on, and refuses others."""
    least = LEAST[name]
    for shape in ((2, least, least + 3), (1, least + 6, least)):
        model = nn.make_model(name, shape, 3)
        assert nn.summary(model, shape).rows[0].outputs == ((1, 3),)
    short = least - 1
    message = f"^{name}: images of {short}x40; expected at least {least}x{least}; scale them up"
    with pytest.raises(ArgumentError, match=message):
        nn.make_model(name, (1, short, 40))


# XLA takes 8 s to compile the smallest residual network, whose ops are tested there one by one.
STEPS = [(name, "xla:cpu") for name in ("mlp", "mnist_cnn", "cifar_net", "digits_cnn")]
STEPS += [(name, "cpu") for name in ("mlp", "mnist_cnn", "cifar_net", "digits_cnn", "resnet8")]


@pytest.mark.parametrize(("name", "device"), STEPS, indirect=["device"])
def test_a_jitted_training_step_is_the_eager_one(
    name: str, device: str, rng: np.random.Generator
) -> None:
    """Three whole steps, jitted on a device, follow three eager ones on the CPU.

    They start from the same state and see the same masks. Losses agree to the rounding of the
    sums behind them (4 sqrt(1024) eps of about 2.3, three steps). SGD is used, since Adam would
    turn a gradient near 0 into a step of size lr, with a random sign.
    """
    shape = (3, 8, 8) if name == "resnet8" else nn.INPUT_SHAPES[name]
    x = rng.random((8, *shape)).astype(np.float32)
    y = rng.integers(0, 10, 8).astype(np.int32)
    losses: list[list[Any]] = []
    states = []
    for where in ("cpu", device):
        ta.manual_seed(0)
        model = nn.make_model(name, shape).to(where)
        loss_fn, opt = nn.CrossEntropyLoss(), ta.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(
            x: ta.Tensor,
            y: ta.Tensor,
            model: nn.Module = model,
            opt: ta.optim.Optimizer = opt,
            loss_fn: nn.Module = loss_fn,
        ) -> ta.Tensor:
            opt.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            opt.step()
            return loss

        run = step if not losses else ta.jit(step)
        batch = ta.tensor(x, device=where), ta.tensor(y, device=where)
        losses.append([run(*batch).item() for _ in range(3)])
        states.append(model.state_dict())
    assert run.traces == 1  # type: ignore[attr-defined]
    np.testing.assert_allclose(losses[1], losses[0], atol=4 * 32 * 1.2e-7 * 2.3)
    assert losses[0][2] < losses[0][0]
    for key, value in states[0].items():
        np.testing.assert_allclose(states[1][key], value, atol=1e-5, err_msg=key)


def test_resnet_starts_from_he_and_shortcuts_add_nothing() -> None:
    """Convolutions start from N(0, 2 / fan_in); a shortcut picks pixels and pads channels with 0.

    The variance of n normal numbers deviates by sqrt(2 / n), held to four of it.
    """
    model = nn.resnet8()
    weights = {name: p.numpy() for name, p in model.named_parameters() if "conv" in name}
    assert len(weights) == 7
    for name, w in weights.items():
        fan_in = w[0].size
        assert abs(w.var() * fan_in / 2 - 1) <= 4 * np.sqrt(2 / w.size), name
    block = model.layer2[0]
    x = np.arange(2 * 16 * 5 * 7, dtype=np.float32).reshape(2, 16, 5, 7)
    y = block.shortcut(ta.tensor(x)).numpy()
    assert y.shape == (2, 32, 3, 4)
    np.testing.assert_array_equal(y[:, :16], x[:, :, ::2, ::2])
    assert not y[:, 16:].any()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": "resnet2O"}, r"model 'resnet2O' is unknown; expected one of cifar_cnn, "
                           r"cifar_net, .*; did you mean resnet20\?$"),
    ({"name": "lstm?"}, r"^model 'lstm\?' is unknown"),
    ({"name": "mlp", "width": 3}, r"model 'mlp': option 'width' is unknown; expected one of "
                                  r"input_shape, classes, hidden$"),
    ({"name": "mlp", "hiden": 3}, r"option 'hiden' is unknown; .*; did you mean hidden\?$"),
    ({"name": "mlp", "hidden": 0}, r"^mlp: hidden=0; expected an integer of at least 1"),
    ({"name": "mlp", "input_shape": (0,)}, r"^mlp: input_shape=\(0,\); expected the shape of one"),
    ({"name": "lenet", "classes": 0}, r"^lenet: classes=0; expected an integer of at least 1"),
    ({"name": "lenet", "input_shape": (28, 28)}, r"^lenet: input_shape=\(28, 28\); expected \(cha"),
    ({"name": "resnet8", "input_shape": (3, 8.5, 8)}, r"input_shape=\(3, 8\.5, 8\); expected"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda v: str(v)[:40])
def test_what_cannot_be_made(arguments: dict[str, Any], message: str) -> None:
    """One line says what arrived, what was expected, and which name or option may be meant."""
    with pytest.raises(ArgumentError, match=message):
        nn.make_model(**arguments)


def test_registering_a_model() -> None:
    """A model of one's own is found by name like the others, if its arguments are as theirs."""

    def tiny(
        input_shape: tuple[int, ...] = (2,), classes: int = 10, *, scale: object = 2
    ) -> nn.Module:
        return nn.Linear(input_shape[0], classes)

    def rigid(classes: int = 10) -> nn.Module:
        return nn.Linear(2, classes)

    try:
        nn.register_model((2,))(tiny)
        model = nn.make_model("tiny", classes=1)
        assert model(ta.zeros((1, 2))).shape == (1, 1)
        assert nn.INPUT_SHAPES["tiny"] == (2,)
        assert model.config == {"name": "tiny", "input_shape": [2], "classes": 1, "scale": 2}
        with pytest.raises(ArgumentError, match=r"model 'tiny': Object of type set .* expected"):
            nn.make_model("tiny", scale={1})
    finally:
        del nn.MODELS["tiny"], nn.INPUT_SHAPES["tiny"]
    for shape, build in (((3,), tiny), ((2,), rigid)):
        with pytest.raises(ArgumentError, match=f"^register_model: {build.__name__}.*input_shape="):
            nn.register_model(shape)(build)
    assert "tiny" not in nn.MODELS and "rigid" not in nn.MODELS

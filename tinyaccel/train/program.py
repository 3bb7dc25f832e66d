"""The whole program of `tinyaccel train`: data, model, training, files."""

from __future__ import annotations

import contextlib
import inspect
import math
from pathlib import Path

from tinyaccel.backend import Device, get_device
from tinyaccel.data.dataset import Splits
from tinyaccel.data.registry import DATASETS, load
from tinyaccel.errors import ArgumentError
from tinyaccel.nn.models import INPUT_SHAPES, MODELS, make_model
from tinyaccel.nn.module import Module
from tinyaccel.ops.random import manual_seed
from tinyaccel.train.loop import Result, fit
from tinyaccel.train.recipes import RECIPES
from tinyaccel.train.record import fresh_folder


def run(
    data: str = "digits",
    *,
    data_dir: str | Path | None = None,
    model: str | None = None,
    device: str | Device = "auto",
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    seed: int = 0,
    jit: bool = True,
    out: str | Path | None = None,
    quiet: bool = False,
) -> Result:
    """Train a model on a data set, both by name, and leave the files of `fit` in a folder.

    data_dir                     the folder with the data set's files; default: TINYACCEL_DATA
    model, epochs, batch_size, lr  default: what `RECIPES` has for the data set
    seed                         of everything random: weights, order of batches, dropout
    out                          default: a fresh folder under `runs/`

    Raises `ArgumentError` or `DeviceError` for an unknown name, and lists those known; what `load`
    and `fit` raise.
    """
    if data not in DATASETS:
        load(data)  # which says what is wrong, before anything else is looked at
    recipe = RECIPES[data]
    name = recipe.model if model is None else model
    if name not in MODELS:
        make_model(name)  # likewise
    where = get_device(device)
    splits = load(data, data_dir)
    manual_seed(seed)
    net = model_for(name, splits, data)
    size = sum(p.size for p in net.parameters())
    folder = fresh_folder("runs", data) if out is None else Path(out)
    try:
        return fit(
            net, splits.train, splits.test,
            epochs=recipe.epochs if epochs is None else epochs,
            batch_size=recipe.batch_size if batch_size is None else batch_size,
            lr=recipe.lr if lr is None else lr,
            seed=seed, device=where, jit=jit, quiet=quiet, out=folder,
            facts={"data": data, "model": name, "parameters": size},
        )  # fmt: skip
    finally:
        if out is None:
            with contextlib.suppress(OSError):  # it isn't empty: something was finished
                folder.rmdir()


def model_for(name: str, splits: Splits, data: str) -> Module:
    """The model called `name` with fresh weights, for these images.

    One that can be told its number of inputs (`in_features`) takes any; another only its own shape.
    Raises `ArgumentError` otherwise, and lists the models that fit.
    """
    shape = splits.train.shape
    if _adapts(name):
        return make_model(name, in_features=math.prod(shape))
    if INPUT_SHAPES[name] != shape:
        fitting = [m for m in MODELS if _adapts(m) or INPUT_SHAPES[m] == shape]
        raise ArgumentError(
            f"model {name!r} takes images of {INPUT_SHAPES[name]}, but {data} has {shape}; "
            f"expected one of {', '.join(sorted(fitting))}"
        )
    return make_model(name)


def _adapts(name: str) -> bool:
    return "in_features" in inspect.signature(MODELS[name]).parameters

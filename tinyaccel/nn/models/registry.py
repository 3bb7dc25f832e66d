"""Networks by name: how one is put into the list, and how one is made from it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from tinyaccel.errors import ArgumentError
from tinyaccel.nn.module import Module
from tinyaccel.nn.settings import positive
from tinyaccel.shapes import Shape

Builder: TypeAlias = Callable[..., Module]  # build(input_shape=..., classes=10, **its own options)

MODELS: dict[str, Builder] = {}
INPUT_SHAPES: dict[str, Shape] = {}  # of one sample, (C, H, W) for images, unless told otherwise


def register_model(input_shape: Shape) -> Callable[[Builder], Builder]:
    """Decorator that puts a function which builds a model into MODELS, under its own name.

    input_shape  the shape of one sample that the model takes unless told otherwise

    The function takes `input_shape` and `classes`, both with defaults, and any options of its own,
    with defaults that JSON can hold. Raises `ArgumentError` if it doesn't.
    """

    def register(build: Builder) -> Builder:
        name, options = build.__name__, _options(build)
        if options.get("input_shape") != input_shape or "classes" not in options:
            raise ArgumentError(
                f"register_model: {name}{inspect.signature(build)}; expected a function with "
                f"input_shape={input_shape} and classes=10 among its arguments"
            )
        MODELS[name] = build
        INPUT_SHAPES[name] = input_shape
        return build

    return register


def make_model(
    name: str, input_shape: Sequence[int] | None = None, classes: int | None = None,
    **options: object,
) -> Module:  # fmt: skip
    """The model called `name`, with fresh weights.

    input_shape  of one sample, (C, H, W) for images; default: `INPUT_SHAPES[name]`
    classes      how many numbers come out for each sample; default: the model's own
    options      the model's own

    x: (N, \\*input_shape) -> (N, classes). The model's attribute `config` is a dictionary of plain
    values with all of these, so that `make_model(**model.config)` builds the same network again.

    Raises `ArgumentError` for an unknown name or option, and lists those known; and for an
    input_shape that is too small for the model, with the least that isn't.

    >>> import tinyaccel as ta
    >>> model = make_model("mlp", (1, 8, 8), hidden=32)
    >>> model(ta.zeros((1, 1, 8, 8))).shape, model.config
    ((1, 10), {'name': 'mlp', 'input_shape': [1, 8, 8], 'classes': 10, 'hidden': 32})
    """
    if name not in MODELS:
        known = ", ".join(sorted(MODELS))
        raise ArgumentError(
            f"model {name!r} is unknown; expected one of {known}{_near(name, MODELS)}"
        )
    settings = _options(MODELS[name])
    for option in options:
        if option not in settings:
            raise ArgumentError(
                f"model {name!r}: option {option!r} is unknown; "
                f"expected one of {', '.join(settings)}{_near(option, settings)}"
            )
    settings |= options
    if input_shape is not None:
        settings["input_shape"] = tuple(input_shape)
    if classes is not None:
        settings["classes"] = classes
    model = MODELS[name](**settings)
    try:
        plain = json.loads(json.dumps(settings))
    except TypeError as error:
        raise ArgumentError(
            f"model {name!r}: {error}; expected options that are numbers, texts or lists of them"
        ) from None
    model.config = {"name": name, **plain}
    return model


def _options(build: Builder) -> dict[str, object]:
    """A builder's arguments and their defaults."""
    arguments = inspect.signature(build).parameters.values()
    return {a.name: a.default for a in arguments if a.default is not a.empty}


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def image_sides(
    model: str, input_shape: Sequence[int], classes: int, least: int
) -> tuple[int, int, int]:
    """Channels, height and width of an image that a model is to be built for.

    Raises `ArgumentError` unless it is (C, H, W) with both sides at least `least`, and there is a
    class or more.
    """
    positive(model, classes=classes)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in input_shape)
    if len(input_shape) != 3 or not whole:
        raise ArgumentError(
            f"{model}: input_shape={tuple(input_shape)}; expected (channels, height, width) of one "
            "image, without the batch"
        )
    channels, height, width = input_shape
    if min(height, width) < least:
        raise ArgumentError(
            f"{model}: images of {height}x{width}; expected at least {least}x{least}; "
            "scale them up, or choose another model"
        )
    return channels, height, width

"""What a transform is, and several in a row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import chain

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import Pixels
from tinyaccel.data.transforms.words import Words, image_words
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError


class Transform(ABC):
    """Something that is done to the images of a batch.

    What happens to an image is a pure function of the seed, the epoch, the number of the image in
    its data set, and the place of the transform among others: neither the batch size nor the order
    nor the number of threads changes it. A subclass gives `apply` and, if chance has a say in it,
    `words`.

    words       how many random words it needs for each image
    normalizes  whether what it gives is normalised already: then the data set's own mean and
                standard deviation aren't applied to it

    >>> class Negative(Transform):
    ...     def apply(self, x, words):
    ...         return 255 - x
    >>> Negative()(np.array([[[[1, 2]]]], np.uint8))
    array([[[[254, 253]]]], dtype=uint8)
    """

    words: int = 0
    normalizes: bool = False

    @abstractmethod
    def apply(self, x: Pixels, words: Words) -> Pixels:
        """The images (n, ...) that become of x (n, ...), which isn't written to.

        x: uint8, or float32; words: uint32 (self.words, n), the random words of each image.
        """

    def __call__(
        self,
        x: Pixels,
        indices: npt.ArrayLike | None = None,
        *,
        seed: int = 0,
        epoch: int = 0,
    ) -> Pixels:
        """The transformed images of a batch.

        x        (n, ...), uint8 or float32
        indices  (n,), the number of each in its data set; default: 0 to n - 1

        Raises `DTypeError` for other dtypes, `ShapeError` where the number of images changes or
        their shape is one that the transform can't take.
        """
        numbers = np.arange(len(x)) if indices is None else np.asarray(indices)
        if numbers.shape != x.shape[:1]:
            raise ShapeError(
                f"{type(self).__name__}: indices {numbers.shape} for images {x.shape}; expected "
                "one for each"
            )
        return self.transformed(x, image_words(seed, epoch, numbers, self.words))

    def transformed(self, x: Pixels, words: Words) -> Pixels:
        """What `apply` makes of x (n, ...), with words (self.words, n) that are drawn already.

        Raises what calling the transform does.
        """
        name = type(self).__name__
        if x.dtype not in (np.uint8, np.float32):
            raise DTypeError(f"{name}: images are {x.dtype}; expected uint8 or float32")
        done = self.apply(x, words)
        if not isinstance(done, np.ndarray) or done.shape[:1] != x.shape[:1]:
            got = done.shape if isinstance(done, np.ndarray) else type(done).__name__
            raise ShapeError(
                f"{name}: it made {got} of images {x.shape}; expected an array of {len(x)} images: "
                "what leaves images out or adds some belongs into the data set"
            )
        if done.dtype not in (np.uint8, np.float32):
            raise DTypeError(
                f"{name}: it made {done.dtype} of {x.dtype}; expected uint8 or float32: round it, "
                "and use astype"
            )
        return done


class Compose(Transform):
    """Several transforms, one after the other: the last of (x -> t1(x) -> t2(t1(x)) -> ...).

    transforms  any number of them, in order; each draws words of its own

    >>> Compose([Compose([])])
    Compose()
    """

    def __init__(self, transforms: Iterable[Transform]) -> None:
        given = list(transforms)
        for transform in given:
            if not isinstance(transform, Transform):
                raise ArgumentError(
                    f"Compose: {transform!r} is no Transform; expected a list of them (of a "
                    "function, make a subclass of Transform)"
                )
        inner = (t.transforms if isinstance(t, Compose) else (t,) for t in given)
        self.transforms: tuple[Transform, ...] = tuple(chain.from_iterable(inner))
        self.words = sum(transform.words for transform in self.transforms)
        self.normalizes = any(transform.normalizes for transform in self.transforms)

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.transforms))})"

    def apply(self, x: Pixels, words: Words) -> Pixels:
        """All of them in order, each with its own rows of `words`."""
        start = 0
        for transform in self.transforms:
            x = transform.apply(x, words[start : start + transform.words])
            start += transform.words
        return x

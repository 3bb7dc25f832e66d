"""Shapes and attributes that movement is tested with."""

from __future__ import annotations

from tinyaccel.testing.layouts.common import Layout, of

LAYOUTS: dict[str, list[Layout]] = {
    "reshape": [
        of((2, 6), shape=(3, 4)), of((33,), shape=(3, -1)), of((), shape=(1, 1)),
        of((0, 3), shape=(3, 0)), of((8, 128), shape=(1024,)), of((1,), shape=()),
    ],
    "permute_dims": [
        of((2, 3), axes=(1, 0)), of((2, 3, 4), axes=(2, 0, 1)), of((33,), axes=(0,)),
        of((), axes=()), of((2, 0, 3), axes=(-1, 0, 1)), of((31, 33), axes=(1, 0)),
    ],
    "broadcast_to": [
        of((3, 1), shape=(2, 3, 4)), of((), shape=(5,)), of((1,), shape=(33,)),
        of((2, 3), shape=(2, 3)), of((1, 3), shape=(0, 3)), of((8, 1), shape=(8, 128)),
    ],
    "flip": [
        of((2, 3), axis=None), of((33,), axis=0), of((2, 3, 4), axis=(0, -1)),
        of((), axis=()), of((2, 0), axis=1), of((3, 129), axis=1),
    ],
    "pad": [
        of((2, 3), widths=((1, 2), (0, 1)), value=0), of((3,), widths=((2, 0, 2),), value=1),
        of((2, 3), widths=((0, 0, 1), (1, 1, 2)), value=1), of((), widths=(), value=0),
        of((0, 2), widths=((1, 2), (0, 0)), value=1), of((33,), widths=((0, 95),), value=0),
    ],
    "slice": [
        of((5, 4), starts=(1, 0), stops=(5, 3), steps=(2, 1)),
        of((33,), starts=(0,), stops=(33,), steps=(32,)),
        of((7,), starts=(2,), stops=(2,), steps=(1,)), of((), starts=(), stops=(), steps=()),
        of((129, 2), starts=(1, 1), stops=(128, 2), steps=(3, 1)),
    ],
    "concat": [
        of((2, 3), (1, 3), axis=0), of((2, 3), (2, 0), (2, 4), axis=-1), of((33,), axis=0),
        of((127,), (2,), (1,), axis=0), of((2, 1, 3), (2, 4, 3), axis=1),
    ],
    "expand_dims": [of((2, 3), axis=1), of((), axis=0), of((33,), axis=-1)],
    "squeeze": [of((2, 1, 3), axis=1), of((1, 1), axis=None), of((1, 33), axis=(0,))],
}  # fmt: skip

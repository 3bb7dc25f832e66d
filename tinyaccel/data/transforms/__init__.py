"""Transforms: what is done to images on their way into a batch, in NumPy, a batch at a time.

>>> import numpy as np
>>> from tinyaccel import data
>>> images = np.arange(2 * 1 * 3 * 3, dtype=np.uint8).reshape(2, 1, 3, 3)
>>> flip = data.RandomHorizontalFlip(p=1.0)
>>> flip(images, indices=[0, 1], seed=0, epoch=0)[0, 0]
array([[2, 1, 0],
       [5, 4, 3],
       [8, 7, 6]], dtype=uint8)
"""

from tinyaccel.data.transforms.geometry import (
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomVerticalFlip,
)
from tinyaccel.data.transforms.parse import augmentation
from tinyaccel.data.transforms.transform import Compose, Transform
from tinyaccel.data.transforms.values import Cutout, Normalize, Standardize

__all__ = [
    "Compose",
    "Cutout",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomVerticalFlip",
    "Standardize",
    "Transform",
    "augmentation",
]

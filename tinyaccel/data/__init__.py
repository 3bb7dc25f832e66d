"""Data sets and the loader, in NumPy on the host, whatever device trains on them.

>>> from tinyaccel import data
>>> train, test = data.digits()
>>> len(train), len(test), train.shape
(1257, 540, (1, 8, 8))
>>> x, y = next(iter(data.DataLoader(train, batch_size=64, shuffle=True, seed=0)))
>>> x.shape, x.dtype, y.dtype
((64, 1, 8, 8), dtype('float32'), dtype('int32'))
"""

from tinyaccel.data.arrays import arrays
from tinyaccel.data.cache import cache_folder
from tinyaccel.data.cifar10 import cifar10
from tinyaccel.data.dataset import ArrayDataset, Batch, Dataset, Splits, Subset
from tinyaccel.data.digits import digits
from tinyaccel.data.download import fetch
from tinyaccel.data.fashion_mnist import fashion_mnist
from tinyaccel.data.folder import image_folder
from tinyaccel.data.idx import read_idx
from tinyaccel.data.images import ImageFormat, read_image
from tinyaccel.data.loader import DataLoader
from tinyaccel.data.mnist import mnist
from tinyaccel.data.pictures import ImageDataset
from tinyaccel.data.registry import DATASETS, load
from tinyaccel.data.table import table
from tinyaccel.data.transforms import (
    Compose,
    Cutout,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomVerticalFlip,
    Standardize,
    Transform,
    augmentation,
)

__all__ = [
    "DATASETS",
    "ArrayDataset",
    "Batch",
    "Compose",
    "Cutout",
    "DataLoader",
    "Dataset",
    "ImageDataset",
    "ImageFormat",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomVerticalFlip",
    "Splits",
    "Standardize",
    "Subset",
    "Transform",
    "arrays",
    "augmentation",
    "cache_folder",
    "cifar10",
    "digits",
    "fashion_mnist",
    "fetch",
    "image_folder",
    "load",
    "mnist",
    "read_idx",
    "read_image",
    "table",
]

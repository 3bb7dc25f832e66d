"""Data sets and the loader, in NumPy on the host, whatever device trains on them.

>>> from tinyaccel import data
>>> train, test = data.digits()
>>> len(train), len(test), train.shape
(1257, 540, (1, 8, 8))
>>> x, y = next(iter(data.DataLoader(train, batch_size=64, shuffle=True, seed=0)))
>>> x.shape, x.dtype, y.dtype
((64, 1, 8, 8), dtype('float32'), dtype('int32'))
"""

from tinyaccel.data.cifar10 import cifar10
from tinyaccel.data.dataset import ArrayDataset, Splits
from tinyaccel.data.digits import digits
from tinyaccel.data.idx import read_idx
from tinyaccel.data.loader import DataLoader
from tinyaccel.data.mnist import mnist
from tinyaccel.data.registry import DATASETS, load

__all__ = [
    "DATASETS",
    "ArrayDataset",
    "DataLoader",
    "Splits",
    "cifar10",
    "digits",
    "load",
    "mnist",
    "read_idx",
]

"""Fashion-MNIST: small pictures of clothes, in the format of MNIST."""

from __future__ import annotations

from pathlib import Path

from tinyaccel.data.dataset import ArrayDataset, Splits
from tinyaccel.data.download import fetch_files
from tinyaccel.data.files import data_folder
from tinyaccel.data.mnist import idx_files, read_four

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
MEAN, STD = 0.2860, 0.3530  # of all training pixels, on [0, 1]

# The address that its authors name, and their repository; SHA-256 sums as torchvision has them, of
# the files whose MD5 sums the authors publish.
FILES = idx_files(
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)


def fashion_mnist(
    folder: str | Path | None = None, *, download: bool = True, progress: str = "auto"
) -> Splits[ArrayDataset, ArrayDataset]:
    """60,000 pictures of clothes to train on and 10,000 to test on, ten kinds.

    folder    has the four files of `mnist` under the same names; itself, or its folder
              `fashion-mnist` or `fashion_mnist`. Default: such a folder in the one that the
              environment variable TINYACCEL_DATA names; else the cache
    download  whether to fetch them into the cache (31 MB) if they are in none of these
    progress  how that is shown: "auto", "bar", "lines", "quiet"

    x: (N, 1, 28, 28), (pixels / 255 - 0.2860) / 0.3530 in a batch; y: (N,), 0 to 9. Raises
    `DataError` for files that are missing, truncated, corrupt, or don't belong together.

    H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning Algorithms", 2017, arXiv:1708.07747.
    """
    where = data_folder(
        "fashion_mnist", folder, "fashion-mnist/train-images-idx3-ubyte.gz",
        "fashion-mnist", "fashion_mnist", "FashionMNIST/raw",
        pattern="t*-idx?-ubyte*",
        fetch=(lambda to: fetch_files("fashion_mnist", FILES, to, progress)) if download else None,
        itself=False,  # the files there may be MNIST's, which have the same names
    )  # fmt: skip
    return read_four("fashion_mnist", where, CLASSES, MEAN, STD)

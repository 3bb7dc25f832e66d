"""PyTorch as a backend, through array-api-compat, which gives it the standard's names."""

import ml_dtypes
import numpy as np
import torch
from array_api_compat import torch as xp

from tinyaccel import Backend, array_api


def matmul(a, b, *, precision):
    """In float64: PyTorch adds up the products of a row term by term, and the error grows so."""
    if not a.dtype.is_floating_point:
        return xp.matmul(a, b)
    return xp.matmul(a.double(), b.double()).to(a.dtype)


def random_bits(state, *, shape):
    """Words of 32 bits in NumPy."""
    words = array_api.kernels(np)["random_bits"](state.numpy(), shape=shape)
    return torch.from_numpy(np.asarray(words))


class TorchBackend(Backend):
    name, xp = "torch", xp
    kernels = {"erf": torch.erf, "matmul": matmul, "random_bits": random_bits}

    def devices(self):
        return ["torch"]

    def upload(self, array, device):
        host = np.array(array, order="C")  # PyTorch has no negative strides
        if host.dtype == ml_dtypes.bfloat16:
            return torch.from_numpy(host.view(np.uint16)).view(torch.bfloat16)
        return torch.from_numpy(host)

    def download(self, array):
        if array.dtype == torch.bfloat16:
            return array.view(torch.uint16).numpy().view(ml_dtypes.bfloat16).copy()
        return array.numpy().copy()

    def wrap(self, kernel, name):
        """PyTorch keeps uint32 but hardly computes in it: that is done in int64, modulo 2**32."""

        def run(*arrays, **attrs):
            if all(a.dtype != torch.uint32 for a in arrays) or name in ("random_bits", "astype"):
                return kernel(*arrays, **attrs)
            wide = [a.to(torch.int64) if a.dtype == torch.uint32 else a for a in arrays]
            out = kernel(*wide, **attrs)
            return (out & 0xFFFFFFFF).to(torch.uint32) if out.dtype == torch.int64 else out

        return run

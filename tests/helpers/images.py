"""Real image files beside the repository, and small idx files of one's own."""

import gzip
import struct

import numpy as np
import pytest

from helpers import ROOT

SHARED = ROOT.parent / "shared" / "digits"


def shared_digits():
    """The folder of MNIST and part of EMNIST; skips where it is not there."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/digits")
    return SHARED


def idx_bytes(array, magic=None):
    """An idx file of unsigned bytes."""
    array = np.asarray(array, np.uint8)
    return struct.pack(f">{1 + array.ndim}I", magic or 0x0800 | array.ndim, *array.shape) + array.tobytes()


def write(path, data, packed=True):
    path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return path

"""Image data: idx files, what is known of the published ones, and how to get them."""

from nica_bench.images.catalogue import COLLECTIONS, ImageCollection, ImageFile
from nica_bench.images.download import fetch
from nica_bench.images.files import data_folder, locate, missing_message
from nica_bench.images.idx import read_idx
from nica_bench.images.loading import LabelledImages, as_rows, load
from nica_bench.images.verify import check_contents, check_file

__all__ = [
    "COLLECTIONS",
    "ImageCollection",
    "ImageFile",
    "LabelledImages",
    "as_rows",
    "check_contents",
    "check_file",
    "data_folder",
    "fetch",
    "load",
    "locate",
    "missing_message",
    "read_idx",
]

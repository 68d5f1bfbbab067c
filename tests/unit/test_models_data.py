from __future__ import annotations

import hashlib
import io
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import DownloadError, PrerequisiteError
from models.data import FULL, SUBSET, keras_cache_file, load, resolve_mnist
from tests.support.http_servers import file as file_answer
from tests.support.http_servers import serving
from tests.support.models.recipes import stored_mnist


def small_npz() -> bytes:
    """A file laid out as Keras's, with 3 + 2 images."""
    content = io.BytesIO()
    np.savez(
        content,
        x_train=np.arange(3 * 784).reshape(3, 28, 28).astype(np.uint8),
        y_train=np.array([1, 2, 3], np.uint8),
        x_test=np.zeros((2, 28, 28), np.uint8),
        y_test=np.array([4, 5], np.uint8),
    )
    return content.getvalue()


NPZ = small_npz()
SHA256 = hashlib.sha256(NPZ).hexdigest()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def closed_url() -> str:
    """An address where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/mnist.npz"


def test_offline_auto_is_the_subset_at_once(tmp_path: Path, closed_url: str) -> None:
    start = time.monotonic()
    assert resolve_mnist("auto", cache_file=tmp_path / "absent.npz", url=closed_url) == SUBSET
    # Not the seconds that an address without an answer gets.
    assert time.monotonic() - start < 2.5


def test_an_address_that_never_answers_costs_three_seconds(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mnist.npz"
        start = time.monotonic()
        assert resolve_mnist("auto", cache_file=tmp_path / "absent.npz", url=url) == SUBSET
        assert 2.5 < time.monotonic() - start < 20


def test_offline_full_is_refused_with_a_cure(tmp_path: Path, closed_url: str) -> None:
    file = tmp_path / "absent.npz"
    with pytest.raises(PrerequisiteError) as caught:
        resolve_mnist("full", cache_file=file, url=closed_url)
    assert str(file) in caught.value.cure
    assert closed_url in caught.value.what


def test_subset_asks_nobody(tmp_path: Path) -> None:
    with serving(file_answer(NPZ), "/mnist.npz") as server:
        assert resolve_mnist("subset", cache_file=tmp_path / "x", url=server.url) == SUBSET
        assert server.methods == []


@pytest.mark.parametrize("choice", ["auto", "full"])
def test_a_cached_file_is_used_offline(tmp_path: Path, closed_url: str, choice: str) -> None:
    file = tmp_path / "mnist.npz"
    file.write_bytes(NPZ)
    found = resolve_mnist(choice, cache_file=file, url=closed_url, sha256=SHA256)  # type: ignore[arg-type]
    assert found == FULL
    data = load(FULL, cache_file=file, url=closed_url, sha256=SHA256)
    assert data.x_train.shape == (3, 28, 28)
    assert data.x_train.dtype == np.uint8
    assert data.y_test.tolist() == [4, 5]
    assert data.y_test.dtype == np.int64


def test_a_reachable_address_means_full_and_one_download(tmp_path: Path) -> None:
    file = tmp_path / "datasets" / "mnist.npz"
    with serving(file_answer(NPZ), "/mnist.npz") as server:
        assert resolve_mnist("auto", cache_file=file, url=server.url, sha256=SHA256) == FULL
        assert not file.exists()
        first = load(FULL, cache_file=file, url=server.url, sha256=SHA256)
        second = load(FULL, cache_file=file, url=server.url, sha256=SHA256)
        assert server.methods == ["HEAD", "GET"]
    assert file.read_bytes() == NPZ
    assert first.sha256 == second.sha256


def test_a_damaged_cached_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "mnist.npz"
    file.write_bytes(NPZ[:-10])
    with serving(file_answer(NPZ), "/mnist.npz") as server:
        load(FULL, cache_file=file, url=server.url, sha256=SHA256)
    assert file.read_bytes() == NPZ


def test_a_damaged_cached_file_is_not_used_offline(tmp_path: Path, closed_url: str) -> None:
    file = tmp_path / "mnist.npz"
    file.write_bytes(NPZ[:-10])
    assert resolve_mnist("auto", cache_file=file, url=closed_url, sha256=SHA256) == SUBSET
    with pytest.raises(PrerequisiteError, match="damaged"):
        resolve_mnist("full", cache_file=file, url=closed_url, sha256=SHA256)


def test_a_login_page_instead_of_the_file_is_refused_and_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "mnist.npz"
    with (
        serving(file_answer(b"<html>please log in</html>")) as server,
        pytest.raises(DownloadError, match="expected " + SHA256),
    ):
        load(FULL, cache_file=file, url=server.url, sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_fails_says_where_from(tmp_path: Path, closed_url: str) -> None:
    with pytest.raises(DownloadError, match=closed_url):
        load(FULL, cache_file=tmp_path / "mnist.npz", url=closed_url, sha256=SHA256)


def test_keras_home_moves_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert keras_cache_file() == tmp_path / "datasets" / "mnist.npz"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert keras_cache_file() == tmp_path / "home" / ".keras" / "datasets" / "mnist.npz"


def test_the_subset_is_split_evenly_and_without_overlap() -> None:
    data = load(SUBSET)
    assert data.x_train.shape == (4000, 28, 28)
    assert data.x_test.shape == (1000, 28, 28)
    assert np.bincount(data.y_train).tolist() == [400] * 10
    assert np.bincount(data.y_test).tolist() == [100] * 10
    # The validation split is the tail: it has to be balanced as well.
    assert np.bincount(data.y_train[-400:]).tolist() == [40] * 10
    assert data.x_train.max() == 255
    train = {image.tobytes() for image in data.x_train}
    assert not any(image.tobytes() in train for image in data.x_test)


def test_the_written_test_set_is_what_the_float_model_takes(tmp_path: Path) -> None:
    stored, again = stored_mnist(tmp_path / "a"), stored_mnist(tmp_path / "b")
    for split in stored.files:
        assert stored.files[split].read_bytes() == again.files[split].read_bytes()
    data = load(SUBSET)
    with np.load(stored.files["test"]) as arrays:
        assert arrays["inputs"].dtype == np.float32
        assert arrays["inputs"].max() == 1.0
        np.testing.assert_allclose(arrays["inputs"] * 255, data.x_test, atol=1e-4)
        assert arrays["labels"].dtype == np.int64
        np.testing.assert_array_equal(arrays["labels"], data.y_test)
        # The bytes that NumPy writes, by which records know the data.
        np.savez(tmp_path / "c.npz", inputs=arrays["inputs"], labels=arrays["labels"])
    assert stored.files["test"].read_bytes() == (tmp_path / "c.npz").read_bytes()

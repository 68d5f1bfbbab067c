"""The remote cache: what it gives is used if it is intact to the byte, and anything else is not."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from bench.cache import (
    ArtefactCache,
    CacheKey,
    Manifest,
    RemoteCache,
    default_remote,
    open_store,
)
from bench.cache.manifest import FileRecord, parse_manifest
from bench.cache.remote.pushing import push
from bench.cache.remote.store import Patience
from bench.core.errors import ConfigError
from tests.support.http_servers import Answer, Store, reply, serving, storing

pytest.importorskip("fsspec", reason="the extra `remote` is not installed")
pytest.importorskip("aiohttp", reason="the extra `remote` is not installed")

KEY = CacheKey("compiled", {"model": "ab" * 32, "vela": "5.2.0"})
CONTENT = {"model.tflite": b"weights" * 1000, "logs/vela.txt": b"fine", "empty": b""}
#: For tests in which a store says nothing.
HASTY = Patience(stall_s=0.4, file_s=1.5)


@pytest.fixture
def store() -> Iterator[Store]:
    with storing() as server:
        yield server


@pytest.fixture
def filled(store: Store, tmp_path: Path) -> Store:
    """A store with the product of `KEY`, uploaded by another machine."""
    there = ArtefactCache(tmp_path / "there")
    there.get_or_build(KEY, build)
    pushed = push(there.intact(), open_store(store.url), without=(), heard=lambda entry: None)
    assert (pushed.sent, pushed.there) == (1, 0)
    return store


def build(directory: Path) -> None:
    for name, content in CONTENT.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def writes(text: str, directory: Path) -> None:
    (directory / "x").write_text(text, encoding="utf-8")


def refuses(directory: Path) -> None:
    raise AssertionError("built although the remote cache has it")


def cache_with(directory: Path, url: str, patience: Patience | None = None) -> ArtefactCache:
    store = open_store(url, patience)
    return ArtefactCache(directory, remote=RemoteCache(store, store.name))


def files_of(cache: ArtefactCache, key: CacheKey = KEY) -> dict[str, bytes]:
    entry = cache.find(key)
    assert entry is not None
    return {name: entry.file(name).read_bytes() for name in entry.names}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_what_another_machine_pushed_is_not_made_again(filled: Store, tmp_path: Path) -> None:
    here = cache_with(tmp_path / "here", filled.url)
    entry = here.get_or_build(KEY, refuses)
    assert not entry.built
    assert files_of(here) == CONTENT
    assert here.verify() == []
    there = ArtefactCache(tmp_path / "there").find(KEY)
    assert there is not None
    assert entry.manifest == there.manifest
    # From now on the store is not asked.
    asked = len(filled.requests)
    here.get_or_build(KEY, refuses)
    assert len(filled.requests) == asked


def test_push_sends_what_is_not_there_and_the_manifest_last(store: Store, tmp_path: Path) -> None:
    there = ArtefactCache(tmp_path / "there")
    private = CacheKey("input", {"name": "mine"})
    for key in (KEY, private):
        there.get_or_build(key, build)
    remote = open_store(store.url)
    sent: list[CacheKey] = []
    for expected in ((1, 0), (0, 1)):
        done = push(
            there.intact(), remote, without={"input"}, heard=lambda entry: sent.append(entry.key)
        )
        assert (done.sent, done.there) == expected
    assert sent == [KEY]
    puts = [request for request in store.requests if request.startswith("PUT")]
    assert len(puts) == len(CONTENT) + 1
    assert KEY.digest in puts[-1]
    assert not any(private.digest in path for path in store.kept)


def test_two_machines_may_push_one_product_made_differently(store: Store, tmp_path: Path) -> None:
    """Trainings differ by machine; whoever comes last, the entry stays whole."""
    for name, text in (("first", "a"), ("second", "b")):
        cache = ArtefactCache(tmp_path / name)
        cache.get_or_build(KEY, partial(writes, text))
        entry = cache.find(KEY)
        assert entry is not None
        files = {record: entry.file(record.path) for record in entry.manifest.files}
        open_store(store.url).upload(KEY, entry.manifest.to_json(), files)
    here = cache_with(tmp_path / "here", store.url)
    assert here.get_or_build(KEY, refuses).file("x").read_text("utf-8") == "b"


def test_a_product_that_is_not_there_is_made_and_asked_for_once(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here = cache_with(tmp_path / "here", store.url)
    assert here.fetch(KEY) is None
    assert here.fetch(KEY) is None
    assert here.get_or_build(KEY, build).built
    assert len(store.requests) == 1
    assert warnings(caplog) == []


def manifest_path(store: Store) -> str:
    return next(path for path in store.kept if path.endswith(".json"))


def changed(change: Callable[[Manifest], Manifest]) -> Callable[[Store], None]:
    """Damage: a manifest that is in order, and was never made by a build."""

    def damage(store: Store) -> None:
        path = manifest_path(store)
        store.kept[path] = change(parse_manifest(store.kept[path])).to_json()

    return damage


def with_files(*names: str) -> Callable[[Store], None]:
    def change(manifest: Manifest) -> Manifest:
        record = manifest.files[0]
        # As a foreign program would write it: without the checks of ours.
        files = tuple(record.model_copy(update={"path": name}) for name in names)
        return manifest.model_copy(update={"files": files})

    return changed(change)


def of_size(size: int) -> Callable[[Store], None]:
    def change(manifest: Manifest) -> Manifest:
        files = [FileRecord(path="x", size=size, sha256=manifest.files[0].sha256)]
        return manifest.model_copy(update={"files": tuple(files)})

    return changed(change)


def other_key(store: Store) -> None:
    """A manifest in order, with its files, of another product."""
    path = manifest_path(store)
    manifest = parse_manifest(store.kept[path])
    other = CacheKey("compiled", {"model": "cd" * 32})
    store.kept[path] = manifest.model_copy(
        update={"digest": other.digest, "parameters": other.parameters}
    ).to_json()


def each_file(change: Callable[[bytes], bytes | None]) -> Callable[[Store], None]:
    def damage(store: Store) -> None:
        for path in [path for path in store.kept if "/files/" in path]:
            content = change(store.kept.pop(path))
            if content is not None:
                store.kept[path] = content

    return damage


def text_of_manifest(change: Callable[[bytes], bytes]) -> Callable[[Store], None]:
    def damage(store: Store) -> None:
        path = manifest_path(store)
        store.kept[path] = change(store.kept[path])

    return damage


def edited(content: bytes) -> bytes:
    document = json.loads(content)
    document["manifest"]["host"] = "elsewhere"
    return json.dumps(document, indent=1).encode() + b"\n"


DAMAGES = {
    "a file is short": each_file(lambda content: content[:-1]),
    "a file is long": each_file(lambda content: content + b"\0" * 10_000_000),
    "a file has other bytes": each_file(lambda content: content[:-1] + b"?" if content else b""),
    "a file is missing": each_file(lambda content: None),
    "the manifest is a login page": text_of_manifest(lambda content: b"<html>log in</html>"),
    "the manifest is empty": text_of_manifest(lambda content: b""),
    "the manifest is cut": text_of_manifest(lambda content: content[: len(content) // 2]),
    "the manifest was edited": text_of_manifest(edited),
    "the manifest nests": text_of_manifest(lambda content: b"[" * 1_000_000),
    "the manifest is huge": text_of_manifest(lambda content: content + b" " * (5 << 20)),
    "another product": other_key,
    "a path out of the entry": with_files("../../../../../../outside"),
    "an absolute path": with_files("/tmp/outside-of-the-cache"),
    "a file twice": with_files("x", "x"),
    "a file below a file": with_files("x", "x/y"),
    "no file": with_files(),
    "a name that ends early": with_files("x\0y"),
    "a long name": with_files("x" * 300),
    "a size beyond every disk": of_size(1 << 60),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_store_costs_the_build_and_one_line(
    filled: Store,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Store], None],
) -> None:
    damage(filled)
    before = sorted(str(p) for p in tmp_path.rglob("*") if "here" not in p.parts)
    here = cache_with(tmp_path / "here", filled.url)
    assert here.fetch(KEY) is None
    assert here.get_or_build(KEY, build).built
    assert files_of(here) == CONTENT
    assert here.verify() == []
    assert len(warnings(caplog)) == 1, warnings(caplog)
    assert "has a damaged product, which is made here" in caplog.text
    # Nothing was written anywhere else.
    assert sorted(str(p) for p in tmp_path.rglob("*") if "here" not in p.parts) == before
    assert not Path("/tmp/outside-of-the-cache").exists()


def silent(connection: socket.socket) -> None:
    time.sleep(3)


def drips(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.1)


def breaks_off(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc")


UNREACHABLE: dict[str, Answer] = {
    "silent": silent,
    "a byte now and then": drips,
    "breaks off": breaks_off,
    "no HTTP": lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n"),
    "broken": reply(b"", "Content-Length: 0", status="503 Service Unavailable"),
    "forbidden": reply(b"no", "Content-Length: 2", status="403 Forbidden"),
}


@pytest.mark.parametrize("answer", UNREACHABLE.values(), ids=UNREACHABLE)
def test_a_store_that_does_not_answer_is_asked_once_for_all_products(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    with serving(answer, "/secret-name?token=hidden") as server:
        here = cache_with(tmp_path / "here", server.url, HASTY)
        for number in range(5):
            assert here.get_or_build(CacheKey("compiled", {"n": number}), build).built
        assert len(server.requests) == 1
    assert len(warnings(caplog)) == 1
    assert "does not answer, so products are made here" in caplog.text
    assert "hidden" not in caplog.text


def test_a_store_that_is_off_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    here = cache_with(tmp_path / "here", f"http://127.0.0.1:{port}/cache")
    for number in range(5):
        assert here.get_or_build(CacheKey("compiled", {"n": number}), build).built
    assert len(warnings(caplog)) == 1


def test_a_redirect_is_not_followed(filled: Store, tmp_path: Path) -> None:
    """It could lead to where the connection can be read and changed."""
    answer = reply(b"", f"Location: {filled.url}", "Content-Length: 0", status="302 Found")
    asked = len(filled.requests)
    with serving(answer, "/cache") as server:
        assert cache_with(tmp_path / "here", server.url).fetch(KEY) is None
    assert len(filled.requests) == asked


def test_a_store_on_a_shared_disk_works_the_same(tmp_path: Path) -> None:
    there = ArtefactCache(tmp_path / "there")
    there.get_or_build(KEY, build)
    url = (tmp_path / "a store").as_uri()
    push(there.intact(), open_store(url), without=(), heard=lambda entry: None)
    here = cache_with(tmp_path / "here", url)
    here.get_or_build(KEY, refuses)
    assert files_of(here) == CONTENT


@pytest.mark.parametrize(
    "address", ["cache.example", "http://cache.example/x", "nonsense://x", "https://", "/var/cache"]
)
def test_a_wrong_address_is_one_message(address: str) -> None:
    with pytest.raises(ConfigError, match="remote cache"):
        open_store(address)


def test_secrets_of_an_address_are_not_shown() -> None:
    store = open_store("https://user:password@cache.example/x?token=hidden")
    assert store.name == "https://cache.example/x?***"


def test_the_bench_is_told_where_it_is_by_the_environment() -> None:
    assert default_remote({}) == ""
    assert default_remote({"BENCH_CACHE_REMOTE": "s3://bucket/x"}) == "s3://bucket/x"

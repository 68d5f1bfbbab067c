"""Data sets: archives that lie about what they hold, hold too much, or hold something else."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.fuzz.mutate_bytes import mutate_bytes

__all__ = ["MEMBER", "mutate_archive", "pack"]

Random = np.random.Generator
Arrays = dict[str, Any]

#: What `numpy.savez` names the member of the array `inputs`.
MEMBER = "inputs.npy"
#: What bombs take when they are opened: more than any data set may, and more than any mutant that
#: is refused for another reason has a right to.
_BOMB_BYTES = 5 << 30
_WRONG_BYTES = 700 << 20
_SHAPES = ((), (0,), (1,), (1 << 31,), (1 << 62,), (1 << 20, 1 << 20), (-1, 40), (1,) * 33)
_DTYPES = (
    *("f2", "f4", "f8", ">f4", "i1", "u1", "i8", "c16", "?", "U3", "S5", "M8[s]", "m8", "V4"),
    "f4,i4",
)


def pack(arrays: Arrays, *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """`arrays` as `numpy.savez_compressed` writes them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=True)
            archive.writestr(f"{name}.npy", member.getvalue())
    return stream.getvalue()


def mutate_archive(arrays: Arrays, random: Random) -> tuple[str, bytes]:
    """The bytes of a data set of about these `arrays`; and what is wrong with it."""
    mutation = _MUTATIONS[int(random.integers(len(_MUTATIONS)))]
    what, data = mutation(dict(arrays), random)
    return f"{mutation.__name__.lstrip('_')} {what}".rstrip(), data


def _one(random: Random, items: Any) -> Any:
    return items[int(random.integers(len(items)))]


def _values(arrays: Arrays, random: Random) -> tuple[str, bytes]:
    """Sound but for what the numbers are."""
    name = str(_one(random, sorted(arrays)))
    array = np.array(arrays[name], np.float64)
    odd = float(_one(random, (np.nan, np.inf, -np.inf, 1e308, -1e30, 300, 1e-310)))
    array.reshape(-1)[int(random.integers(array.size))] = odd
    arrays[name] = array.astype(np.float32) if random.random() < 0.5 else array
    return f"{odd} in {name}", pack(arrays)


def _dtype(arrays: Arrays, random: Random) -> tuple[str, bytes]:
    name, dtype = str(_one(random, sorted(arrays))), str(_one(random, _DTYPES))
    arrays[name] = np.zeros(np.shape(arrays[name]), dtype)
    return f"{name} {dtype}", pack(arrays)


def _shape(arrays: Arrays, random: Random) -> tuple[str, bytes]:
    name, array = str(_one(random, sorted(arrays))), None
    array = np.asarray(arrays[name])
    way = int(random.integers(5))
    arrays[name] = (*(array[:0], array[:-1], array[..., :0], array[0], array[np.newaxis]),)[way]
    return f"{name} {np.shape(arrays[name])}", pack(arrays)


def _names(arrays: Arrays, random: Random) -> tuple[str, bytes]:
    name = str(_one(random, sorted(arrays)))
    odd = str(_one(random, ("input", "inputs_0", "inputs_1", "labels", "", "a/b", "../x", "a\nb")))
    arrays[odd] = arrays.pop(name) if random.random() < 0.5 else arrays[name]
    return f"{name} as {odd!r}", pack(arrays)


def _objects(arrays: Arrays, random: Random) -> tuple[str, bytes]:
    name = str(_one(random, sorted(arrays)))
    arrays[name] = np.array([{"a": 1}, None], object)
    return name, pack(arrays)


def _header(arrays: Arrays, random: Random) -> tuple[str, bytes]:
    """An array whose header declares a shape that its bytes are not enough for."""
    shape, dtype = _one(random, _SHAPES), str(_one(random, _DTYPES))
    text = str({"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape})
    if random.random() < 0.3:
        text = str(_one(random, ("{", "()", "[" * 500, "{'descr': 'O'}", "__import__('os')")))
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + b"\x00" * 64
    return f"{text[:60]}", _zipped(MEMBER, content)


def _version(arrays: Arrays, random: Random) -> tuple[str, bytes]:
    """A header of another format, or as long as it pleases."""
    major, size = int(random.integers(0, 5)), int(_one(random, (0, 1 << 16, (1 << 32) - 1)))
    content = b"\x93NUMPY" + bytes([major, 0]) + struct.pack("<I", size) + b"\x00" * 64
    return f"{major}, {size} bytes", _zipped(MEMBER, content)


def _bomb(arrays: Arrays, random: Random) -> tuple[str, bytes]:
    """Well-formed, small, and huge when it is opened: rows as the model takes them, or not."""
    fits = random.random() < 0.5
    width = np.shape(next(iter(arrays.values())))[1:] if fits else (1 << 10,)
    rows = (_BOMB_BYTES if fits else _WRONG_BYTES) // int(np.prod(width))
    header = io.BytesIO()
    description = {"descr": "|i1", "fortran_order": False, "shape": (rows, *width)}
    np.lib.format.write_array_header_1_0(header, description)
    name = str(_one(random, (MEMBER, "labels.npy", "other.npy")))
    rest = {k: v for k, v in arrays.items() if f"{k}.npy" != name}
    size = rows * int(np.prod(width))
    return f"{name} of {size >> 20} MiB", _zipped(name, header.getvalue(), size, rest)


def _container(arrays: Arrays, random: Random) -> tuple[str, bytes]:
    """No archive of arrays at all."""
    kind = str(_one(random, ("text", "npy", "pickle", "empty", "no archive", "nested")))
    single = io.BytesIO()
    np.save(single, arrays["labels"])
    return kind, {
        "text": b"1,2,3\n",
        "npy": single.getvalue(),
        "pickle": pickle.dumps({"inputs": [1, 2, 3]}),
        "empty": b"PK\x05\x06" + bytes(18),
        "no archive": b"PK\x03\x04" + bytes(60),
        "nested": _zipped(MEMBER, pack(arrays)),
    }[kind]


def _bytes(arrays: Arrays, random: Random) -> tuple[str, bytes]:
    compression = zipfile.ZIP_STORED if random.random() < 0.5 else zipfile.ZIP_DEFLATED
    data = pack(arrays, compression=compression)
    return mutate_bytes(data, random, resize=bool(random.random() < 0.5))


def _directory(arrays: Arrays, random: Random) -> tuple[str, bytes]:
    """The bytes by which an archive says what it holds: methods, flags, sizes, offsets."""
    data = bytearray(pack(arrays))
    start = data.index(b"PK\x01\x02")
    what, tail = mutate_bytes(bytes(data[start:]), random, resize=False)
    return what, bytes(data[:start]) + tail


def _zipped(name: str, content: bytes, zeros: int = 0, others: Arrays | None = None) -> bytes:
    """An archive of one member, `content` and then `zeros` zero bytes, and of `others`."""
    stream = io.BytesIO(pack(others or {}))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)
    whole, rest = divmod(zeros, 1 << 20)
    # After a full flush the same megabyte packs to the same bytes, however often it comes.
    megabyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    body += megabyte * whole + packer.compress(bytes(rest)) + packer.flush()
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        if not zeros:
            archive.writestr(name, content)
            return _closed(archive, stream)
        # Python's writer would have to see every byte; the sum at the end is what nobody reaches.
        info = zipfile.ZipInfo(name)
        info.compress_type, info.CRC = zipfile.ZIP_DEFLATED, 0
        info.file_size, info.compress_size = len(content) + zeros, len(body)
        info.header_offset = archive.start_dir
        stream.seek(archive.start_dir)
        stream.write(info.FileHeader() + body)
        archive.start_dir = stream.tell()
        archive.filelist.append(info)
        archive.NameToInfo[name] = info
        archive._didModify = True  # type: ignore[attr-defined]
    return stream.getvalue()


def _closed(archive: zipfile.ZipFile, stream: io.BytesIO) -> bytes:
    archive.close()
    return stream.getvalue()


_MUTATIONS: tuple[Callable[[Arrays, Random], tuple[str, bytes]], ...] = (
    *(_values, _values, _dtype, _dtype, _shape, _shape, _names, _objects, _header, _header),
    *(_version, _bomb, _container, _bytes, _bytes, _bytes, _directory, _directory),
)

"""No fact of the hardware stands twice: what `targets.ethos_u55` holds, no other module does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sources.fact_copies import HOME, Copy, copies, facts

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path
    for package in ("bench", "models", "targets")
    for path in (ROOT / package).rglob("*.py")
    if not path.is_relative_to(ROOT / Path(*HOME.split(".")))
)

#: (Module, name) -> why it is no copy, though it looks like one.
NO_COPIES = {
    ("targets/artefact/driver_actions.py", "_HEADER_WORDS"): "of a COP2 payload, which Vela's "
    "format says; not the size of a word",
    ("targets/artefact/tflite.py", "_INTERFACE_ALIGNMENT"): "regor's choice for inputs and outputs "
    "in regions of their own; the NPU reads them anywhere",
}


def found() -> list[tuple[str, Copy]]:
    """Everything that looks like a copy, with its module."""
    known = facts()
    return [
        (path.relative_to(ROOT).as_posix(), copy)
        for path in MODULES
        for copy in copies(path.read_text(encoding="utf-8"), known)
    ]


def test_no_fact_of_the_hardware_stands_twice() -> None:
    looks = found()
    wrong = [f"{module}, {copy}" for module, copy in looks if (module, copy.name) not in NO_COPIES]
    assert not wrong, "\n".join(
        [*wrong, f"import it from {HOME}, or say in NO_COPIES why it is something else"]
    )
    unused = NO_COPIES.keys() - {(module, copy.name) for module, copy in looks}
    assert not unused, f"exceptions that nothing needs any more: {unused}"


def test_the_product_and_its_facts_were_read() -> None:
    assert len(MODULES) > 200
    assert {"BEAT_BYTES", "REGIONS", "SUB_KERNEL", "BRICK_CHANNELS", "WORD_BYTES"} <= facts().keys()


@pytest.mark.parametrize(
    ("source", "fact"),
    [
        # What stood in three and four places once.
        ("_SUB_KERNEL = 8", "SUB_KERNEL"),
        ("SUB_KERNEL_MAX = 8", "SUB_KERNEL"),
        ("_REGIONS = 8", "REGIONS"),
        ("WORD_BYTES = 4", "WORD_BYTES"),
        ("BEAT_BYTES: int = 8", "BEAT_BYTES"),
        ("_BRICK = 16", "BRICK_CHANNELS"),
        ("_BRICK_ALIGNMENT = 16", "ALIGNMENT"),
        ("LUT_BYTES = 2048", "LUT_BYTES"),
        ("_LUT = 2 << 10", "LUT_BYTES"),
        ("_IFM_MICRO_BLOCK = 8", "IFM_MICRO_BLOCK_DEPTH"),
        ("BYTES_PER_SCALE = 10", "SCALE_BYTES"),
        ("_MACS = (32, 64, 128, 256)", "MAC_COUNTS"),
        ("def check(macs):\n    return macs in [32, 64, 128, 256]", "MAC_COUNTS"),
        ("ALLOWED = (0, 32, 64, 128, 256)", "MAC_COUNTS"),
        ("class Settings:\n    macs: Literal[32, 64, 128, 256] = 128", "MAC_COUNTS"),
        ("class Port:\n    burst: Literal[64, 128, 256] = 64", "BURSTS"),
        ("def beats(word):\n    return {64: 0, 128: 1, 256: 2}[word]", "BURSTS"),
        ("_SHRAM = {32: 16 << 10, 64: 16 << 10, 128: 24 << 10, 256: 48 << 10}", "MAC_COUNTS"),
        ("_SHRAM_KIB = {5: 16, 6: 16, 7: 24, 8: 48}", "CONFIG_WORDS"),
        ("_ID = 0x1006_6001", "IDENTITY"),
        ("_EVENT_LAST = 1023", "EVENT_NUMBER_MAX"),
        ("_NPU_ACTIVE = 35", "EVENT_NUMBERS"),
        ('NAMES = {"NPU_ACTIVE": 35}', "EVENT_NUMBERS"),
        ('ROWS = [("RD_TRANS_ACCEPTED", 128, 0)]', "EVENT_NUMBERS"),
        ('def rows():\n    return Event("MAC_ACTIVE", 48)', "EVENT_NUMBERS"),
        ("_BANK, _OTHER = 1024, 1", "BANK_BYTES"),
        (
            "def rows(n, k):\n    return (n.h - 1) * k.stride_y + (k.h - 1) * k.dilation_y + 1",
            "window_extent",
        ),
    ],
)
def test_a_planted_copy_is_found(source: str, fact: str) -> None:
    """Planted at the end of a module of the product, which holds none."""
    innocent = (ROOT / "targets" / "protocol.py").read_text(encoding="utf-8")
    assert {copy.fact for copy in copies(f"{innocent}\n\n{source}\n", facts())} == {fact}


@pytest.mark.parametrize(
    "source",
    [
        "_BALANCE = 8",
        "_CHUNK = 1 << 16",
        "_RETRIES = 4",
        "from targets.ethos_u55.ports import REGIONS\n_LAST = REGIONS - 1",
        "from targets.ethos_u55.accelerators import MAC_COUNTS\n_MACS = (0, *MAC_COUNTS)",
        "SIZES = (16, 32, 64, 128, 256, 512, 1024)",
        "_OUTSTANDING = {'NPU_ACTIVE': 'cycles'}",
    ],
)
def test_what_only_looks_a_little_like_it_is_let_be(source: str) -> None:
    assert not list(copies(source, facts()))

"""Finding a board: a tree like that of a machine with one (or two) attached."""

from __future__ import annotations

from pathlib import Path

import pytest

from targets.mps3.discovery import find_board, find_volume, serial_ports
from targets.mps3.errors import BoardUnavailableError
from targets.settings.mps3 import Mps3Settings


def attach(root: Path, serial: str, first: int, product: str = "6011") -> None:
    """An FT4232H with its four interfaces, as Linux shows it."""
    device = root / f"sys/devices/pci/usb1/1-{first}"
    device.mkdir(parents=True)
    for name, text in (("idVendor", "0403"), ("idProduct", product), ("serial", serial)):
        (device / name).write_text(f"{text}\n", encoding="utf-8")
    by_id = root / "dev/serial/by-id"
    by_id.mkdir(parents=True, exist_ok=True)
    (root / "sys/class/tty").mkdir(parents=True, exist_ok=True)
    for interface in range(4):
        place = device / f"1-{first}:1.{interface}"
        tty = place / f"ttyUSB{first + interface}/tty/ttyUSB{first + interface}"
        tty.mkdir(parents=True)
        (place / "bInterfaceNumber").write_text(f"{interface:02x}\n", encoding="utf-8")
        (tty / "device").symlink_to(place)
        (root / f"sys/class/tty/ttyUSB{first + interface}").symlink_to(tty)
        node = root / f"dev/ttyUSB{first + interface}"
        node.write_text("", encoding="utf-8")
        (by_id / f"usb-Arm_MPS3_{serial}-if{interface:02}-port0").symlink_to(node)


def mount(root: Path, label: str, place: str, device: str = "sdb1") -> None:
    (root / "proc").mkdir(exist_ok=True)
    (root / "dev/disk/by-label").mkdir(parents=True, exist_ok=True)
    (root / "dev" / device).write_text("", encoding="utf-8")
    (root / "dev/disk/by-label" / label.replace(" ", "\\x20")).symlink_to(root / "dev" / device)
    with (root / "proc/mounts").open("a", encoding="utf-8") as mounts:
        escaped = place.replace(" ", "\\040")
        mounts.write(f"{root / 'dev' / device} {escaped} vfat rw 0 0\n")


def test_the_only_board_is_found_by_its_ids(tmp_path: Path) -> None:
    attach(tmp_path, "A1", 0)
    attach(tmp_path, "B2", 8, product="6001")
    mount(tmp_path, "V2M-MPS3", "/media/me/V2M-MPS3")
    found = find_board(Mps3Settings(), tmp_path)
    by_id = tmp_path / "dev/serial/by-id"
    assert found.console == str(by_id / "usb-Arm_MPS3_A1-if00-port0")
    assert found.uart == str(by_id / "usb-Arm_MPS3_A1-if01-port0")
    assert found.volume == Path("/media/me/V2M-MPS3")
    assert [port.interface for port in serial_ports(tmp_path)] == [0, 1, 2, 3]


def test_of_two_boards_one_must_be_chosen(tmp_path: Path) -> None:
    attach(tmp_path, "A1", 0)
    attach(tmp_path, "B2", 8)
    with pytest.raises(BoardUnavailableError, match="several boards are attached: A1, B2"):
        find_board(Mps3Settings(), tmp_path)
    found = find_board(Mps3Settings(serial_number="B2"), tmp_path)
    assert found.console.endswith("usb-Arm_MPS3_B2-if00-port0")


def test_no_board_is_said_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BoardUnavailableError, match="no USB device 0403:6011"):
        find_board(Mps3Settings(), tmp_path)
    attach(tmp_path, "A1", 0)
    with pytest.raises(BoardUnavailableError, match="no MPS3 board with serial number C3"):
        find_board(Mps3Settings(serial_number="C3"), tmp_path)


@pytest.mark.parametrize("label", ["V2M-MPS3", "V2MMPS3"])
def test_the_card_is_found_by_its_label_and_never_the_debug_drive(
    tmp_path: Path, label: str
) -> None:
    mount(tmp_path, "MBED MPS3", "/media/me/MBED MPS3", "sdc1")
    assert find_volume(tmp_path) is None
    mount(tmp_path, label, "/media/me/the card")
    assert find_volume(tmp_path) == Path("/media/me/the card")


def test_two_cards_are_not_guessed_between(tmp_path: Path) -> None:
    mount(tmp_path, "V2M-MPS3", "/media/a/V2M-MPS3")
    mount(tmp_path, "V2MMPS3", "/media/b/V2M-MPS3", "sdd1")
    with pytest.raises(BoardUnavailableError, match="several SD cards are mounted"):
        find_volume(tmp_path)


def test_explicit_ports_are_taken_as_they_are(tmp_path: Path) -> None:
    settings = Mps3Settings(console="/dev/x", uart="/dev/y", volume=Path("/z"))
    found = find_board(settings, tmp_path)
    assert (found.console, found.uart, found.volume) == ("/dev/x", "/dev/y", Path("/z"))
    with pytest.raises(ValueError, match="give all of console, uart and volume"):
        Mps3Settings(console="/dev/x")

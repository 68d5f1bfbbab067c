"""`docs/architecture.md`: its picture and its list of packages are those of the sources."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.figures.layers import (
    PAGE,
    PICTURE,
    House,
    draw,
    listed,
    package_table,
    read_house,
)

ROOT = Path(__file__).resolve().parents[2]
CURE = "run: python docs/figures/layers.py"


@pytest.fixture(scope="module")
def house() -> House:
    return read_house(ROOT)


def dots(picture: str) -> int:
    tree = ElementTree.fromstring(picture)
    return sum(each.get("class") == "dot" for each in tree.iter())


def test_the_picture_shows_the_imports_of_today(house: House) -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw(house), CURE


def test_the_page_lists_the_packages_of_today(house: House) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert listed(page, package_table(house, ROOT)) == page, CURE


def test_each_import_is_a_dot(house: House) -> None:
    assert dots(draw(house)) == len(house.imports) + len(house.tools)
    roof, ground = house.packages[0], house.packages[-1]
    assert (roof, "TensorFlow") not in house.tools
    more = replace(house, tools=house.tools | {(roof, "TensorFlow")})
    less = replace(house, imports=house.imports - {(roof, ground)})
    assert dots(draw(more)) == dots(draw(house)) + 1
    assert dots(draw(less)) == dots(draw(house)) - 1


def test_the_picture_is_told_in_words(house: House) -> None:
    told = ElementTree.fromstring(draw(house)).findtext("{http://www.w3.org/2000/svg}desc") or ""
    assert "models imports bench.tflite, bench.core, TensorFlow." in told


def test_a_table_needs_its_place() -> None:
    with pytest.raises(ValueError, match="one pair of markers"):
        listed("a page without markers", "| a table |")


@pytest.fixture
def attic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of three packages, of which the layers name two."""
    package = tmp_path / "attic"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "roof.py").write_text("from attic import ground\nimport pytest\n", encoding="utf-8")
    (package / "ground.py").write_text("", encoding="utf-8")
    (package / "shed.py").write_text("", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.importlinter]\nroot_packages = ["attic"]\n'
        '[[tool.importlinter.contracts]]\nname = "a"\ntype = "layers"\n'
        'layers = ["attic.roof", "attic.ground"]\n',
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_imports_are_read_from_the_sources(attic: Path) -> None:
    (attic / "attic" / "shed.py").unlink()
    house = read_house(attic)
    assert house.layers == (("attic.roof",), ("attic.ground",))
    assert house.imports == {("attic.roof", "attic.ground")}
    assert house.tools == {("attic.roof", "pytest")}


def test_a_package_in_no_layer_is_an_error(attic: Path) -> None:
    with pytest.raises(ValueError, match=r"attic\.shed is in no layer"):
        read_house(attic)

"""Draw the packages, their layers and their imports as an SVG, and list them in architecture.md.

    python docs/figures/layers.py         # writes docs/figures/layers.svg, docs/architecture.md

The layers are those of `pyproject.toml`, which import-linter enforces; the imports are read from
the sources. One row per package, roof first: a dot says that the package of the row imports the
package of the column. The file carries both a light and a dark palette and follows the reader's
setting. The same sources give the same bytes.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import grimp

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["PAGE", "PICTURE", "House", "draw", "listed", "package_table", "read_house"]

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURE = Path(__file__).with_name("layers.svg")
PAGE = ROOT / "docs" / "architecture.md"

#: Tools that few packages may touch, and the modules by which they are imported.
TOOLS = {
    "pytest": ("_pytest", "pytest", "xdist"),
    "typer": ("typer",),
    "TensorFlow": ("keras", "tensorflow", "tensorflow_model_optimization", "tf_keras"),
    "TFLite-Micro": ("tflite_micro",),
    "LiteRT": ("ai_edge_litert",),
    "Unicorn": ("unicorn",),
    "pyserial": ("serial",),
    "labgrid": ("labgrid",),
}

#: Class of a package's colour, by its first name.
CLASSES = {"bench": "a", "models": "b", "targets": "c"}

STYLE = """
  .bg { fill: #ffffff } .ink { fill: #1b2430 } .soft { fill: #586374 }
  .layer { fill: #f3f5f8 } .guide { stroke: #d9dee6 }
  .a { color: #1f5fbf } .b { color: #16774a } .c { color: #a85b00 }
  @media (prefers-color-scheme: dark) {
    .bg { fill: #12171e } .ink { fill: #e8edf4 } .soft { fill: #a3afbf }
    .layer { fill: #1a212a } .guide { stroke: #2c3643 }
    .a { color: #79b0ff } .b { color: #58cf96 } .c { color: #f5b455 }
  }
  text { font: 13px system-ui, sans-serif }
  .title { font-size: 15px; font-weight: 600 } .name { fill: currentColor; font-weight: 600 }
  .guide { fill: none; stroke-width: 1 } .self, .dot { fill: currentColor }
  .self { opacity: 0.35 }
"""

LEFT, TOP = 20, 208
ROW, LAYER_GAP = 24, 6
NAMES, COLUMN = 186, 24
TOOL_GAP = 20
DOT = 5


@dataclass(frozen=True)
class House:
    """The packages and what they import."""

    #: Roof first; packages of one layer do not import each other.
    layers: tuple[tuple[str, ...], ...]
    #: (package, package it imports).
    imports: frozenset[tuple[str, str]]
    #: (package, tool of `TOOLS` it imports).
    tools: frozenset[tuple[str, str]]

    @property
    def packages(self) -> tuple[str, ...]:
        """All packages, roof first."""
        return tuple(package for layer in self.layers for package in layer)


def read_house(root: Path) -> House:
    """The house as `pyproject.toml` and the sources under `root` say it is.

    The packages must be importable from `root`. Raises `ValueError` for a module that no layer
    holds: import-linter would not look at it.
    """
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layered,) = (contract for contract in contracts if contract["type"] == "layers")
    layers = tuple(
        tuple(package.strip() for package in line.split("|")) for line in layered["layers"]
    )
    roots = set(settings["tool"]["importlinter"]["root_packages"])
    graph = grimp.build_graph(*sorted(roots), include_external_packages=True, cache_dir=None)
    packages = [package for layer in layers for package in layer]
    tools = {module: tool for tool, modules in TOOLS.items() for module in modules}
    imports, used = set(), set()
    for module in graph.modules:
        if graph.is_module_squashed(module) or module in roots - set(packages):
            continue
        package = _package_of(module, packages)
        if package is None:
            raise ValueError(f"{module} is in no layer of pyproject.toml")
        for imported in graph.find_modules_directly_imported_by(module):
            other = _package_of(imported, packages)
            if other is not None and other != package:
                imports.add((package, other))
            if imported in tools:
                used.add((package, tools[imported]))
    return House(layers, frozenset(imports), frozenset(used))


def _package_of(module: str, packages: Iterable[str]) -> str | None:
    """The package of `packages` that holds `module`; the inner one where two do."""
    holders = [p for p in packages if module == p or module.startswith(f"{p}.")]
    return max(holders, key=len, default=None)


def draw(house: House) -> str:
    """The figure of `house`."""
    packages = house.packages
    tools = [tool for tool in TOOLS if any(tool == used for _, used in house.tools)]
    columns = {package: NAMES + LEFT + COLUMN * i for i, package in enumerate(packages)}
    first_tool = NAMES + LEFT + COLUMN * len(packages) + TOOL_GAP
    columns |= {tool: first_tool + COLUMN * i for i, tool in enumerate(tools)}
    rows = _row_tops(house.layers)
    right = first_tool + COLUMN * len(tools)
    bottom = rows[packages[-1]] + ROW
    width, height = right + 60, bottom + 20
    title = "Packages, roof first: each imports only from the layers below it"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-labelledby="t d">',
        f'<title id="t">{title}</title><desc id="d">{escape(describe(house))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="bg" width="{width}" height="{height}"/>',
        f'<text class="ink title" x="{LEFT}" y="26">{title}</text>',
        f'<text class="soft" x="{LEFT}" y="48">A dot: the package of the row imports</text>',
        f'<text class="soft" x="{LEFT}" y="66">the package or tool of the column.</text>',
        f'<text class="soft" x="{LEFT}" y="84">Packages on one band are one layer.</text>',
    ]
    for layer in house.layers:
        top = rows[layer[0]]
        out.append(
            f'<rect class="layer" x="{LEFT - 8}" y="{top}" width="{right - LEFT + 8}" '
            f'height="{ROW * len(layer)}" rx="4"/>'
        )
    for package in packages:
        out += _heading(package, columns[package], rows[package], _class(package), "name")
    for tool in tools:
        out += _heading(tool, columns[tool], bottom, "soft", "soft")
    for package, top in rows.items():
        out += _row(package, top, columns, house)
    return "\n".join([*out, "</svg>\n"])


def _row_tops(layers: Sequence[Sequence[str]]) -> dict[str, int]:
    """The upper edge of each package's row, in pixels."""
    tops, y = {}, TOP
    for layer in layers:
        for package in layer:
            tops[package] = y
            y += ROW
        y += LAYER_GAP
    return tops


def _heading(name: str, x: int, end: int, group: str, text: str) -> list[str]:
    """A column's name, and a line from it down to `end`; `group` and `text` are classes."""
    middle = x + COLUMN / 2
    place = f"translate({middle + 2:.0f} {TOP - 10})rotate(-55)"
    return [
        f'<path class="guide" d="M{middle:.0f} {TOP - 6}V{end}"/>',
        f'<g class="{group}"><text class="{text}" transform="{place}">{escape(name)}</text></g>',
    ]


def _row(package: str, top: int, columns: Mapping[str, int], house: House) -> list[str]:
    """A package's name, its place among the columns, and what it imports."""
    middle = top + ROW / 2
    own = columns[package]
    imported = {other for one, other in house.imports | house.tools if one == package}
    return [
        f'<g class="{_class(package)}">',
        f'<text class="name" x="{LEFT}" y="{middle + 4:.0f}">{escape(package)}</text>',
        f'<rect class="self" x="{own + 4}" y="{top + 4}" width="{COLUMN - 8}" '
        f'height="{ROW - 8}" rx="3"/>',
        *(
            f'<circle class="dot" cx="{x + COLUMN / 2:.0f}" cy="{middle:.0f}" r="{DOT}"/>'
            for name, x in columns.items()
            if name in imported
        ),
        "</g>",
    ]


def _class(package: str) -> str:
    return CLASSES[package.split(".")[0]]


def describe(house: House) -> str:
    """The figure in words, for those who do not see it."""
    sentences = []
    for package in house.packages:
        below = [other for other in house.packages if (package, other) in house.imports]
        used = [tool for tool in TOOLS if (package, tool) in house.tools]
        sentences.append(f"{package} imports {', '.join([*below, *used]) or 'nothing'}.")
    return " ".join(sentences)


def package_table(house: House, root: Path) -> str:
    """The packages with the first sentence of each one's docstring, as a Markdown table."""
    rows = [
        f"| `{package}` | {_first_sentence(root, package)} |"
        for layer in house.layers
        for package in layer
    ]
    return "\n".join(["| Package | What it holds |", "| --- | --- |", *rows])


def _first_sentence(root: Path, package: str) -> str:
    path = root.joinpath(*package.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z`])", paragraph)[0].replace("|", r"\|")


def listed(page: str, table: str) -> str:
    """`page` with `table` between its markers. Raises `ValueError` if there is no such place."""
    pattern = r"(<!-- packages -->\n).*?(<!-- end of packages -->)"
    text, count = re.subn(pattern, lambda m: f"{m[1]}{table}\n{m[2]}", page, flags=re.DOTALL)
    if count != 1:
        raise ValueError("the page needs one pair of markers for the packages")
    return text


def main() -> None:
    """Write the figure and the page's list."""
    house = read_house(ROOT)
    PICTURE.write_text(draw(house), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(listed(page, package_table(house, ROOT)), encoding="utf-8")


if __name__ == "__main__":
    main()

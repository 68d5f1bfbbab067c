"""What a product's fingerprint covers: all code of ours that makes it, down to the byte."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.core.fingerprint import EXEMPT, SourceTree, read_source_tree
from bench.core.own_names import PACKAGES
from bench.measuring.compilation import COMPILING_CODE
from bench.measuring.preparation import measurement_code
from bench.measuring.recipes import DATA_CODE, TRAINING_CODE
from bench.measuring.reference import REFERENCE_CODE
from bench.measuring.testsets import FITTING_CODE
from bench.tflite.reference import ReferenceRunner
from targets.ethos_u55.accelerators import Accelerator
from targets.protocol import Job
from targets.registry import TARGETS, TargetContext
from targets.settings import TargetSettings
from tests.support.bench_runs import ROOT
from tests.support.boards.virtual_board import virtual_board
from tests.support.fvp.stand_ins import virtual_fvp
from tests.support.models.compiled_jobs import small_job

#: Runs at the start of every Python below: notes each module of ours when its import begins,
#: whichever process imports it and however that process ends.
NOTING = """
import os, sys

class Noting:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            with open({notes!r}, "a") as stream:
                stream.write(name + "\\n")

sys.meta_path.insert(0, Noting())
"""

#: A measurement from the job to what is kept of it.
MEASURING = """
import pickle, sys
from pathlib import Path
from bench.measuring.measurements import keep_measurement
from bench.tflite.reference import ReferenceRunner
{make}
job = pickle.loads(Path(sys.argv[1]).read_bytes())
target.prepare()
keep_measurement(Path(sys.argv[2]), job.cell_id, target.run(job))
target.close()
"""

MAKE = {
    "sim": "from targets.sim import SimulatorTarget\ntarget = SimulatorTarget()",
    "vela": "from targets.vela import VelaEstimate\ntarget = VelaEstimate(ReferenceRunner())",
    "fvp": (
        "from targets.fvp.target import FvpTarget\nfrom targets.settings.fvp import FvpSettings\n"
        "target = FvpTarget(FvpSettings(), Path(sys.argv[2], 'logs'), ReferenceRunner())"
    ),
    "mps3": (
        "from targets.mps3.target import Mps3Target\n"
        "settings = pickle.loads(Path(sys.argv[3]).read_bytes())\n"
        "target = Mps3Target(settings, Path(sys.argv[2], 'logs'))"
    ),
}

#: Product -> what makes it, and the entry points its key is made from.
MAKING: dict[str, tuple[str, Sequence[str]]] = {
    "variant": (
        "from pathlib import Path\n"
        "from bench.core.errors import BuildError\n"
        "from models.messages import BuildRequest\n"
        "from tests.support.models.recipes import built_in, stored_mnist\n"
        "from models.service import VariantBuilder\n"
        "from models.spec import PruneSpec, TrainSpec\n"
        # Too short to prune in, which the builder finds out with all it needs loaded.
        "request = BuildRequest(workload='w', variant='v', origin=built_in(),\n"
        "    spec=PruneSpec(batch_size=4000, epochs=0.1),\n"
        "    data=stored_mnist(Path(sys.argv[2], 'data')), parent_dir=Path())\n"
        "with VariantBuilder() as builder:\n"
        "    try:\n"
        "        builder.build(request, Path(sys.argv[2]), lambda progress: None)\n"
        "    except BuildError as error:\n"
        "        assert 'optimiser steps' in str(error), error\n",
        TRAINING_CODE,
    ),
    "dataset": (
        "from pathlib import Path\n"
        "from models.data import SUBSET\n"
        "from models.reading.datasets import go_through_data\n"
        "from models.reading.loading import RecipeLoader\n"
        "from models.reading.origin import Origin\n"
        "origin = Origin(name='mnist_fc', options={'mnist': SUBSET.name})\n"
        "go_through_data(origin, RecipeLoader().load(origin), (), Path(sys.argv[2]))\n",
        DATA_CODE,
    ),
    "fitted": (
        "import numpy\nfrom pathlib import Path\n"
        "from bench.measuring.datasets import fit_dataset\n"
        "from bench.tflite.model_file import load_quantised\n"
        "path = Path(sys.argv[2], 'data.npz')\n"
        "numpy.savez(path, inputs=numpy.zeros((2, 40)), labels=numpy.zeros(2))\n"
        "fit_dataset(path, load_quantised(Path(sys.argv[3])), Path(sys.argv[2]))\n",
        FITTING_CODE,
    ),
    "compiled": (
        "import pickle\nfrom pathlib import Path\n"
        "from bench.compiler import VelaOptions, VelaServer, compile_model\n"
        "options = VelaOptions(accelerator=128, memory_mode='Sram_Only')\n"
        "with VelaServer() as server:\n"
        "    compile_model(Path(sys.argv[3]), options, Path(sys.argv[2]), runner=server)\n",
        COMPILING_CODE,
    ),
    "reference": (
        "import numpy\nfrom pathlib import Path\n"
        "from bench.tflite.reference import ReferenceRunner\n"
        "ReferenceRunner()(Path(sys.argv[3]), [numpy.zeros((1, 40), 'int8')])\n",
        REFERENCE_CODE,
    ),
}


@pytest.fixture(scope="module")
def tree() -> SourceTree:
    return read_source_tree()


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    # 128 MACs: what the virtual board has.
    return small_job(tmp_path_factory.mktemp("job"), Accelerator.U55_128)


def loaded_by(code: str, directory: Path, *arguments: Path) -> frozenset[str]:
    """The modules of ours that `code` loads, in its own process and in those it starts."""
    notes = directory / "notes"
    (directory / "sitecustomize.py").write_text(
        NOTING.format(packages=set(PACKAGES), notes=str(notes)), encoding="utf-8"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)])}
    command = [sys.executable, "-c", "import sys\n" + code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return frozenset(notes.read_text(encoding="utf-8").split())


def forgotten(tree: SourceTree, loaded: frozenset[str], *entry_points: str) -> set[str]:
    """The modules in `loaded` that neither the fingerprint of `entry_points` nor an argument has.

    Arguable are, besides what is exempt and is there for it alone: the top-level packages, which
    hold nothing but their names and are loaded by every child process: see
    `bench.core.processes.children`.
    """
    exempt = tree.closure(*(name for one in EXEMPT for name in tree.modules[one].imports))
    return set(loaded - tree.closure(*entry_points) - EXEMPT.keys() - exempt - set(PACKAGES))


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_all_that_a_measurement_loads_is_in_its_fingerprint(
    name: str, tree: SourceTree, job: Job, tmp_path: Path
) -> None:
    (tmp_path / "job").write_bytes(pickle.dumps(job))
    (tmp_path / "kept").mkdir()
    with virtual_fvp(tmp_path / "fvp"), virtual_board(tmp_path / "b") as board:
        settings = TargetSettings(mps3=board.settings())
        (tmp_path / "settings").write_bytes(pickle.dumps(settings.mps3))
        loaded = loaded_by(
            MEASURING.format(make=MAKE[name]),
            tmp_path,
            tmp_path / "job",
            tmp_path / "kept",
            tmp_path / "settings",
        )
        target = TARGETS[name].make(TargetContext(ReferenceRunner(), settings, tmp_path))
    assert f"targets.{name}" in loaded
    # Each of these was forgotten by a list of packages once.
    assert {
        "sim": "bench.tflite.reader",
        "vela": "bench.tflite.interpreters",
        "fvp": "targets.artefact.tflite",
        "mps3": "targets.ethos_u55.ports",
    }[name] in loaded
    assert forgotten(tree, loaded, *measurement_code(target)) == set()


@pytest.mark.parametrize("product", MAKING)
def test_all_that_makes_a_product_is_in_its_fingerprint(
    product: str, tree: SourceTree, job: Job, tmp_path: Path
) -> None:
    code, entry_points = MAKING[product]
    loaded = loaded_by(code, tmp_path, tmp_path, tmp_path, job.source_model)
    assert set(entry_points) <= loaded
    assert forgotten(tree, loaded, *entry_points) == set()


#: Prints the fingerprints of the tree as it is.
TELLING = """
import json, sys, bench, time
from bench.core.fingerprint import read_source_tree
# The copy may be edited a moment before it is read here.
bench.LOADED_NS = time.time_ns() + 10**9
tree = read_source_tree()
entry_points = json.loads(sys.argv[1])
print(json.dumps({
    name: [tree.fingerprint(*points), sorted(
        str(path) for module in tree.closure(*points) for path in tree.modules[module].files
    )] for name, points in entry_points.items()
}))
"""


@pytest.mark.slow
def test_every_byte_of_the_closure_counts_and_no_other(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    wanted = {
        "sim": ["targets.sim"],
        "fvp": ["targets.fvp.target"],
        "compiled": list(COMPILING_CODE),
        "variant": list(TRAINING_CODE),
    }

    def told() -> dict[str, tuple[str, list[str]]]:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", TELLING, json.dumps(wanted)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, tuple[str, list[str]]] = json.loads(done.stdout)
        return found

    before = told()
    assert told() == before
    everything = {str(path) for path in tmp_path.rglob("*.py")}
    covered = {name: set(files) for name, (_, files) in before.items()}
    chosen = {
        # From one end of the closure to the other, packages' own files and firmware among them.
        *sorted(covered["fvp"])[:: len(covered["fvp"]) // 10],
        str(tmp_path / "targets" / "__init__.py"),
        str(tmp_path / "targets" / "firmware" / "bench_firmware.elf"),
        str(tmp_path / "targets" / "artefact" / "tflite.py"),
        str(tmp_path / "bench" / "core" / "errors.py"),
        str(tmp_path / "bench" / "report" / "table.py"),
        *sorted(everything - covered["sim"] - covered["variant"])[::60],
    }
    assert len(chosen & covered["fvp"]) >= 10
    for path in sorted(chosen):
        original = Path(path).read_bytes()
        # A comment's last letter where it is Python: what is parsed stays what it was.
        Path(path).write_bytes(original + (b"#" if path.endswith(".py") else b"\0"))
        after = told()
        for name, files in covered.items():
            assert (after[name][0] != before[name][0]) == (path in files), (name, path)
        Path(path).write_bytes(original)
    assert told() == before


#: Reads the tree after it has loaded a module of it, which somebody edits in between.
EDITED = """
import sys, time
from pathlib import Path
from bench.core.fingerprint import read_source_tree
{edit}
try:
    read_source_tree()
except Exception as error:
    print(error)
else:
    print("read")
"""
EDITS = {
    "": "read",
    "write(path, text + '# x')": "was changed while the bench was starting",
    "write(path, text + '# x'); write(path, text)": "was changed while the bench was starting",
    "path.with_name('new.py').write_text('')": "new.py was changed while the bench was starting",
    "path.chmod(0o600)": "was changed while the bench was starting",
}


@pytest.mark.parametrize("edit", EDITS, ids=["no edit", "edited", "put back", "new", "touched"])
def test_what_was_edited_after_it_was_loaded_is_not_read(edit: str, tmp_path: Path) -> None:
    """What runs is what was loaded, and a fingerprint of what came later would be a lie."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    # A source that is older than any process that loads it.
    time.sleep(0.1)
    change = (
        f"path = Path({str(tmp_path / 'targets' / 'ethos_u55' / 'ports.py')!r})\n"
        "text, write = path.read_text(), Path.write_text\n"
        f"time.sleep(0.05)\n{edit}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", EDITED.format(edit=change)],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert EDITS[edit] in done.stdout, done.stderr
    assert ("leave the bench's own files alone" in done.stdout) is bool(edit)

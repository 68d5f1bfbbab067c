"""The wheel in an environment of its own, in the repository of somebody who has never seen ours.

That repository has packages with the names of ours, which fail when they are imported by mistake.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.records.run_directory import RunDirectory
from tests.support.installed import (
    InstalledBench,
    build_wheel,
    install_with_links,
    new_environment,
)
from tests.support.models.tflite_factory import mlp

CELL = "net-base-u55_128-shared_sram-sim"
CYCLES = f"tests/regression/test_npu_cycles.py::test_npu_cycles[{CELL}]"
CONFIG = """
[grid]
macs = [128]
memory_modes = ["Shared_Sram"]

[workloads]
net = "net.tflite"
"""
#: A limit that no network keeps.
BROKEN = """
[workloads.net]
model = "net.tflite"
[[workloads.net.limits]]
metric = "npu_cycles"
max = 1
"""
#: What only training needs.
TRAINING = ("tensorflow", "tf_keras", "tensorflow_model_optimization", "mlxtend", "keras")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> InstalledBench:
    directory = tmp_path_factory.mktemp("environment")
    bench = InstalledBench(directory / "venv", directory / "cache")
    new_environment(bench.environment)
    install_with_links(wheel, bench)
    return bench


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's repository."""
    for name in ("models", "targets", "bench", "tests", "tests/regression"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(
            f"raise RuntimeError('somebody has imported the user\\'s {name}')\n", encoding="utf-8"
        )
    weights = np.random.default_rng(1).integers(-127, 128, (10, 40)).astype(np.int8)
    (tmp_path / "net.tflite").write_bytes(mlp([weights]))
    (tmp_path / "bench.toml").write_text(CONFIG, encoding="utf-8")
    # Settings that a run of the bench has no use for.
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --nonsense\n", encoding="utf-8")
    (tmp_path / "conftest.py").write_text("import models\n", encoding="utf-8")
    return tmp_path


def latest(project: Path) -> RunDirectory:
    return RunDirectory((project / "results" / "latest").resolve())


def test_the_wheel_installs_one_package(wheel: Path) -> None:
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"ethos_u55_bench"}


@pytest.mark.parametrize("python_path", ["", "."])
def test_a_finished_model_is_measured_and_judged(
    installed: InstalledBench, project: Path, python_path: str
) -> None:
    variables = {"PYTHONPATH": python_path} if python_path else {}
    done = installed.run(project, "bench", "run", "-n", "2", "--junitxml=mine.xml", **variables)
    assert done.returncode == 0, done.stdout
    record = latest(project).record(CELL)
    assert record.measurement.counters["NPU_ACTIVE"] > 0
    # Paths are relative to where the user is, and ids are those of a checkout.
    junit = (project / "mine.xml").read_text(encoding="utf-8")
    assert 'classname="tests.regression.test_npu_cycles"' in junit
    packages = {path.name for path in installed.packages.iterdir()}
    assert packages.isdisjoint(TRAINING)
    # Nothing of the run is left in the installation.
    top = installed.packages / "ethos_u55_bench"
    assert not [path for path in top.rglob("*") if path.name in (".pytest_cache", "results")]


@pytest.mark.slow
def test_a_failure_is_repeated_by_the_command_that_it_tells(
    installed: InstalledBench, project: Path
) -> None:
    config = CONFIG.partition("[workloads]")[0] + BROKEN
    (project / "bench.toml").write_text(config, encoding="utf-8")
    done = installed.run(project, "bench", "run")
    assert done.returncode == 1, done.stdout
    assert "warnings summary" not in done.stdout, "people look into what pytest warns of"
    (command,) = set(re.findall(r"reproduce: (bench run .*npu_cycles.*)", done.stdout))
    again = installed.run(project, *shlex.split(command))
    assert again.returncode == 1, again.stdout
    assert "1 failed" in again.stdout
    assert f"FAILED {CYCLES}" in again.stdout
    assert installed.run(project, "bench", "run", "--lf", "-q").stdout.count("must be at most") >= 1


@pytest.mark.slow
def test_options_tests_and_exit_statuses_are_those_of_pytest(
    installed: InstalledBench, project: Path
) -> None:
    listed = installed.run(project, "bench", "run", "--collect-only", "-q", "-k", "npu_cycles")
    assert CYCLES in listed.stdout.splitlines()
    assert installed.run(project, "bench", "run", "-k", "nothing").returncode == 5
    assert installed.run(project, "bench", "run", "--no-such-option").returncode == 4
    assert "--bench-config" in installed.run(project, "bench", "run", "-h").stdout
    (project / "bench.toml").unlink()
    missing = installed.run(project, "bench", "run")
    assert missing.returncode == 4
    assert "bench.toml" in missing.stdout


@pytest.mark.slow
def test_ctrl_c_ends_a_run_as_it_ends_pytest(installed: InstalledBench, project: Path) -> None:
    process = subprocess.Popen(
        installed.command("bench", "run", "-n", "2"),
        cwd=project,
        env=installed.variables({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    # They have work before them.
    begun = any("workers [" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert begun
    assert process.returncode == 2, output
    assert "Traceback" not in output


def test_training_without_the_extra_is_an_error_that_names_the_cure(
    installed: InstalledBench, project: Path
) -> None:
    (project / "bench.toml").write_text(
        '[grid]\n[workloads.fc]\nrecipe = "mnist_fc"\n'
        '[workloads.fc.variants]\nbase = { method = "train", epochs = 1 }\n',
        encoding="utf-8",
    )
    done = installed.run(project, "bench", "run")
    assert done.returncode == 4, done.stdout
    assert 'pip install "ethos-u55-bench[train]"' in done.stdout
    assert "workload fc" in done.stdout
    assert not (project / "results").exists()


def test_other_verbs_work_there_too(installed: InstalledBench, project: Path) -> None:
    for place in (project, project / "models"):
        doctor = installed.run(place, "bench", "doctor")
        assert doctor.returncode == 0, doctor.stdout
        assert "note    training: not installed" in doctor.stdout
    whatif = installed.run(project, "bench", "whatif", "net.tflite", "--sparsity=50", "--macs=128")
    assert whatif.returncode == 0, whatif.stdout
    assert installed.run(project, "bench", "zoo", "list").returncode == 0


#: Packages of the user's that work, and tests that need both them and the fixtures.
OWN = {
    "models/__init__.py": "LIMIT = 1_000_000\n",
    "targets/__init__.py": "PLACE = 'here'\n",
    "bench/__init__.py": "",
    "bench/table.py": "ROWS = 3\n",
    "tests/__init__.py": "",
    "tests/regression/__init__.py": "",
    "conftest.py": "import models\n",
    "pytest.ini": "[pytest]\nstrict = true\n",
    "tests/test_net.py": """
import numpy as np
import pytest
from bench.table import ROWS
from ethos_u55_bench import Measure, Measured
from models import LIMIT
from targets import PLACE


@pytest.mark.parametrize("macs", [32, 256])
def test_a_model(measure: Measure, macs: int) -> None:
    found = measure("net.tflite", macs=macs)
    assert isinstance(found, Measured)
    assert 0 < found.cycles < LIMIT
    assert found.cycles_kind == "modelled"
    assert 0 < found.sizes.encoded_weights < found.sizes.device_model
    assert found.beats.axi1_read > 0
    assert found.value("sram_kib") > 0


def test_outputs_are_those_of_my_inputs(measure: Measure) -> None:
    inputs = np.zeros((ROWS, 40), np.int8)
    inputs[1] = 100
    (outputs,) = measure("net.tflite", inputs=inputs).outputs
    assert outputs.shape == (ROWS, 10)
    assert (outputs[0] == outputs[2]).all() and (outputs[0] != outputs[1]).any()


def test_every_cell(bench_cell: Measured) -> None:
    assert bench_cell.cycles < LIMIT
    with pytest.raises(Exception, match="no dataset is given"):
        bench_cell.value("accuracy")
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", [("pytest",), ("python", "-m", "pytest"), ("pytest", "-n2")])
def test_somebody_s_own_tests_have_our_fixtures_and_their_packages(
    installed: InstalledBench, project: Path, command: tuple[str, ...]
) -> None:
    for name, text in OWN.items():
        (project / name).write_text(text, encoding="utf-8")
    done = installed.run(project, *command)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
    assert not (project / "results").exists()
    listed = installed.run(project, "pytest", "--collect-only", "-q")
    assert f"tests/test_net.py::test_every_cell[{CELL}]" in listed.stdout
    (project / "net.tflite").write_bytes(b"no model")
    broken = installed.run(project, *command, "-k", "every_cell")
    assert broken.returncode == 1, broken.stdout
    assert "net.tflite" in broken.stdout


def test_a_bench_begins_with_a_model_file(installed: InstalledBench, project: Path) -> None:
    (project / "bench.toml").unlink()
    begun = installed.run(project, "bench", "init", "--model", "net.tflite", "--ci", "github")
    assert begun.returncode == 0, begun.stdout
    in_ci = ("bench", "run", "-n", "2", "--bench-ci")
    # Nobody has said yet what the figures should be.
    assert installed.run(project, *in_ci).returncode == 1
    accepted = installed.run(project, "bench", "baseline", "accept")
    assert accepted.returncode == 0, accepted.stdout
    done = installed.run(project, *in_ci)
    assert done.returncode == 0, done.stdout
    assert "4 of 4 planned cells measured" in done.stdout


@pytest.mark.slow
def test_pip_installs_it_from_an_index_without_tensorflow(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory, project: Path
) -> None:
    directory = tmp_path_factory.mktemp("from_index")
    bench = InstalledBench(directory / "venv", directory / "cache")
    subprocess.run([sys.executable, "-m", "venv", bench.environment], check=True)
    pip = bench.run(project, "pip", "install", "--quiet", str(wheel))
    if pip.returncode and "No matching distribution" in pip.stdout:
        pytest.skip(f"no package index has what the wheel requires: {pip.stdout[-300:]}")
    assert pip.returncode == 0, pip.stdout
    listed = bench.run(project, "pip", "list", "--format=freeze").stdout.lower()
    assert "ethos-u-vela" in listed
    assert not re.search("tensorflow|keras|mlxtend", listed)
    # With what training needs it is five times as large.
    size = sum(p.stat().st_size for p in bench.environment.rglob("*") if p.is_file())
    assert size < 600 << 20
    (project / "bench.toml").unlink()
    assert bench.run(project, "bench", "init", "--model", "net.tflite").returncode == 0
    done = bench.run(project, "bench", "run", "-n", "2")
    assert done.returncode == 0, done.stdout
    for name, text in OWN.items():
        (project / name).write_text(text, encoding="utf-8")
    own = bench.run(project, "pytest")
    assert own.returncode == 0, own.stdout


#: A recipe whose network is in the user's own package.
RECIPE = """
import numpy as np
from models import network


def model():
    return network()


def data():
    x = np.random.default_rng(0).random((300, 12), dtype=np.float32)
    y = (x[:, 0] > x[:, 1]).astype(int)
    return {"train": (x[:200], y[:200]), "test": (x[200:], y[200:])}
"""
NETWORK = """
def network():
    import tensorflow as tf
    layers = tf.keras.layers
    return tf.keras.Sequential([layers.Input((12,)), layers.Dense(64, activation="relu"),
                                layers.Dense(2, activation="softmax")])
"""


@pytest.mark.slow
def test_recipes_import_the_user_s_models(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    directory = tmp_path_factory.mktemp("training")
    bench = InstalledBench(directory / "venv", directory / "cache")
    new_environment(bench.environment)
    install_with_links(wheel, bench, "train")
    begun = bench.run(tmp_path, "bench", "init", "--ci", "gitlab")
    assert begun.returncode == 0, begun.stdout
    assert "[train]" in (tmp_path / ".gitlab" / "ethos-u55-bench.yml").read_text(encoding="utf-8")
    done = bench.run(tmp_path, "bench", "run", "-n", "2")
    assert done.returncode == 0, done.stdout
    assert "12 of 12 planned cells measured" in done.stdout
    for name in ("targets", "bench", "tests", "models"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "models" / "__init__.py").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "recipes" / "my_network.py").write_text(RECIPE, encoding="utf-8")
    own = bench.run(tmp_path, "bench", "run", "-n", "2", "-k", "u55_128")
    assert own.returncode == 0, own.stdout
    assert "3 of 12 planned cells measured" in own.stdout
    (tmp_path / "tests" / "test_cells.py").write_text(
        "from models import network\n"
        "def test_cells(bench_cell):\n"
        "    assert 0 < bench_cell.value('accuracy') <= 1\n",
        encoding="utf-8",
    )
    fixtures = bench.run(tmp_path, "pytest", "-k", "u55_128")
    assert fixtures.returncode == 0, fixtures.stdout
    assert "3 passed" in fixtures.stdout


def test_tests_that_do_not_ask_pay_nothing(installed: InstalledBench, tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_other():\n"
        "    ours = sorted(n for n in sys.modules if n.startswith('ethos_u55_bench'))\n"
        "    assert ours == ['ethos_u55_bench', 'ethos_u55_bench.bench',\n"
        "        'ethos_u55_bench.bench.testing', 'ethos_u55_bench.bench.testing.plugin']\n"
        "    assert not {'numpy', 'pydantic', 'rich'} & set(sys.modules)\n",
        encoding="utf-8",
    )
    done = installed.run(tmp_path, "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert re.fullmatch(r"\.\s+\[100%\]\n1 passed in \S+\n", done.stdout), done.stdout
    shown = installed.run(tmp_path, "pytest", "--help").stdout
    assert "--bench" not in shown
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"test_other.py"}

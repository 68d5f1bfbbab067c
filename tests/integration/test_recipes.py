"""Recipes as users write them: a good one goes through everything, each mistake is one message."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.cache import ArtefactCache
from bench.core.errors import BenchError
from bench.core.fingerprint import SourceTree, read_source_tree
from bench.core.processes import Bounds
from bench.measuring.products import ProductStore
from bench.measuring.progress import ignore
from bench.measuring.recipes import SurveyedRecipe, stored_data, survey_recipe
from bench.measuring.sources import ModelSource
from bench.plan.config import TrainedWorkload, load_config
from bench.records.run_directory import RunDirectory
from models.data import SUBSET
from models.recipes import mnist_fc
from models.service import VariantBuilder
from tests.support.bench_runs import BenchRunner
from tests.support.models.own_layers import LAYERS
from tests.support.models.recipes import stored_mnist
from tests.support.private_memory import watching_memory

#: A recipe with TensorFlow takes seconds to be looked at.
SLOW = pytest.mark.slow

#: Fourteen lines, with data and a layer of the user's own.
RECIPE = """
import numpy as np
import tensorflow as tf
from own.layers import Scale

def model(width=8):
    x = inputs = tf.keras.Input((12, 10), name="mfcc")
    x = Scale()(tf.keras.layers.Reshape((12, 10, 1))(x))
    x = tf.keras.layers.Conv2D(width, 3, strides=2, activation="relu", name="conv")(x)
    x = tf.keras.layers.Dense(16, activation="relu", name="hidden")(tf.keras.layers.Flatten()(x))
    return tf.keras.Model(inputs, tf.keras.layers.Dense(4, activation="softmax", name="out")(x))

def data():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, 2600)
    x = (rng.normal(size=(2600, 12, 10)) + rng.normal(size=(4, 12, 10))[y]).astype("float32")
    return {"train": (x[:2500], y[:2500]), "test": (x[2500:], y[2500:])}
"""

GRID = """
[grid]
macs = [32, 128]
memory_modes = ["Shared_Sram"]

[workloads.kws]
recipe = "recipes/kws.py"

[[workloads.kws.limits]]
metric = "accuracy"
min = 0.8
"""

VARIANTS = """
[workloads.kws.variants]
base = { method = "train", epochs = 4 }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's directory, with packages of its own."""
    for name, text in (
        ("bench.toml", GRID + VARIANTS),
        ("recipes/kws.py", RECIPE),
        ("own/__init__.py", ""),
        ("own/layers.py", LAYERS),
    ):
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "project"


@pytest.fixture(scope="module")
def tree() -> SourceTree:
    return read_source_tree()


@pytest.fixture
def store(tmp_path: Path, tree: SourceTree) -> ProductStore:
    return ProductStore(ArtefactCache(tmp_path / "cache"), tree, ignore)


def surveyed(
    project: Path, store: ProductStore, bounds: Bounds | None = None
) -> tuple[TrainedWorkload, SurveyedRecipe]:
    config_path = project / "bench.toml"
    workload = load_config(config_path).workloads["kws"]
    assert isinstance(workload, TrainedWorkload)
    with VariantBuilder(bounds=bounds or Bounds(120, 8 << 30)) as builder:
        return workload, survey_recipe("kws", workload, config_path, builder, store)


def rewrite(project: Path, old: str, new: str) -> None:
    file = project / "recipes" / "kws.py"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@SLOW
def test_a_network_of_one_s_own_goes_through_the_whole_study(project: Path, tmp_path: Path) -> None:
    """Without a word on variants: base, pruned, clustered, and both."""
    bench_runner, config = BenchRunner(tmp_path), project / "bench.toml"
    config.write_text(GRID, encoding="utf-8")
    run = bench_runner.run(config)
    assert run.returncode == 0, run.output
    records = run.records()
    assert len(records) == 8
    sizes = {r.cell.variant: r.compilation.report.encoded_weights_bytes for r in records.values()}
    assert sizes["pruned_clustered"] < sizes["pruned"] < sizes["base"]
    facts = next(iter(records.values())).model.provenance
    assert facts["architecture"] == "kws.py"
    assert facts["train_images"] == "2250"
    # A second run reads the data, before it begins, and makes nothing.
    again = bench_runner.run(config)
    assert again.returncode == 0, again.output
    assert "bench: read data of kws" in again.output
    assert again.work() == []


@SLOW
def test_a_copy_of_a_built_in_recipe_gives_the_same_bytes(
    tmp_path: Path, store: ProductStore
) -> None:
    """The built-in workloads are made by nothing that a user has not."""
    stored = stored_mnist(tmp_path / "mnist")
    text = Path(mnist_fc.__file__).read_text(encoding="utf-8")
    own_data = (
        "import numpy as np\n"
        "def data():\n"
        "    splits = {}\n"
        "    for name in ('train', 'test'):\n"
        f"        arrays = np.load({str(tmp_path / 'mnist')!r} + f'/{{name}}.npz')\n"
        "        splits[name] = (arrays['inputs'], arrays['labels'])\n"
        "    return splits\n"
    )
    imported = "from models.recipes.mnist import data\n"
    assert imported in text
    (tmp_path / "my_mnist.py").write_text(text.replace(imported, own_data), encoding="utf-8")
    variants = (
        "\n[workloads.kws.variants]\n"
        'base = { method = "train", epochs = 0.25 }\n'
        'pruned = { method = "prune", epochs = 0.25 }\n'
    )
    made = {}
    for recipe in ("mnist_fc", "my_mnist.py"):
        (tmp_path / "bench.toml").write_text(
            f'[data]\nmnist = "subset"\n[workloads.kws]\nrecipe = "{recipe}"\nseed = 3\n'
            + variants,
            encoding="utf-8",
        )
        workload = load_config(tmp_path / "bench.toml").workloads["kws"]
        assert isinstance(workload, TrainedWorkload)
        with VariantBuilder(bounds=Bounds(300, 8 << 30)) as builder:
            recipes = (
                {"kws": survey_recipe("kws", workload, tmp_path / "bench.toml", builder, store)}
                if workload.is_users
                else {}
            )
            source = ModelSource(store=store, builder=builder, data=SUBSET, recipes=recipes)
            made[recipe] = source.quantised("kws", workload, "pruned").path
    assert made["mnist_fc"] != made["my_mnist.py"]
    assert made["mnist_fc"].read_bytes() == made["my_mnist.py"].read_bytes()
    assert stored.files["train"].is_file()


#: 10,000 images of 96x96x3, given one by one: 276 MB as int8, 1.1 GB as float32.
IMAGES = """
import numpy as np

def model():
    import tensorflow as tf
    layers = tf.keras.layers
    return tf.keras.Sequential([layers.Input((96, 96, 3)), layers.AveragePooling2D(32),
        layers.Flatten(), layers.Dense(2, activation="softmax", name="out")])

def images(count):
    rng = np.random.default_rng(1)
    for index in range(count):
        yield rng.integers(0, 256, (96, 96, 3), dtype=np.uint8), index % 2

def data():
    return {"train": lambda: images(64), "test": lambda: images(10_000)}
"""


@SLOW
@pytest.mark.long
def test_ten_thousand_images_take_less_than_a_gibibyte_anywhere(tmp_path: Path) -> None:
    (tmp_path / "images.py").write_text(IMAGES, encoding="utf-8")
    runner = BenchRunner(tmp_path)
    config = runner.write_config(
        """
        [grid]
        macs = [128]
        memory_modes = ["Shared_Sram"]
        [workloads.images]
        recipe = "images.py"
        variants = { base = { method = "train", epochs = 0 } }
        """
    )
    process = runner.start(config, "-n", "1")
    with watching_memory(process.pid) as watch:
        output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    run = RunDirectory((runner.results / "latest").resolve())
    (record,) = run.records().found
    assert record.data.samples == 10_000
    # Also of the process that has TensorFlow.
    assert watch.largest < 1 << 30, {pid: held >> 20 for pid, held in watch.peaks.items()}


@SLOW
def test_a_change_in_a_module_of_the_user_s_makes_other_models(
    project: Path, store: ProductStore
) -> None:
    _, before = surveyed(project, store)
    (project / "own" / "layers.py").write_text(LAYERS + "# A word.\n", encoding="utf-8")
    _, after = surveyed(project, store)
    assert before.origin.identity() != after.origin.identity()
    assert before.data == after.data
    rewrite(project, "default_rng(1)", "default_rng(2)")
    assert surveyed(project, store)[1].data != before.data


@SLOW
def test_options_reach_the_functions_that_take_them(project: Path, store: ProductStore) -> None:
    text = (GRID + VARIANTS).replace(
        'recipe = "recipes/kws.py"', 'recipe = "recipes/kws.py"\noptions = { width = 16 }'
    )
    (project / "bench.toml").write_text(text, encoding="utf-8")
    _, wide = surveyed(project, store)
    assert wide.network is not None
    assert {layer.name: layer.kernel for layer in wide.network.layers}["conv"] == (3, 3, 1, 16)
    # The first convolution is left alone, as are layers without a kernel.
    assert wide.network.compressed_layers == ("hidden", "out")
    (project / "bench.toml").write_text(text.replace("width =", "width_ ="), encoding="utf-8")
    with pytest.raises(BenchError, match="did you mean 'width'"):
        surveyed(project, store)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        pytest.param('"float32")', '"float32")[..., :9]', "[12, 9], and the model's input "
                     "'mfcc' takes [12, 10]", id="shape"),
        pytest.param("(x[:2500], y[:2500])", "(x[:2500], np.eye(4)[y[:2500]])",
                     "labels are one-hot", id="one-hot"),
        pytest.param("(x[:2500], y[:2500])", "(x[:2500], y[:400])", "same number of samples",
                     id="labels of other samples", marks=SLOW),
        pytest.param("(x[:2500], y[:2500])", "(x[:2500], y[:2500] + 1)",
                     "labels are 1 to 4, and the model has 4 classes", marks=SLOW,
                     id="labels beyond the classes"),
        pytest.param("y = rng", "x0 = np.nan; y = rng", "", id="harmless", marks=SLOW),
        pytest.param('[y]).astype("float32")', '[y] / 0).astype("float32")',
                     "is not finite", id="NaN", marks=SLOW),
        pytest.param("def data", "compressed_layers = ('hiden',)\ndef data",
                     "did you mean 'hidden'?", id="no such layer"),
        pytest.param("rng = np", "raise RuntimeError('no disk'); rng = np",
                     "data() raised RuntimeError: no disk\n  kws.py, line 14, in data",
                     id="raises"),
        pytest.param("import numpy", "import sys; sys.exit(3)\nimport numpy",
                     "importing it raised SystemExit: 3", id="exits", marks=SLOW),
        pytest.param("import numpy", "import numpi\nimport numpy",
                     "No module named 'numpi'", id="no such module"),
        pytest.param("import numpy", "print(1)\nimport numpy", "", id="prints", marks=SLOW),
        pytest.param("import numpy", "import os; os.fork()\nimport numpy", "", id="forks"),
        pytest.param("import numpy", "import os; os.chdir('/')\nimport numpy", "", id="moves",
                     marks=SLOW),
        pytest.param("return tf.keras.Model(", "return inputs  # (", "not a Keras model",
                     id="no model", marks=SLOW),
        pytest.param("def model(width=8):", "def network(width=8):", "no function model()",
                     id="no function", marks=SLOW),
        pytest.param("import tensorflow as tf", "import keras as k3\nimport tensorflow as tf",
                     "", id="keras 3 beside", marks=SLOW),
    ],
)  # fmt: skip
def test_a_mistake_in_a_recipe_is_one_message_before_anything_is_trained(
    project: Path, store: ProductStore, old: str, new: str, told: str
) -> None:
    """Printing, forking and changing the directory are no mistakes: they change nothing."""
    rewrite(project, old, new)
    if not told:
        assert surveyed(project, store)[1].data is not None
        return
    with pytest.raises(BenchError) as caught:
        surveyed(project, store)
    words = str(caught.value)
    assert told in words
    # Nothing but the message: no log, and no lines of libraries.
    assert "Traceback" not in words
    assert words.startswith(f"{project / 'bench.toml'}: workloads.kws.recipe: ")


@pytest.mark.parametrize("place", ["import numpy", pytest.param("rng = np", marks=SLOW)])
def test_a_recipe_that_never_ends_is_ended(project: Path, store: ProductStore, place: str) -> None:
    rewrite(project, place, f"import time; time.sleep(600); {place}")
    start = time.monotonic()
    with pytest.raises(BenchError, match="did not finish within 20 s"):
        surveyed(project, store, Bounds(20, 8 << 30))
    assert time.monotonic() - start < 60


@SLOW
@pytest.mark.long
def test_training_for_ever_is_ended_too(project: Path, store: ProductStore, tmp_path: Path) -> None:
    # 2,250,000 steps.
    text = (GRID + VARIANTS).replace("epochs = 4", "epochs = 1000, batch_size = 1")
    (project / "bench.toml").write_text(text, encoding="utf-8")
    workload, recipe = surveyed(project, store)
    with VariantBuilder(bounds=Bounds(25, 8 << 30)) as builder:
        source = ModelSource(store=store, builder=builder, data=SUBSET, recipes={"kws": recipe})
        with pytest.raises(BenchError, match=r"did not finish within 25 s.*\[training\]|minutes"):
            source.quantised("kws", workload, "base")


@SLOW
def test_data_that_is_another_each_time_is_refused(project: Path, store: ProductStore) -> None:
    rewrite(project, "default_rng(1)", "default_rng()")
    _, recipe = surveyed(project, store)
    with (
        VariantBuilder(bounds=Bounds(120, 8 << 30)) as builder,
        pytest.raises(BenchError, match="gave other data than when the run began"),
    ):
        stored_data("kws", recipe, builder, store)


@SLOW
def test_a_recipe_that_is_changed_during_the_run_is_refused(
    project: Path, store: ProductStore
) -> None:
    _, recipe = surveyed(project, store)
    rewrite(project, "strides=2", "strides=1")
    with (
        VariantBuilder(bounds=Bounds(120, 8 << 30)) as builder,
        pytest.raises(BenchError, match=r"kws\.py was changed while the bench was running"),
    ):
        stored_data("kws", recipe, builder, store)


@SLOW
@pytest.mark.parametrize("keras", ["2", pytest.param("3", marks=pytest.mark.long)])
def test_a_keras_file_and_its_data_need_no_code(
    keras: str, project: Path, store: ProductStore
) -> None:
    made = subprocess.run(
        [
            *(sys.executable, "-c"),
            f"import os; os.environ['TF_USE_LEGACY_KERAS'] = '{int(keras == '2')}'\n"
            "import tensorflow as tf\n"
            "layers = [tf.keras.layers.Input((6,)), tf.keras.layers.Dense(8, name='hidden'),\n"
            "    tf.keras.layers.Dense(3, activation='softmax', name='out')]\n"
            "tf.keras.Sequential(layers).save('net.keras')\n",
        ],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    with zipfile.ZipFile(project / "net.keras") as archive:
        assert json.loads(archive.read("metadata.json"))["keras_version"].startswith(keras)
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 60)
    x = rng.normal(size=(60, 6)) + y[:, None]
    splits = {"train_inputs": x[:40], "train_labels": y[:40]}
    splits |= {"test_inputs": x[40:], "test_labels": y[40:]}
    np.savez(project / "data.npz", **splits)  # type: ignore[arg-type]
    (project / "bench.toml").write_text(
        '[workloads.kws]\nkeras = "net.keras"\ndata = "data.npz"\n', encoding="utf-8"
    )
    workload, recipe = surveyed(project, store)
    assert list(workload.variants) == ["base", "pruned", "clustered", "pruned_clustered"]
    with VariantBuilder(bounds=Bounds(120, 8 << 30)) as builder:
        source = ModelSource(store=store, builder=builder, data=SUBSET, recipes={"kws": recipe})
        model = source.quantised("kws", workload, "base")
        assert model.record.provenance["epochs"] == "0"
        test_set = source.test_set("kws", workload, model)
    assert test_set.identity.samples == 20
    assert test_set.labels is not None
    content = (project / "net.keras").read_bytes()
    (project / "net.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(BenchError, match=r"net\.keras: tf_keras .* cannot load it"):
        surveyed(project, store)

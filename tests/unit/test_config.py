"""`bench.toml`: what is understood, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import ConfigError
from bench.plan.config import ModelFileWorkload, TrainedWorkload, load_config, parse_config
from targets.ethos_u55.accelerators import Accelerator
from tests.support.bench_runs import DEFAULT_CONFIG

PATH = Path("some/bench.toml")


def error(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, PATH)
    return str(caught.value)


def test_the_default_configuration_states_every_variant_parameter() -> None:
    config = load_config(DEFAULT_CONFIG)
    workload = config.workloads["mnist_fc"]
    assert isinstance(workload, TrainedWorkload)
    assert set(workload.variants) == {"base", "pruned", "clustered", "pruned_clustered"}
    text = DEFAULT_CONFIG.read_text(encoding="utf-8")
    for parameter in ("final_sparsity", "clusters", "preserve_sparsity", "per_channel_dense"):
        assert parameter in text


def test_one_line_brings_a_model() -> None:
    config = parse_config('[workloads]\nmine = "models/mine.tflite"\n', PATH)
    workload = config.workloads["mine"]
    assert isinstance(workload, ModelFileWorkload)
    assert workload.model == PATH.parent.resolve() / "models/mine.tflite"
    assert list(workload.variants) == ["base"]
    assert config.grid.macs == tuple(Accelerator)


def test_a_configuration_survives_the_way_to_a_worker() -> None:
    config = load_config(DEFAULT_CONFIG)
    assert type(config).model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[grid]\nmac = [32]\n[workloads]\n", ["grid", "unknown key 'mac'", "'macs'"]),
        ("[grid]\nmacs = [48]\n[workloads]\n", ["grid.macs[0]"]),
        ('[workloads]\n"my-model" = "a.tflite"\n', ["workload 'my-model'", "underscores"]),
        ('[grid]\nworkloads = ["x"]\n[workloads]\ny = "y.tflite"\n', ["unknown workload 'x'"]),
        ("[workloads.x]\nrecipe = 'mnist_fd'\n", ["did you mean 'mnist_fc'"]),
        ("[workloads.x]\n", ["workloads.x", "`model`", "`url`"]),
        ('[workloads.x]\nurl = "https://a/b"\n', ["workloads.x", "needs `sha256`"]),
        (
            '[workloads.x]\nmodel = "m.tflite"\n[[workloads.x.limits]]\nmetric = "accuracy"\n',
            ["workloads.x.limits[0]", "states no bound"],
        ),
        (
            '[workloads.x]\nmodel = "m"\n[[workloads.x.limits]]\nmetric = "accuracy"\n'
            "min = 2\nmax = 1\n",
            ["workloads.x.limits[0]", "min 2.0 is above max 1.0"],
        ),
        (
            '[workloads.x]\nrecipe = "mnist_fc"\n'
            'variants.a = { method = "prune", parent = "base" }\n',
            ["workloads.x", "'base' with method"],
        ),
        (
            '[workloads.x]\nrecipe = "mnist_fc"\n[workloads.x.variants]\n'
            'base = { method = "train", epochs = 1 }\na = { method = "prune", parent = "b" }\n',
            ["variants.a.parent", "unknown variant 'b'"],
        ),
        (
            '[workloads.x]\nrecipe = "mnist_fc"\n[workloads.x.variants]\n'
            'base = { method = "train", epochs = 1 }\na = { method = "prune", parent = "b" }\n'
            'b = { method = "prune", parent = "a" }\n',
            ["goes round in a circle"],
        ),
        (
            '[workloads.x]\nrecipe = "mnist_fc"\n[workloads.x.variants]\n'
            'base = { method = "train", epochs = 1 }\n'
            'a = { method = "prune", final_sparsity = 1.5 }\n',
            ["workloads.x.variants.a.final_sparsity"],
        ),
        ("schema_version = 2\n[workloads]\n", ["schema_version"]),
        ("[workloads\n", ["not valid TOML"]),
    ],
)
def test_errors_name_file_and_key(text: str, parts: list[str]) -> None:
    message = error(text)
    assert message.startswith(str(PATH))
    for part in parts:
        assert part in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_config(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "seed = -1\n",
        "sha257 = 0\n",
        'model = "m.tflite"\n',
        "[[workloads.m.limits]]\n",
    ],
)
def test_the_credentials_of_an_address_are_in_no_message(line: str) -> None:
    text = (
        '[workloads.m]\nurl = "https://us:s3cret@example.com/m.tflite?sig=t0ken"\n'
        f'sha256 = "{"0" * 64}"\n{line}'
    )
    # A configuration is shown where a program fails.
    said = error(text) if line else repr(parse_config(text, PATH))
    assert "workloads" in said
    assert "s3cret" not in said
    assert "t0ken" not in said

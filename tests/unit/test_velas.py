"""The version of Vela as an axis: how it is named, locked, judged, and shown."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.assembly.session import RunSetup
from bench.assembly.setup import prepare_run
from bench.cache import ArtefactCache
from bench.compiler import VelaInstallation, VelaOptions, find_lock, shipped_locks, vela_version
from bench.core.errors import ConfigError, PrerequisiteError
from bench.measuring.compilation import VelaInstallations
from bench.measuring.inputs import keep_inputs, sha256_of
from bench.measuring.progress import ignore
from bench.plan.config import BenchConfig, parse_config
from bench.plan.grid import make_plan
from bench.records.record import CellIdentity, Record
from bench.report.table import render, workload_tables
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from tests.support.models.tflite_factory import mlp
from tests.support.records import dense_layer_cell, dense_layer_record
from tests.support.report_runs import studies_of_records

WORKLOADS = '[workloads]\nm = "m.tflite"\n'


def config_of(text: str, directory: Path = Path("here")) -> BenchConfig:
    return parse_config(text + WORKLOADS, directory / "bench.toml")


def prepared(directory: Path, text: str = "", velas: tuple[str, ...] = ()) -> RunSetup:
    (directory / "m.tflite").write_bytes(mlp([np.ones((4, 4), dtype=np.int8)]))
    path = directory / "bench.toml"
    path.write_text(text + WORKLOADS, encoding="utf-8")
    return prepare_run(
        config_path=path,
        targets=("vela",),
        velas=velas,
        results=None,
        cache_root=directory / "cache",
        invocation=(),
    )


def test_without_the_axis_the_installed_vela_compiles_and_no_id_says_so() -> None:
    cells = make_plan(config_of("")).cells
    assert {cell.vela for cell in cells} == {"installed"}
    assert cells[0].id == "m-base-u55_32-shared_sram-sim"


def test_the_installed_version_has_the_same_cells_however_it_is_written() -> None:
    usual = make_plan(config_of("")).cells
    by_number = config_of(f'[grid]\nvela = ["{vela_version()}"]\n')
    assert make_plan(by_number).cells == usual
    twice = config_of(f'[grid]\nvela = ["{vela_version()}", "installed"]\n')
    with pytest.raises(ConfigError, match="same cell twice"):
        make_plan(twice)


def test_another_version_ends_the_id() -> None:
    config = config_of('[grid]\nvela = ["5.0.0"]\nmacs = [128]\ntargets = ["vela"]\n')
    ids = [cell.id for cell in make_plan(config).cells]
    assert ids == [
        "m-base-u55_128-shared_sram-vela-vela_5_0_0",
        "m-base-u55_128-sram_only-vela-vela_5_0_0",
    ]


@pytest.mark.parametrize("wrong", ["latest", "5.0", "5.0.0-1", "v5.0.0", "", "5.0.0/..", "5.0.0 "])
def test_what_is_no_version_is_refused_by_key(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"grid\.vela: .*no version of Vela.*'5\.0\.0'"):
        config_of(f'[grid]\nvela = ["{wrong}"]\n')
    with pytest.raises(ConfigError, match=r"vela\.locks: .*no version of Vela"):
        config_of(f'[vela.locks]\n"{wrong}" = "x.txt"\n')
    with pytest.raises(ConfigError, match=r"--bench-vela: .*no version of Vela"):
        prepared(tmp_path, velas=(wrong,))


def test_a_version_without_a_lock_file_is_refused_with_the_key_that_names_one(
    tmp_path: Path,
) -> None:
    for text, velas, place in (
        ('[grid]\nvela = ["4.2.0"]\n', (), "grid.vela"),
        ("", ("4.2.0",), "--bench-vela"),
    ):
        with pytest.raises(ConfigError) as caught:
            prepared(tmp_path, text, velas)
        assert place in caught.value.what
        assert "no lock file for Vela 4.2.0" in caught.value.what
        assert '[vela.locks] "4.2.0" = "vela-4.2.0.txt"' in caught.value.cure
    assert not (tmp_path / "cache").exists()


def test_the_command_line_replaces_the_versions_of_the_grid(tmp_path: Path) -> None:
    setup = prepared(tmp_path, '[grid]\nvela = ["5.0.0"]\n', ("5.1.0", vela_version()))
    assert {cell.vela for cell in setup.plan().cells} == {"5.1.0", "installed"}
    assert RunSetup.from_json(setup.to_json()).plan() == setup.plan(), "another plan in a worker"


def test_a_users_lock_file_is_read_and_kept_as_it_was_checked(tmp_path: Path) -> None:
    lock = tmp_path / "mine.txt"
    lock.write_text("ethos-u-vela==4.2.0 \\\n    --hash=sha256:00\n", encoding="utf-8")
    config = config_of('[vela.locks]\n"4.2.0" = "mine.txt"\n', tmp_path)
    assert find_lock("4.2.0", config.vela.locks).path == lock
    kept = keep_inputs(config, {lock: sha256_of(lock)}, ArtefactCache(tmp_path / "cache"))
    lock.write_text("ethos-u-vela==4.2.0 \\\n    --hash=sha256:11\n", encoding="utf-8")
    assert b"sha256:00" in find_lock("4.2.0", kept.vela.locks).content


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("ethos-u-vela==5.0.0\n", "ethos-u-vela==4.2.0, but 5.0.0"),
        ("numpy==2.0.0\n", "but no version of it"),
        ("ethos-u-vela==4.2.0\nethos-u-vela==4.3.0\n", "but 4.2.0, 4.3.0"),
        ("ethos-u-vela>=4.2.0\n", "but no version of it"),
        (None, "cannot be read"),
    ],
)
def test_a_lock_file_of_something_else_is_refused(
    content: str | None, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "lock.txt"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        find_lock("4.2.0", {"4.2.0": path})
    assert 'vela.locks."4.2.0"' in caught.value.what
    assert told in caught.value.what
    assert str(path) in caught.value.what


def test_every_package_of_a_shipped_lock_has_hashes_and_no_index() -> None:
    shipped = shipped_locks()
    assert {"5.0.0", "5.1.0", "5.2.0"} <= set(shipped)
    for version in shipped:
        text = find_lock(version, {}).content.decode()
        assert "://" not in text
        packages = re.split(r"\n(?=\S)", text.strip())
        assert len(packages) > 2
        for package in packages:
            assert re.match(r"[a-z0-9-]+==\S+", package), package
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", package), package


OPTIONS = st.builds(
    VelaOptions,
    accelerator=st.sampled_from(Accelerator),
    memory_mode=st.sampled_from(MemoryMode),
    system_config=st.sampled_from(["Ethos_U55_High_End_Embedded", "Ethos_U55_Mine"]),
    optimise=st.sampled_from(["Performance", "Size"]),
    arena_cache_kib=st.none() | st.integers(1, 4096),
    cpu_tensor_alignment=st.none() | st.sampled_from([16, 32, 64]),
    extra=st.lists(st.sampled_from(["--tensor-allocator", "Greedy", "--x=1"])).map(tuple),
)
COMPILES = st.tuples(OPTIONS, st.sampled_from(["5.0.0", "5.2.0"]), st.sampled_from(["0" * 64, "f"]))


@given(COMPILES, COMPILES)
def test_every_option_and_the_version_have_a_place_in_the_key(
    one: tuple[VelaOptions, str, str], other: tuple[VelaOptions, str, str]
) -> None:
    keys = [options.fingerprint(version, sha256) for options, version, sha256 in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
    # A new option that is not in the strategy above would not be tried.
    assert set(VelaOptions.model_fields) - {"config_file"} == {
        *("accelerator", "memory_mode", "system_config", "optimise"),
        *("arena_cache_kib", "cpu_tensor_alignment", "extra"),
    }


def test_the_configuration_file_is_that_of_the_version(tmp_path: Path) -> None:
    ini = tmp_path / "ethosu" / "config_files" / "Arm" / "vela.ini"
    ini.parent.mkdir(parents=True)
    ini.write_text("[Memory_Mode.Other]\n", encoding="utf-8")
    other = VelaInstallation("5.0.0", tmp_path)
    options = VelaOptions(accelerator=Accelerator.U55_128, memory_mode=MemoryMode.SHARED_SRAM)
    assert options.config_sha256(other) == sha256_of(ini)
    with pytest.raises(ConfigError, match="no section"):
        options.check(other)
    ini.unlink()
    with pytest.raises(PrerequisiteError, match=r"Vela 5\.0\.0 .*without its configuration file"):
        options.check(other)


def test_a_version_that_is_not_installed_is_not_found(tmp_path: Path) -> None:
    installations = VelaInstallations(ArtefactCache(tmp_path), {}, ignore)
    assert installations.find("5.0.0") is None
    assert list(tmp_path.iterdir()) == []
    here = installations.find("installed")
    assert here is not None
    assert (here.version, here.directory) == (vela_version(), None)


def test_a_record_from_before_the_axis_is_of_the_installed_vela() -> None:
    document = CellIdentity.of(dense_layer_cell("base")).model_dump(mode="json")
    assert document.pop("vela") == "installed"
    assert CellIdentity.model_validate(document).vela == "installed"


def test_the_table_has_a_row_for_each_version_and_names_it() -> None:
    def of(vela: str, version: str, **cell: str) -> Record:
        record = dense_layer_record("base")
        identity = record.cell.model_copy(update={"vela": vela, "id": vela, **cell})
        compilation = record.compilation.model_copy(update={"vela_version": version})
        return record.model_copy(update={"cell": identity, "compilation": compilation})

    def rows(*records: Record) -> list[str]:
        text = render(workload_tables(studies_of_records(records), 200), 200)
        return [line for line in text.splitlines() if line.startswith("│ base")]

    here = of("installed", "5.2.0")
    assert len(rows(here)) == 1
    assert "5.2.0" not in rows(here)[0], "the version is no axis here"
    both = rows(here, of("5.0.0", "5.0.0"))
    assert ["5.2.0" in both[0], "5.0.0" in both[1], len(both)] == [True, True, 2]
    # The same holds for what else tells cells apart.
    deep = rows(here, of("installed", "5.2.0", system_config="Ethos_U55_Deep_Embedded"))
    assert ["High_End" in deep[0], "Deep" in deep[1]] == [True, True]
    assert "ideal" in rows(here, of("installed", "5.2.0", timing="ideal"))[1]


def test_what_limits_a_cell_is_said_of_its_version() -> None:
    def of(version: str, words: str) -> Record:
        record = dense_layer_record("base")
        compilation = record.compilation.model_copy(update={"vela_version": version})
        measurement = record.measurement.model_copy(update={"explanation": words})
        return record.model_copy(update={"compilation": compilation, "measurement": measurement})

    text = render(
        workload_tables(
            studies_of_records([of("5.2.0", "flash binds."), of("5.0.0", "SRAM binds.")]), 200
        ),
        200,
    )
    assert "base, Shared_Sram under Vela 5.2.0: flash binds" in text
    assert "base, Shared_Sram under Vela 5.0.0: SRAM binds" in text
    alone = render(workload_tables(studies_of_records([of("5.2.0", "flash binds.")]), 200), 200)
    assert "base, Shared_Sram: flash binds" in alone

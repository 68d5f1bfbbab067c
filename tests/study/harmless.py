"""Changes that make nothing worse: seeds, names, order, places, and how the bench is run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

from tests.study.case import Harmless
from tests.study.project import Project

__all__ = ["HARMLESS"]


def _edited(before: str, after: str) -> Callable[[Project], None]:
    return lambda project: project.replace(before, after)


def _arguments(*arguments: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        project.arguments = arguments

    return change


def _environment(**variables: str) -> Callable[[Project], None]:
    return lambda project: project.environment.update(variables)


def _nothing(_: Project) -> None:
    """Run again."""


def _of_training() -> Iterator[Harmless]:
    for seed in (2, 3, 4):
        yield Harmless(f"another seed: {seed}", "trained", _edited("seed = 1", f"seed = {seed}"))
    yield Harmless("trained again from nothing", "trained", _fresh_cache)
    yield Harmless("variants in another order", "trained", _reordered_variants)
    yield Harmless("a title", "trained", _edited("seed = 1", 'seed = 1\ntitle = "The study"'))
    yield Harmless(
        "default values written out",
        "trained",
        _edited("seed = 1", "seed = 1\norder_tolerance = 0.0"),
    )
    yield Harmless("two workers", "trained", _arguments("-n", "2", "--bench-ci"))


def _fresh_cache(project: Project) -> None:
    project.cache = project.directory / "cache"


def _reordered_variants(project: Project) -> None:
    head, *tables = project.config.split("[workloads.fc.variants.")
    project.config = "[workloads.fc.variants.".join([head, *reversed(tables)])


def _renamed_tensors(project: Project) -> None:
    """The bytes differ, so it is another model; nothing it computes does."""
    path = project.directory / "net.tflite"
    path.write_bytes(path.read_bytes().replace(b"constant_", b"Weights__"))


def _described(project: Project) -> None:
    path = project.directory / "net.tflite"
    # Readers ignore what follows the buffer.
    path.write_bytes(path.read_bytes() + b"\0" * 16)


def _moved_model(project: Project) -> None:
    (project.directory / "models").mkdir()
    shutil.move(project.directory / "net.tflite", project.directory / "models" / "net.tflite")
    project.replace('"net.tflite"', '"models/net.tflite"')


def _linked_model(project: Project) -> None:
    shutil.move(project.directory / "net.tflite", project.directory / "real.tflite")
    (project.directory / "net.tflite").symlink_to("real.tflite")


def _absolute_paths(project: Project) -> None:
    project.replace('"net.tflite"', f'"{project.directory / "net.tflite"}"')


def _touched(project: Project) -> None:
    for path in project.directory.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))


def _elsewhere(name: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        there = project.directory / name
        there.mkdir(parents=True)
        for path in list(project.directory.iterdir()):
            if path.name in ("net.tflite", "net.npz", "baselines"):
                shutil.move(path, there / path.name)
        project.directory = there

    return change


def _other_results(project: Project) -> None:
    project.arguments = (*project.arguments, f"--bench-results={project.directory / 'other'}")


def _crlf(project: Project) -> None:
    project.config = project.config.replace("\n", "\r\n")


def _byte_order_mark(project: Project) -> None:
    project.config = "\ufeff" + project.config


def _inline(project: Project) -> None:
    project.replace(
        '[workloads.net]\nmodel = "net.tflite"\ndataset = "net.npz"\n',
        '[workloads]\nnet = { dataset = "net.npz", model = "net.tflite" }\n',
    )


def _other_config_name(project: Project) -> None:
    project.config_name = "nightly.toml"


def _part_of_the_suites(project: Project) -> None:
    project.arguments = (*project.arguments, "-k", "npu_cycles or accuracy")


def _of_files() -> Iterator[Harmless]:
    yield Harmless("nothing at all", "files", _nothing)
    yield Harmless("tensors renamed", "files", _renamed_tensors)
    yield Harmless("padding after the model", "files", _described)
    yield Harmless("model moved", "files", _moved_model)
    yield Harmless("model behind a link", "files", _linked_model)
    yield Harmless("paths absolute", "files", _absolute_paths)
    yield Harmless("files with old dates", "files", _touched)
    yield Harmless("directory moved", "files", _elsewhere("moved/far/away"))
    yield Harmless("blanks and accents in the path", "files", _elsewhere("Möwe und Maß"))
    yield Harmless("other results directory", "files", _other_results)
    yield Harmless("Windows line ends", "files", _crlf)
    yield Harmless("byte order mark", "files", _byte_order_mark)
    yield Harmless("inline tables instead of headings", "files", _inline)
    yield Harmless("other name of the configuration", "files", _other_config_name)
    yield Harmless("grid in another order", "files", _edited("[32, 128]", "[128, 32]"))
    yield Harmless("comments", "files", _edited("[grid]\n", "# A remark.\n[grid]  # another\n"))
    yield Harmless(
        "a limit that holds",
        "files",
        _edited(
            'dataset = "net.npz"\n',
            'dataset = "net.npz"\nlimits = [{ metric = "npu_cycles", max = 9e9 }]\n',
        ),
    )
    yield Harmless(
        "another tolerance, not needed",
        "files",
        _edited("[vela]\n", '[baselines]\nimprovement = "fail"\n\n[vela]\n'),
    )
    yield Harmless("longer time limits", "files", _edited("[vela]\n", "[vela]\ntimeout_s = 900\n"))
    yield Harmless("fresh cache", "files", _fresh_cache)
    yield Harmless("a part of the suites", "files", _part_of_the_suites)
    yield Harmless("two workers, files", "files", _arguments("-n", "2", "--bench-ci"))
    yield Harmless("one worker", "files", _arguments("-n", "1", "--bench-ci"))
    yield Harmless("eight workers", "files", _arguments("-n", "8", "--bench-ci"))
    yield Harmless(
        "other distribution", "files", _arguments("-n", "2", "--dist", "worksteal", "--bench-ci")
    )
    yield Harmless("locale C", "files", _environment(LC_ALL="C", LANG="C"))
    yield Harmless("another time zone", "files", _environment(TZ="Pacific/Kiritimati"))
    yield Harmless("random hashes", "files", _environment(PYTHONHASHSEED="12345"))
    yield Harmless("one thread of BLAS", "files", _environment(OPENBLAS_NUM_THREADS="1"))
    yield Harmless("no bytecode", "files", _environment(PYTHONDONTWRITEBYTECODE="1"))
    yield Harmless("CI's own variables", "files", _environment(CI="true", GITHUB_SHA="0" * 40))


#: All of them.
HARMLESS = (*_of_training(), *_of_files())

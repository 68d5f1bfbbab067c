"""A stand-in for the FVP with a program of Arm's on it: takes its files, prints its log.

`python -m tests.support.fvp.runner_stand_in LOG FVP-OPTIONS...`: LOG is printed as it is. If a
model and an input are loaded where MLEK's inference runner wants them, the simulator makes the
output, which is dumped as asked.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from targets.artefact import load_artefact
from targets.simulator.simulator import Simulator


def main() -> None:
    log, *rest = sys.argv[1:]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-a", type=Path, required=True)
    parser.add_argument("-C", action="append")
    parser.add_argument("--stat", action="store_true")
    parser.add_argument("--data", action="append", default=[])
    parser.add_argument("--dump")
    options = parser.parse_args(rest)
    assert options.a.read_bytes().startswith(b"program")
    loaded = {int(item.split("@")[1], 0): Path(item.split("@")[0]) for item in options.data}
    if 0x90000000 in loaded and options.dump is not None:
        artefact = load_artefact(loaded[0x90000000])
        tensor = artefact.tensors[artefact.inputs[0]]
        row = np.frombuffer(loaded[0x92000000].read_bytes(), tensor.dtype)
        outputs = Simulator(artefact).run([row.reshape(1, *tensor.shape[1:])]).outputs
        file, place = options.dump.removeprefix("cpu0=").split("@")
        assert place == f"Memory:0x93000000,{outputs[0].nbytes}", place
        Path(file).write_bytes(outputs[0].tobytes())
    sys.stdout.write(Path(log).read_text(encoding="utf-8").replace("\n", "\r\n"))


if __name__ == "__main__":
    main()

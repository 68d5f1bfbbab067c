"""Logs as the real FVP and the programs on it print them, written from their published formats."""

from __future__ import annotations

import base64
import json

__all__ = ["BANNER", "EXECUTORCH", "MLEK", "MLEK_2103", "MLEK_METRICS", "MLEK_OLDER", "STATISTICS"]

BANNER = """\
telnetterminal0: Listening for serial connection on port 5000
telnetterminal1: Listening for serial connection on port 5001
telnetterminal2: Listening for serial connection on port 5002
telnetterminal5: Listening for serial connection on port 5003

    Ethos-U rev 136b7d75 --- Apr 12 2023 13:44:01
    (C) COPYRIGHT 2019-2023 Arm Limited
    ALL RIGHTS RESERVED

"""

STATISTICS = """\

Info: /OSCI/SystemC: Simulation stopped by user.

--- FVP_MPS3_Corstone_SSE_300 statistics: -------------------------------------
Simulated time                          : 0.066055s
User time                               : 1.203125s
System time                             : 0.031250s
Wall time                               : 1.248032s
Performance index                       : 0.05
cpu0                                    :  36.57 MIPS (    73961463 Inst)
-------------------------------------------------------------------------------
"""

_MLEK_HEAD = """\
INFO - Processor internal clock: 32000000Hz
INFO - platform: mps3-sse-300
INFO - ARM ML Embedded Evaluation Kit
INFO - Ethos-U version info:
INFO - \tArch:       v1.1.0
INFO - \tMACs/cc:    128
INFO - Running inference...
"""
_MLEK_TAIL = """\
INFO - Inference completed.
INFO - Total number of inferences: 1
INFO - program terminating...
"""

MLEK = (
    _MLEK_HEAD
    + """\
INFO - Profile for Inference:
INFO - NPU AXI0_RD_DATA_BEAT_RECEIVED: 9012 beats
INFO - NPU AXI0_WR_DATA_BEAT_WRITTEN: 3345 beats
INFO - NPU AXI1_RD_DATA_BEAT_RECEIVED: 12618 beats
INFO - NPU ACTIVE: 91050 cycles
INFO - NPU IDLE: 1213 cycles
INFO - NPU TOTAL: 92263 cycles
"""
    + _MLEK_TAIL
)

MLEK_OLDER = (
    _MLEK_HEAD
    + """\
INFO - Profile for Inference:
INFO - NPU AXI0_RD_DATA_BEAT_RECEIVED beats: 9012
INFO - NPU AXI0_WR_DATA_BEAT_WRITTEN beats: 3345
INFO - NPU AXI1_RD_DATA_BEAT_RECEIVED beats: 12618
INFO - NPU ACTIVE cycles: 91050
INFO - NPU IDLE cycles: 1213
INFO - NPU TOTAL cycles: 92263
"""
    + _MLEK_TAIL
)

MLEK_2103 = (
    _MLEK_HEAD
    + """\
INFO - Profile for Inference:
\tActive NPU cycles: 91050
\tIdle NPU cycles:   1213
\tTotal NPU cycles:  92263
"""
    + _MLEK_TAIL
)

_SAMPLES = [
    {"name": "NPU AXI0_RD_DATA_BEAT_RECEIVED", "value": [9012]},
    {"name": "NPU AXI0_WR_DATA_BEAT_WRITTEN", "value": [3345]},
    {"name": "NPU AXI1_RD_DATA_BEAT_RECEIVED", "value": [12618]},
    {"name": "NPU ACTIVE", "value": [91050]},
    {"name": "NPU IDLE", "value": [1213]},
    {"name": "NPU TOTAL", "value": [92263]},
]
_METRICS = [{"profiling_group": "Inference", "count": 1, "samples": _SAMPLES}]
MLEK_METRICS = (
    _MLEK_HEAD
    + f"<metrics>{base64.b64encode(json.dumps(_METRICS).encode()).decode()}</metrics>\n"
    + _MLEK_TAIL
)

EXECUTORCH = """\
I [executorch:arm_executor_runner.cpp:412 main()] Running program...
I [executorch:arm_perf_monitor.cpp:184] NPU Inferences : 1
I [executorch:arm_perf_monitor.cpp:189] NPU delegations: 1 (1.00 per inference)
I [executorch:arm_perf_monitor.cpp:193] Profiler report, CPU cycles per operator:
I [executorch:arm_perf_monitor.cpp:205] ethos-u : cycle_cnt : 93100 cycles
I [executorch:arm_perf_monitor.cpp:212] Inference runtime: 99831 CPU cycles total
I [executorch:arm_perf_monitor.cpp:220] NOTE: CPU cycle values and ratio calculations require FPGA
I [executorch:arm_perf_monitor.cpp:231] --- Ethos-U ---
I [executorch:arm_perf_monitor.cpp:240] ethosu_pmu_cycle_cntr :  92263 (92263.00 per inference)
I [executorch:arm_perf_monitor.cpp:248] ethosu_pmu_cntr0 : 9012
I [executorch:arm_perf_monitor.cpp:248] ethosu_pmu_cntr1 : 3345
I [executorch:arm_perf_monitor.cpp:248] ethosu_pmu_cntr2 : 12618
I [executorch:arm_perf_monitor.cpp:248] ethosu_pmu_cntr3 : 91050
I [executorch:arm_perf_monitor.cpp:252] Ethos-U PMU Events:[ETHOSU_PMU_AXI0_RD_DATA_BEAT_RECEIVED, \
ETHOSU_PMU_AXI0_WR_DATA_BEAT_WRITTEN, ETHOSU_PMU_AXI1_RD_DATA_BEAT_RECEIVED, ETHOSU_PMU_NPU_ACTIVE]
I [executorch:arm_executor_runner.cpp:540 main()] Program complete, exiting.
"""

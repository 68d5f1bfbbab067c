"""`bench.toml`: what it may contain (`workloads`, `settings`) and how it is read (`loading`).

The package does not touch models, caches or targets.
"""

from bench.plan.config.baselines import BaselineConfig, ToleranceRule, Widths
from bench.plan.config.limits import LimitRule
from bench.plan.config.loading import load_config, named_velas, parse_config
from bench.plan.config.settings import (
    BenchConfig,
    DataConfig,
    GridConfig,
    HistoryConfig,
    ReferenceConfig,
    SweepConfig,
    TrainingConfig,
    fingerprint,
    profile_name,
    timing_of,
)
from bench.plan.config.workloads import (
    BASE_VARIANT,
    Binding,
    CustomMetric,
    FrozenModel,
    ModelFileWorkload,
    TrainedWorkload,
    Workload,
)

__all__ = [
    "BASE_VARIANT",
    "BaselineConfig",
    "BenchConfig",
    "Binding",
    "CustomMetric",
    "DataConfig",
    "FrozenModel",
    "GridConfig",
    "HistoryConfig",
    "LimitRule",
    "ModelFileWorkload",
    "ReferenceConfig",
    "SweepConfig",
    "ToleranceRule",
    "TrainedWorkload",
    "TrainingConfig",
    "Widths",
    "Workload",
    "fingerprint",
    "load_config",
    "named_velas",
    "parse_config",
    "profile_name",
    "timing_of",
]

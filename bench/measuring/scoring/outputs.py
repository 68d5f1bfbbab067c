"""Which of a model's outputs is judged, known before anything is compiled or run."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.errors import ModelError
from bench.core.schema import suggest
from bench.measuring.scoring.labels import LabelFacts
from bench.measuring.scoring.scores import check_labels
from bench.plan.metrics import AccuracyMetric
from bench.tflite.model_file import TensorInfo

__all__ = ["judged_output"]

_KEY = 'say which one with output = "NAME"'


def judged_output(
    metric: AccuracyMetric | None,
    outputs: Sequence[TensorInfo],
    labels: LabelFacts | None,
    wanted: str | None,
) -> int:
    """The index, among `outputs`, of the output that `labels` belong to.

    This is the one named `wanted`; without a name, the only one, or the only one that the labels
    fit by shape. A `metric` of None is a team's own, which takes any output.

    Raises `ModelError` if there is no such output, if the labels do not fit it, or if without a
    name the labels fit several outputs or none.
    """
    names = [tensor.name for tensor in outputs]
    if wanted is not None:
        if wanted not in names:
            raise ModelError(
                f"the model has no output {wanted!r}; {suggest(wanted, names)}",
                cure="correct the key `output`",
            )
        place = names.index(wanted)
    elif len(outputs) == 1 or labels is None:
        place = 0
    else:
        place = _only_fitting(metric, outputs, labels)
    if labels is not None and metric is not None:
        check_labels(metric, _shape(outputs[place], labels), labels)
    return place


def _only_fitting(
    metric: AccuracyMetric | None, outputs: Sequence[TensorInfo], labels: LabelFacts
) -> int:
    described = ", ".join(f"{tensor.name} {list(tensor.shape[1:])}" for tensor in outputs)
    if metric is None:
        raise ModelError(f"the model has {len(outputs)} outputs: {described}", cure=_KEY)
    fitting, problem = [], ""
    for place, tensor in enumerate(outputs):
        try:
            check_labels(metric, _shape(tensor, labels), labels)
            fitting.append(place)
        except ModelError as error:
            problem = error.what
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        what = f"the labels fit {len(fitting)} of the model's {len(outputs)} outputs: {described}"
        raise ModelError(what, cure=_KEY)
    raise ModelError(
        f"the labels fit none of the model's {len(outputs)} outputs ({described}): {problem}",
        cure="correct the labels or choose another metric",
    )


def _shape(tensor: TensorInfo, labels: LabelFacts) -> tuple[int, ...]:
    row = tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape
    return (labels.shape[0], *row)

"""TFX's Evaluator with five additions.

The baseline may be an empty model, because the first run has no production model. Slices with
enough examples must meet bounds of their own. A model must be better than a constant answer and be
tested on each class, also without any threshold in the config. The component also writes a
scorecard, and the predictions of both models for each image.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tfx import types
from tfx.components.evaluator import component as tfx_evaluator
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as tfx_executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.types.channel import BaseChannel, Channel
from tfx.utils import io_utils, json_utils

from components.evaluator import extractors, predictions, results, scorecard
from components.evaluator.eval_config import eval_config
from components.evaluator.options import Evaluation
from components.production_model import component as production_model
from trainer import fingerprint

_SCORECARD_KEY = "scorecard"


class EvaluatorSpec(standard_component_specs.EvaluatorSpec):
    """TFX's spec with a parameter for labels, config and code fingerprint, as JSON."""

    PARAMETERS = {
        **standard_component_specs.EvaluatorSpec.PARAMETERS,
        _SCORECARD_KEY: component_spec.ExecutionParameter(type=str),
    }


class Executor(tfx_executor.Executor):
    """TFX's executor; also drops an empty baseline, saves predictions and writes a scorecard."""

    def Do(  # noqa: N802, the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates the candidate, sets the blessing and writes the scorecard."""
        baselines = input_dict[standard_component_specs.BASELINE_MODEL_KEY]
        inputs = {
            **input_dict,
            standard_component_specs.BASELINE_MODEL_KEY: [
                model
                for model in baselines
                if model.get_int_custom_property(production_model.VERSION_KEY)
                != production_model.NO_VERSION
            ],
        }
        folder = artifact_utils.get_single_uri(output_dict[standard_component_specs.EVALUATION_KEY])
        with predictions.kept_in(folder):
            super().Do(inputs, output_dict, exec_properties)
        options = json_utils.loads(exec_properties[_SCORECARD_KEY])
        evaluation = Evaluation.model_validate(options["evaluation"])
        card = results.read(folder, options["labels"], evaluation)
        io_utils.write_string_file(os.path.join(folder, scorecard.FILE_NAME), card.to_json())
        blessing = artifact_utils.get_single_instance(
            output_dict[standard_component_specs.BLESSING_KEY]
        )
        _bless(blessing, card.blessed)


def _bless(blessing: types.Artifact, blessed: bool) -> None:
    """Sets a blessing, whether TFX set it to the same, to the other, or, without bounds, not."""
    names = (constants.NOT_BLESSED_FILE_NAME, constants.BLESSED_FILE_NAME)
    other = os.path.join(blessing.uri, names[not blessed])
    if fileio.exists(other):
        fileio.remove(other)
    io_utils.write_string_file(os.path.join(blessing.uri, names[blessed]), "")
    value = constants.BLESSED_VALUE if blessed else constants.NOT_BLESSED_VALUE
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)


class Evaluator(tfx_evaluator.Evaluator):
    """Evaluates the candidate on the `test` split, in comparison with the model in production."""

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: BaseChannel,
        model: BaseChannel,
        baseline_model: BaseChannel,
        labels: Sequence[str],
        evaluation: Evaluation,
    ) -> None:
        """Declares the component.

        Args:
            examples: channel of transformed `Examples`.
            model: channel of `Model`, the candidate.
            baseline_model: channel of `Model`, from ProductionModel; the model may be empty.
            labels: class names; the index in this list is the class id.
            evaluation: the config's section `evaluation`.
        """
        options = {
            "labels": list(labels),
            "evaluation": evaluation.model_dump(mode="json"),
            # Nothing reads it, but it lets TFX's cache key change with the code of the metrics.
            "code": fingerprint.digest(("evaluator",), {}, "components"),
        }
        # TFX's own constructor does not take the extra parameter.
        base_beam_component.BaseBeamComponent.__init__(
            self,
            spec=EvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                example_splits=json_utils.dumps(["test"]),
                eval_config=eval_config(evaluation, labels),
                fairness_indicator_thresholds=json_utils.dumps(None),
                module_path=extractors.__name__,
                evaluation=Channel(type=standard_artifacts.ModelEvaluation),
                blessing=Channel(type=standard_artifacts.ModelBlessing),
                **{_SCORECARD_KEY: json_utils.dumps(options)},
            ),
        )

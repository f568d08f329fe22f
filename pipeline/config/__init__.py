"""The typed config: what a config file may say, and how it is read.

The models of the sections declare keys, defaults, ranges and descriptions, once. Error messages,
the file that `retrain init` writes and `docs/config.md` derive from them. Nothing heavy is
imported here, so that the command line reports a mistake in a config at once.
"""

from components.evaluator.catalogue import METRICS
from components.evaluator.options import Evaluation, Thresholds
from components.image_example_gen.options import Splits
from components.pusher.options import Push
from components.serving_validator.options import Serving
from pipeline.config.data import Data
from pipeline.config.error import ConfigError
from pipeline.config.kubeflow import Kubeflow, Step
from pipeline.config.loading import (
    check_weights,
    load,
    read_label_file,
    read_labels,
    resolve,
    validate,
)
from pipeline.config.root import Beam, Config
from pipeline.config.yaml_text import parse
from trainer.options.backbone import Backbone
from trainer.options.image import Image
from trainer.options.training import Trainer
from trainer.section import did_you_mean, is_remote, shown

__all__ = [
    "METRICS",
    "Backbone",
    "Beam",
    "Config",
    "ConfigError",
    "Data",
    "Evaluation",
    "Image",
    "Kubeflow",
    "Push",
    "Serving",
    "Splits",
    "Step",
    "Thresholds",
    "Trainer",
    "check_weights",
    "did_you_mean",
    "is_remote",
    "load",
    "parse",
    "read_label_file",
    "read_labels",
    "resolve",
    "shown",
    "validate",
]

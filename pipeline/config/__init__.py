"""The typed config: what a config file may say, and how it is read.

The models of the sections are the one place where keys, defaults, ranges and their descriptions
stand. The messages about a wrong config and the file that `retrain init` writes are both made from
them. Nothing heavy is imported here, so a mistake in a config is told at once.
"""

from pipeline.config.data import Data, Splits
from pipeline.config.error import ConfigError
from pipeline.config.evaluation import METRICS, Evaluation, Thresholds
from pipeline.config.kubeflow import Kubeflow, Step
from pipeline.config.loading import (
    check_weights,
    load,
    parse,
    read_label_file,
    read_labels,
    resolve,
    validate,
)
from pipeline.config.messages import allowed, properties, schema
from pipeline.config.root import Beam, Config, Push
from pipeline.config.serving import Serving
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
    "allowed",
    "check_weights",
    "did_you_mean",
    "is_remote",
    "load",
    "parse",
    "properties",
    "read_label_file",
    "read_labels",
    "resolve",
    "schema",
    "shown",
    "validate",
]

"""The typed config: the keys that a config file may have, and how the file is read.

Pydantic models declare keys, defaults, ranges and descriptions once. Error messages, the file that
`retrain init` writes and `docs/config.md` derive from them. Importing this package loads nothing
heavy, so the command line reports a mistake in a config at once.
"""

from pipeline.config.error import ConfigError
from pipeline.config.kubeflow import Step
from pipeline.config.loading import (
    check_weights,
    load,
    read_label_file,
    read_labels,
    resolve,
    validate,
)
from pipeline.config.root import Config
from pipeline.config.yaml_text import parse
from trainer.section import did_you_mean, is_remote, shown

__all__ = [
    "Config",
    "ConfigError",
    "Step",
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

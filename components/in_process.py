"""Where Beam runs a data step that names no runner: in the process of the step."""

from __future__ import annotations

from apache_beam.options.pipeline_options import StandardOptions

_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def prefer() -> None:
    """Makes Beam run in this process where no `--runner` is given.

    Beam 2.68 and later first try Prism, a program that they download. As an option of the pipeline
    the runner would make TFX build a package of itself for each step.
    """
    StandardOptions.DEFAULT_RUNNER = _RUNNER

"""Runtime parameters of what is compiled: their defaults, their steps, and other values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubeflow import compile as compiler
from kubeflow.blueprint import chosen
from kubeflow.emulator import driver
from tests.kubeflow.conftest import LABELS, Compiled, settings, tasks_of


def test_what_an_operator_changes_is_a_parameter_with_a_default(spec: dict[str, Any]) -> None:
    declared = spec["root"]["inputDefinitions"]["parameters"]
    defaults = {name: parameter["defaultValue"] for name, parameter in declared.items()}
    assert defaults.items() >= {
        ("data_root", "/mnt/nowhere/data"),
        ("data_span", "latest"),
        ("data_window", 1),
        ("trainer_epochs", 40),
        ("trainer_learning_rate", 3e-4),
        ("evaluation_thresholds_accuracy_min", 0.5),
        ("evaluation_thresholds_regression_accuracy_max_drop", 0.01),
        ("push_model_store", "/mnt/nowhere/out/models/test_pets"),
    }


def test_what_is_chosen_for_any_bound_or_span_is_what_the_cluster_takes(
    compiled: Callable[..., Compiled],
) -> None:
    sections = {
        "data": {"root": "/mnt/nowhere/data", "labels": LABELS, "span": 3},
        "evaluation": {
            "thresholds": {
                "accuracy": {"min": 0.75, "max": 1.0},
                "macro_f1": {"min": 0.0, "max": 0.25},
                # Below this minimum there is no other maximum.
                "macro_recall": {"min": 1.0, "max": 1.0},
                "regression": {"accuracy": {"max_drop": 0.0}},
            }
        },
    }
    spec, _ = compiled(**sections)
    bounds = "evaluation.thresholds"
    given = [
        "data.span=4",
        f"{bounds}.accuracy.min=0.5",
        f"{bounds}.accuracy.max=0.9",
        f"{bounds}.macro_f1.min=0.125",
        f"{bounds}.macro_f1.max=0.5",
        f"{bounds}.macro_recall.min=0.5",
        f"{bounds}.regression.accuracy.max_drop=0.5",
    ]
    values = chosen(compiler.blueprint(settings(**sections)), given)
    assert len(values) == len(given)
    taken = driver.root_parameters(spec, values)
    assert taken.items() >= values.items()
    for name in values.keys() - {"data_span"}:
        assert name in tasks_of(spec)["evaluator"]["inputs"]["parameters"]


def test_a_parameter_goes_to_the_steps_that_depend_on_it_and_to_no_other(
    spec: dict[str, Any],
) -> None:
    goes_to = {
        name: {
            task
            for task, content in tasks_of(spec).items()
            if name in content["inputs"].get("parameters", {})
        }
        for name in spec["root"]["inputDefinitions"]["parameters"]
    }
    # The report shows the whole config.
    assert goes_to["trainer_epochs"] == {"trainer", "report"}
    assert goes_to["evaluation_thresholds_accuracy_min"] == {"evaluator", "report"}
    assert goes_to["data_span"] == {"example-gen", "example-gen-precheck", "report"}
    assert goes_to["data_window"] == goes_to["data_span"]
    assert {"pusher", "production-model"} <= goes_to["push_model_store"]
    assert "transform" not in goes_to["push_model_store"]

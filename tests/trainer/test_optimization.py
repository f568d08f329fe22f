"""Optimizer, learning rate, loss and class weights are what the config asks for."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from trainer import optimization
from trainer.options.training import Trainer


def _options(**changes: object) -> Trainer:
    return Trainer().model_copy(update=changes)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", keras.optimizers.Adam),
        ("rmsprop", keras.optimizers.RMSprop),
        ("sgd", keras.optimizers.SGD),
    ],
)
def test_the_optimizer_is_the_one_asked_for(name: str, kind: type) -> None:
    options = _options(optimizer=name, schedule="constant", learning_rate=0.25, weight_decay=0.125)
    optimizer = optimization.optimizer(options, 10)
    assert type(optimizer) is kind
    assert float(optimizer.learning_rate) == 0.25
    assert optimizer.weight_decay == 0.125
    plain = options.model_copy(update={"weight_decay": 0.0})
    assert optimization.optimizer(plain, 10).weight_decay is None


def test_every_allowed_optimizer_and_schedule_can_be_built() -> None:
    properties = Trainer.model_json_schema()["properties"]
    for name in properties["optimizer"]["enum"]:
        for schedule in properties["schedule"]["enum"]:
            options = _options(optimizer=name, schedule=schedule)
            assert optimization.optimizer(options, 3).__class__.__name__.lower() == name


def test_cosine_falls_from_the_learning_rate_to_0() -> None:
    options = _options(schedule="cosine", learning_rate=0.5, epochs=10)
    optimizer = optimization.optimizer(options, 10)
    rates = []
    for step in (0, 50, 100):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(rates, [0.5, 0.25, 0.0], atol=1e-6)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_warm_up_rises_along_a_line_to_the_learning_rate(schedule: str) -> None:
    options = _options(schedule=schedule, learning_rate=0.5, epochs=10, warmup_epochs=2.0)
    optimizer = optimization.optimizer(options, 10)
    rates = []
    for step in (1, 10, 20, 100):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert rates[0] < 0.06
    np.testing.assert_allclose(rates[1:3], [0.25, 0.5], atol=0.02)
    assert rates[3] == pytest.approx(0.5 if schedule == "constant" else 0.0, abs=1e-6)


def test_gradients_longer_than_clip_norm_are_shortened() -> None:
    options = _options(optimizer="sgd", schedule="constant", learning_rate=1.0, clip_norm=1.0)
    variable = keras.Variable([0.0, 0.0])
    optimization.optimizer(options, 1).apply([keras.ops.array([3.0, 4.0])], [variable])
    np.testing.assert_allclose(variable.numpy(), [-0.6, -0.8], rtol=1e-5)


def test_the_focal_loss_cares_less_about_what_is_right_already() -> None:
    shares, logits = np.eye(2)[[0, 0]], np.array([[3.0, 0.0], [0.0, 1.0]])
    plain, focal = (
        keras.losses.get(optimization.loss(_options(loss=kind, focal_gamma=2.0))).call(
            shares, logits
        )
        for kind in ("cross_entropy", "focal")
    )
    right = 1 / (1 + np.exp([-3.0, 1.0]))
    np.testing.assert_allclose(plain, -np.log(right), rtol=1e-4)
    np.testing.assert_allclose(focal, -np.log(right) * (1 - right) ** 2, rtol=1e-3)


def test_label_smoothing_spreads_a_share_over_all_classes() -> None:
    smooth = optimization.loss(_options(label_smoothing=0.4))
    logits = np.log([[0.7, 0.2, 0.1, 0.0001]])
    expected = -(np.array([0.7, 0.1, 0.1, 0.1]) * (logits - np.log(np.exp(logits).sum()))).sum()
    assert float(smooth(np.eye(4)[[0]], logits)) == pytest.approx(expected, rel=1e-4)


def test_balanced_weights_make_classes_count_the_same() -> None:
    examples = np.array([0] * 6 + [1] * 2)
    weights = optimization.class_weights("balanced", ("a", "b", "none"), examples)
    np.testing.assert_allclose(weights[:2] * [6, 2], 4)
    assert weights[examples].sum() == pytest.approx(len(examples))
    assert weights[2] == 1


def test_given_weights_leave_the_other_classes_alone() -> None:
    weights = optimization.class_weights({"b": 3.0}, ("a", "b"), np.array([0]))
    np.testing.assert_array_equal(weights, [1, 3])
    assert optimization.class_weights(None, ("a", "b"), np.array([0])).tolist() == [1, 1]


def test_a_weight_of_a_class_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"class_weights: c: no such class; allowed: a, b"):
        optimization.class_weights({"c": 3.0}, ("a", "b"), np.array([0]))

"""Keeps an image classifier fresh: the public Python API.

    import retrain

    config = retrain.load_config("retrain.yaml", ["trainer.epochs=10"])
    outcome = retrain.run(config)
    model = retrain.model(config)
    for prediction in model.predict(["cat.jpg"]):
        print(prediction.label, prediction.score)

Importing it is cheap: TensorFlow, TFX and the rest load inside the function that needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from retrain import terminal
from retrain.environment import load_tensorflow, prepare_tensorflow

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.history.outcome import Outcome
    from serving.client import Predict, Prediction

__all__ = ["Model", "load_config", "model", "run", "runs"]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a config file.

    Args:
        path: the YAML file.
        overrides: settings that replace the file's, each as `section.key=value`, value in YAML.

    Raises:
        pipeline.config.ConfigError: the file or an override is wrong; the message names the key,
            what was found and what is allowed.
    """
    from pipeline.config import load

    return load(path, overrides)


def run(config: Config, *, runner: str = "beam", progress: TextIO | None = None) -> Outcome:
    """Runs the pipeline on this machine; a component with unchanged inputs comes from the cache.

    What TFX, Beam and TensorFlow print goes into a new log file below the config's output.

    Args:
        config: see `load_config`.
        runner: TFX's runner, "beam" or "local".
        progress: stream that shows the progress, such as `sys.stderr`; None shows none.

    Returns:
        How the run ended; `verdict` is "pushed", "refused" or "failed".

    Raises:
        pipeline.config.ConfigError: the data, the weights or the output cannot be used.
    """
    from pipeline.config import check_weights, read_labels
    from pipeline.data import spans

    check_weights(config)
    prepare_tensorflow()
    span = spans.check(config)
    labels = read_labels(config)
    from pipeline.local import logs
    from pipeline.local import progress as showing

    console = terminal.console(progress, quiet=progress is None)
    log = logs.new(config.output)
    logs.capture_shutdown(log)
    with logs.captured(log):
        console.print(f"{config.name}: span {span.number} of {config.data.root}", markup=False)
        if cut := spans.told(span, config.data.group):
            console.print(cut, markup=False, highlight=False, soft_wrap=True)
        console.print(f"log: {log}", markup=False, highlight=False, soft_wrap=True)
        with showing.spinning(console, "loading TFX"):
            from pipeline.local import run as local
        return local.run(
            config,
            span,
            labels,
            runner,
            log=str(log),
            watch=lambda components: showing.shown(console, components),
        )


def runs(config: Config) -> list[Outcome]:
    """Returns how each run of a pipeline on this machine ended, oldest first.

    Raises:
        pipeline.config.ConfigError: there has been no run.
    """
    load_tensorflow()
    from pipeline.history.runs import read

    return read(config)


@dataclass(frozen=True)
class Model:
    """A pushed model, loaded from the model store.

    Attributes:
        store: folder or address of the model store.
        version: number of the loaded version.
    """

    store: str
    version: int
    _predict: Predict

    def predict(self, images: Iterable[str | Path]) -> list[Prediction]:
        """Predicts the labels of images.

        What the model cannot read, such as WebP, TIFF and CMYK JPEGs, is converted as `retrain
        ingest` does it.

        Args:
            images: files, or folders that are searched at any depth. Files of a folder that are
                hidden or no images are passed over.

        Returns:
            A prediction for each image, in order; if it has no label, its `error` says why.

        Raises:
            FileNotFoundError: a file does not exist, or there is no image among the files.
        """
        from retrain import labelling

        found = labelling.find(map(str, images))
        return list(labelling.label(found, self._predict).predictions)


def model(config: Config, version: int | None = None) -> Model:
    """Loads a pushed model.

    Args:
        config: the config that names the model store.
        version: number of a version in the store; None for the version in production.

    Raises:
        serving.client.UnansweredError: the store is empty, or the version does not load.
        FileNotFoundError: the store does not hold the given version.
    """
    load_tensorflow()
    from components import model_config
    from serving import client

    store = config.model_store
    predict, found = client.local(store, version or model_config.pinned(store))
    if version not in (None, found):
        raise FileNotFoundError(f"{store} holds no version {version}")
    return Model(store, found, predict)

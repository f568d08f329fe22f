"""Predictions for images, from a server with TF Serving's REST API or from a model on disk.

The model's input is `image_bytes`; its outputs are `label`, `score`, `probabilities` and, since
version 0.3, `familiarity`. `remote` needs only the standard library.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

from serving.kernel_message import sentence

_BATCH_IMAGES = 32
_BATCH_BYTES = 8 * 2**20
_SECONDS = 60.0
_BAD_REQUEST = 400
_OUTPUTS = ("label", "score", "probabilities")
_FAMILIARITY = "familiarity"


class UnansweredError(Exception):
    """A server or model gave no prediction; the message names its address and the reason."""


class BadImageError(Exception):
    """The model refuses the images of a request; the message is its reason."""


@dataclass(frozen=True)
class Image:
    """An encoded JPEG, PNG, GIF or BMP, and its name in messages and predictions."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Prediction:
    """A model's prediction for an image, or the reason why the model refused the image."""

    image: str  # the image's name
    label: str = ""  # the most probable class
    score: float = 0.0  # the probability of `label`
    probabilities: tuple[float, ...] = ()  # of all classes, in the order of the label list
    # Share of val that lies as far from train or farther; None if the model does not tell.
    familiarity: float | None = None
    error: str | None = None  # the model's message; None if it accepted the image


Predict = Callable[[Sequence[bytes]], list[Prediction]]
Anew = Callable[[Image], bytes]


def predictions(
    found: Iterable[Image], predict: Predict, anew: Anew | None = None
) -> Iterator[Prediction]:
    """Yields a prediction for each image, in order.

    Images are sent in batches. If the model refuses a batch, its images are sent one by one, so
    that a broken image does not affect the others.

    Args:
        found: the images.
        predict: from `remote` or `local`.
        anew: returns another file of an image that the model refuses, to be sent instead, or raises
            `BadImageError` with the reason why there is none; None to send nothing again.

    Raises:
        UnansweredError: see `remote` and `local`.
    """
    for batch in _batches(found):
        yield from _labelled(batch, predict, anew)


def remote(url: str, model: str | None, signature: str = "serving_default") -> Predict:
    """Returns a function that requests predictions from a server.

    Args:
        url: http://HOST:PORT, or the model's whole URL, which may end in /versions/N or /labels/L.
        model: the model's name; needed only if the URL lacks it.
        signature: the name of a signature whose input is encoded images.

    Raises:
        UnansweredError: the URL has neither form. The returned function raises it if the server
            cannot be reached, does not know the model, or fails.
    """
    address = f"{_model_url(url, model)}:predict"
    local_host = urlsplit(address).hostname in ("localhost", "127.0.0.1", "::1")
    # A proxy would connect to its own machine instead of this one.
    handlers = [urllib.request.ProxyHandler({})] if local_host else []
    opener = urllib.request.build_opener(*handlers)

    def predict(contents: Sequence[bytes]) -> list[Prediction]:
        instances = [{"b64": base64.b64encode(content).decode()} for content in contents]
        body = json.dumps({"signature_name": signature, "instances": instances}).encode()
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        try:
            with opener.open(request, timeout=_SECONDS) as answer:
                rows = json.loads(answer.read())["predictions"]
        except urllib.error.HTTPError as error:
            message = _message(error)
            if error.code == _BAD_REQUEST:
                # TF Serving's own answer names the graph's nodes, too.
                raise BadImageError(sentence(message)) from None
            raise UnansweredError(f"{address}: {error.code}: {message}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise UnansweredError(f"{address}: no answer: {reason}") from None
        except (ValueError, KeyError, TypeError):
            raise UnansweredError(f"{address}: the answer is not TF Serving's") from None
        return [_prediction(address, row) for row in rows]

    return predict


def local(store: str, pinned: int | None = None) -> tuple[Predict, int]:
    """Loads a version from a model store: `pinned` or, if the store lacks that, the newest.

    Returns:
        A function that returns predictions for encoded images, and the number of the version.

    Raises:
        UnansweredError: the store holds no version, or the version does not load.
    """
    # Heavy, and `remote` does not need it.
    import tensorflow as tf
    from grpc import StatusCode

    from serving import signatures, tensors
    from serving.errors import serving_error
    from serving.loading import Servable
    from serving.model_config import Model

    listed = tf.io.gfile.listdir(store) if tf.io.gfile.isdir(store) else []
    children = [child.rstrip("/") for child in listed]
    aspired = Model("", store).aspired(children)
    if not aspired:
        raise UnansweredError(f"{store} holds no version; a run that passes its checks pushes one")
    ((version, folder),) = aspired.items()
    if pinned is not None and str(pinned) in children:
        version, folder = pinned, str(pinned)
    path = f"{store}/{folder}"
    try:
        servable = Servable("local", version, path)
    except Exception as error:
        raise UnansweredError(f"{path}: {serving_error(error).message}") from None

    def predict(contents: Sequence[bytes]) -> list[Prediction]:
        try:
            signature = servable.signatures[signatures.DEFAULT]
            inputs = {next(iter(signature.inputs)): tensors.objects(contents)}
            told = [*_OUTPUTS, *({_FAMILIARITY} & set(signature.outputs))]
            call = signatures.predict_call(servable.signatures, "", inputs, told)
            found = servable.run(call, _SECONDS)
        except Exception as error:
            reason = serving_error(error)
            if reason.code is StatusCode.INVALID_ARGUMENT:
                raise BadImageError(reason.message) from None
            raise UnansweredError(f"{path}: {reason.message}") from None
        familiarity = (
            found[_FAMILIARITY].tolist() if _FAMILIARITY in told else [None] * len(contents)
        )
        return [
            Prediction(
                "", label.decode("utf-8", "replace"), float(score), tuple(row.tolist()), near
            )
            for label, score, row, near in zip(
                *(found[name] for name in _OUTPUTS), familiarity, strict=True
            )
        ]

    return predict, version


def _batches(found: Iterable[Image]) -> Iterator[list[Image]]:
    batch: list[Image] = []
    size = 0
    for image in found:
        if batch and (len(batch) == _BATCH_IMAGES or size + len(image.content) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(image)
        size += len(image.content)
    if batch:
        yield batch


def _labelled(batch: list[Image], predict: Predict, anew: Anew | None) -> list[Prediction]:
    try:
        answered = predict([image.content for image in batch])
    except BadImageError as error:
        if len(batch) > 1:
            return [one for image in batch for one in _labelled([image], predict, anew)]
        (image,) = batch
        if anew is None:
            return [Prediction(image.name, error=str(error))]
        try:
            again = replace(image, content=anew(image))
        except BadImageError as reason:
            return [Prediction(image.name, error=str(reason))]
        return _labelled([again], predict, None)
    if len(answered) != len(batch):
        raise UnansweredError(f"{len(batch)} images were sent, {len(answered)} answers came")
    return [replace(one, image=image.name) for image, one in zip(batch, answered, strict=True)]


def _model_url(url: str, model: str | None) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnansweredError(f"{url}: not a server; allowed: http://HOST:PORT")
    base = url.rstrip("/").removesuffix(":predict")
    if re.search(r"/v1/models/[^/:]+(/versions/\d+|/labels/[^/:]+)?$", base):
        return base
    if parts.path.strip("/"):
        raise UnansweredError(f"{url}: not a model; allowed: http://HOST:PORT/v1/models/NAME")
    if model is None:
        raise UnansweredError(
            f"{url}: which model? Give --model-name, or the URL as {base}/v1/models/NAME"
        )
    return f"{base}/v1/models/{quote(model, safe='')}"


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"])
    except (ValueError, KeyError, TypeError, OSError):
        return str(error.reason)


def _prediction(address: str, row: Any) -> Prediction:
    try:
        near = row.get(_FAMILIARITY)
        return Prediction(
            "",
            row["label"],
            float(row["score"]),
            tuple(row["probabilities"]),
            None if near is None else float(near),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UnansweredError(
            f"{address}: the model is not an image classifier of this pipeline"
        ) from None

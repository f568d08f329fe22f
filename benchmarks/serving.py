"""Compares the development server with its bare model: `python -m benchmarks.serving STORE`.

In each round a loop calls the bare model, then a few clients send batches over gRPC and over REST,
then single images are timed each way. Medians over the rounds are compared, so other work of the
machine hits all alike. Half-way a new version arrives under load.
"""

from __future__ import annotations

import argparse
import base64
import concurrent.futures
import functools
import http.client
import json
import operator
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainer.features import IMAGE_BYTES, PROBABILITIES, SERVING_DEFAULT

_MODEL = "benchmark"
_PREDICT = f"/v1/models/{_MODEL}:predict"
_SINGLES = 40  # requests of one image, each way, in each round
_SECONDS = 60
_IDLE_SECONDS = 5

Call = Callable[[], object]


def main() -> None:
    """Measures and prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("store", type=Path, help="folder of versions; the newest is measured")
    parser.add_argument("--clients", type=int, default=4, help="at a time (default: 4)")
    parser.add_argument("--batch", type=int, default=16, help="images in the loop (default: 16)")
    parser.add_argument("--images", type=int, help="in a request (default: as in the loop)")
    parser.add_argument("--rounds", type=int, default=6, help="of each (default: 6)")
    parser.add_argument("--seconds", type=float, default=10, help="of a round (default: 10)")
    options = parser.parse_args()
    # TensorFlow reads these when it loads, here and in the server; `retrain run` sets the same.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    newest = max(int(child.name) for child in options.store.iterdir() if child.name.isdecimal())
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder)
        shutil.copytree(options.store / str(newest), served / "1")
        command = [sys.executable, "-m", "serving", "--model-base-path", folder]
        command += ["--model-name", _MODEL, "--port", "0", "--grpc-port", "0", "--json"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            print(json.dumps(_measure(options, served, ready), indent=2))
        finally:
            server.terminate()
            server.wait()


def _measure(options: argparse.Namespace, served: Path, ready: Mapping[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    from benchmarks.forward import noise

    model = tf.saved_model.load(str(served / "1")).signatures[SERVING_DEFAULT]
    images = noise(options.batch)
    sent = options.images or options.batch
    many = noise(sent).numpy().tolist()
    outcomes: Counter[str] = Counter()

    def bare(batch: tf.Tensor) -> None:
        model(image_bytes=batch)[PROBABILITIES].numpy()

    loads = _served(ready, many, outcomes)
    singles = {"bare": lambda: bare(images[:1]), **_served(ready, many[:1], outcomes)}
    rates: dict[str, list[float]] = {name: [] for name in ("bare", *loads)}
    times: dict[str, list[float]] = {name: [] for name in singles}
    for call in (lambda: bare(images), *loads.values(), *singles.values()):
        for _ in range(5):  # the warm-up
            call()
    with concurrent.futures.ThreadPoolExecutor(options.clients) as clients:
        for number in range(options.rounds):
            loop = _calls(lambda: bare(images), options.seconds)
            rates["bare"].append(loop * options.batch / options.seconds)
            if number == options.rounds // 2:
                threading.Timer(options.seconds / 4, _arrive, [served]).start()
            for name, call in loads.items():
                work = functools.partial(_calls, call)
                count = sum(clients.map(work, [options.seconds] * options.clients))
                rates[name].append(count * sent / options.seconds)
            for _ in range(_SINGLES):
                for name, call in singles.items():
                    started = time.perf_counter()
                    call()
                    times[name].append((time.perf_counter() - started) * 1000)
    p50 = {name: statistics.median(found) for name, found in times.items()}
    bare_rates = rates["bare"]
    return {
        "clients": options.clients,
        "images_a_request": sent,
        "images_a_second": {name: statistics.median(found) for name, found in rates.items()},
        "served_to_bare": {
            name: statistics.median(map(operator.truediv, rates[name], bare_rates))
            for name in loads
        },
        "p50_ms": p50,
        "p50_overhead_ms": {name: p50[name] - p50["bare"] for name in loads},
        "outcomes": dict(sorted(outcomes.items())),
    }


def _served(
    ready: Mapping[str, Any], encoded: list[bytes], outcomes: Counter[str]
) -> dict[str, Call]:
    """Returns a function that sends the images by gRPC and one by REST; both count `outcomes`."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    channel = grpc.insecure_channel(f"127.0.0.1:{ready['grpc_port']}")
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = _MODEL
    request.inputs[IMAGE_BYTES].CopyFrom(tf.make_tensor_proto(encoded, tf.string))
    body = json.dumps({"instances": [{"b64": base64.b64encode(one).decode()} for one in encoded]})
    connections = threading.local()

    def by_grpc() -> None:
        try:
            answer = stub.Predict(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            outcomes[f"gRPC {error.code().name}"] += 1
        else:
            outcomes[f"gRPC version {answer.model_spec.version.value}"] += 1

    def by_rest() -> None:
        if not hasattr(connections, "own"):
            connections.own = http.client.HTTPConnection("127.0.0.1", ready["port"])
        elif time.monotonic() - connections.used > _IDLE_SECONDS:
            connections.own.close()  # the server may have closed it; a request opens it anew
        connections.used = time.monotonic()
        connections.own.request("POST", _PREDICT, body)
        answer = connections.own.getresponse()
        answer.read()
        outcomes[f"REST {answer.status}"] += 1

    return {"grpc": by_grpc, "rest": by_rest}


def _arrive(served: Path) -> None:
    """Publishes version 2 as the model store does: under a hidden name, then renamed."""
    shutil.copytree(served / "1", served / ".2.partial")
    (served / ".2.partial").rename(served / "2")


def _calls(call: Call, seconds: float) -> float:
    """Returns how many calls fit into the seconds; the last one counts by its share inside them."""
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        call()
        count += 1
    return count * seconds / (time.perf_counter() - started)


if __name__ == "__main__":
    main()

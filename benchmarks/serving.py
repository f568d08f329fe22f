"""The development server beside its model called in a loop: `python -m benchmarks.serving STORE`.

Throughput with a bounded number of gRPC clients on loopback, each sending batches of the size that
the loop uses, and the time of one image over REST and gRPC beside the bare call. Rounds are
interleaved and medians compared, so that whatever else the machine does hits all alike.
"""

from __future__ import annotations

import argparse
import base64
import concurrent.futures
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MODEL = "benchmark"


def main() -> None:
    """Measures and prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("store", type=Path, help="folder of versions; the newest is measured")
    parser.add_argument("--clients", type=int, default=4, help="at a time (default: 4)")
    parser.add_argument("--batch", type=int, default=16, help="images a request (default: 16)")
    parser.add_argument("--rounds", type=int, default=6, help="of each (default: 6)")
    parser.add_argument("--seconds", type=float, default=10, help="of a round (default: 10)")
    options = parser.parse_args()
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    command = [sys.executable, "-m", "serving", "--model-base-path", str(options.store)]
    command += ["--model-name", _MODEL, "--port", "0", "--grpc-port", "0", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert server.stdout is not None
        ready = json.loads(server.stdout.readline())
        print(json.dumps(_measure(options, ready), indent=2))
    finally:
        server.terminate()
        server.wait()


def _measure(options: argparse.Namespace, ready: dict[str, Any]) -> dict[str, Any]:
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    from benchmarks.forward import noise

    newest = max(int(child.name) for child in options.store.iterdir() if child.name.isdecimal())
    model = tf.saved_model.load(str(options.store / str(newest))).signatures["serving_default"]
    images = noise(options.batch)
    one = images[:1]
    channel = grpc.insecure_channel(f"127.0.0.1:{ready['grpc_port']}")
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    connection = http.client.HTTPConnection("127.0.0.1", ready["port"])

    def request(batch: Any) -> Any:
        made = predict_pb2.PredictRequest()
        made.model_spec.name = _MODEL
        made.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(batch.numpy(), tf.string))
        return made

    many, single = request(images), request(one)
    instance = {"b64": base64.b64encode(one.numpy()[0]).decode()}
    body = json.dumps({"instances": [instance]})

    def bare(batch: tf.Tensor) -> None:
        model(image_bytes=batch)["probabilities"].numpy()

    def rest() -> None:
        connection.request("POST", f"/v1/models/{_MODEL}:predict", body)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"REST answered {answer.status}")

    singles: dict[str, Callable[[], object]] = {
        "bare": lambda: bare(one),
        "rest": rest,
        "grpc": lambda: stub.Predict(single, timeout=60),
    }
    rates: dict[str, list[float]] = {"bare": [], "served": []}
    times: dict[str, list[float]] = {name: [] for name in singles}
    for _ in range(5):  # the warm-up
        model(image_bytes=images)
        for call in singles.values():
            call()
    with concurrent.futures.ThreadPoolExecutor(options.clients) as clients:
        for _ in range(options.rounds):
            calls = _calls(lambda: bare(images), options)
            rates["bare"].append(calls * options.batch / options.seconds)
            counts = clients.map(
                lambda _: _calls(lambda: stub.Predict(many, timeout=60), options),
                range(options.clients),
            )
            rates["served"].append(sum(counts) * options.batch / options.seconds)
            for _ in range(40):
                for name, call in singles.items():
                    started = time.perf_counter()
                    call()
                    times[name].append((time.perf_counter() - started) * 1000)
    p50 = {name: statistics.median(found) for name, found in times.items()}
    images_a_second = {name: statistics.median(found) for name, found in rates.items()}
    return {
        "images_a_second": images_a_second,
        "served_to_bare": images_a_second["served"] / images_a_second["bare"],
        "p50_ms": p50,
        "p50_overhead_ms": {name: p50[name] - p50["bare"] for name in ("rest", "grpc")},
    }


def _calls(call: Callable[[], object], options: argparse.Namespace) -> float:
    """Calls until the round is over; returns how often, a call begun in it counted by its share."""
    seconds: float = options.seconds
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        call()
        count += 1
    return count * seconds / (time.perf_counter() - started)


if __name__ == "__main__":
    main()

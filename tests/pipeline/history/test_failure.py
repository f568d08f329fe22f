"""Of a traceback, the first cause is told, and then where it happened."""

from __future__ import annotations

import traceback

import pytest

from pipeline.history import failure


def _chained() -> str:
    def innermost() -> None:
        raise ValueError("the file is bad\nsee line 3")

    def outer() -> None:
        try:
            innermost()
        except ValueError as error:
            raise RuntimeError("step Read failed") from error

    try:
        outer()
    except RuntimeError as error:
        # TFX joins the lines, which end in a newline each, with another one.
        return "\n".join(traceback.format_exception(error))
    raise AssertionError


def test_the_cause_is_the_first_of_a_chain() -> None:
    assert failure.cause(_chained()) == "ValueError: the file is bad"
    assert failure.cause("") == ""
    assert (
        failure.cause("components.gate.RefusedError: a.b: 1 of 4\n") == "RefusedError: a.b: 1 of 4"
    )


def test_what_this_project_made_of_an_error_is_the_cause() -> None:
    chain = (
        "a.OOMError: 3 GB\n\nThe above exception was the direct cause of the following exception:"
        "\n\ntrainer.fitting.TrainingFailedError: out of memory\ntry a batch_size of 16\n"
        "\nDuring handling of the above exception, another exception occurred:\n\n"
        "trainer.fitting.TrainingFailedError: out of memory [while running 'Run[trainer]']\n"
    )
    assert failure.cause(chain) == "TrainingFailedError: out of memory"
    assert failure.excerpt(chain) == [
        "TrainingFailedError: out of memory",
        "try a batch_size of 16",
    ]


def test_an_excerpt_has_the_cause_first_and_the_innermost_calls() -> None:
    lines = failure.excerpt(_chained())
    assert lines[:2] == ["ValueError: the file is bad", "see line 3"]
    assert "in innermost" in lines[-2] or "in innermost" in lines[-3]
    assert not [line for line in lines if "step Read failed" in line]
    assert len(lines) <= 12
    assert failure.excerpt("") == []


def test_a_long_traceback_is_cut_to_its_end() -> None:
    calls = "".join(f'  File "a.py", line {n}, in f{n}\n    f()\n' for n in range(50))
    lines = failure.excerpt(f"Traceback (most recent call last):\n{calls}KeyError: 1\n")
    assert lines[0] == "KeyError: 1"
    assert len(lines) == 12
    assert "f49" in lines[-2]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            "grpc.RpcError: <_InactiveRpcError of RPC that terminated with:\n"
            '\tstatus = StatusCode.UNAVAILABLE\n\tdetails = "no route to host"\n>',
            "no route to host",
        ),
        ("ValueError: Pipeline has validations errors: \nproject is missing", "project is missing"),
        (
            "OSError: [Errno 28] No space left on device: '/a/b'",
            "no space left in /a; free some",
        ),
        ("tf.ResourceExhaustedError: /a/b; No space left on device", "no space left in /a"),
    ],
)
def test_the_cause_is_found_behind_the_first_words(lines: str, words: str) -> None:
    told = failure.cause(f"Traceback (most recent call last):\n  File a, line 1\n{lines}\n")
    assert words in told
    assert "\n" not in told


def test_an_outage_is_told_in_its_own_words_alone() -> None:
    told = (
        "Traceback (most recent call last):\n  File a, line 1\n"
        "components.outage.OutageError: the server was killed; run again\n"
    )
    assert failure.cause(told) == "the server was killed; run again"
    assert failure.excerpt(told) == ["the server was killed; run again"]
    assert failure.calls(told) == []

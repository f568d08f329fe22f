"""Sketches of copies stay alike and share a bucket; those of other images do neither."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from components.image_example_gen import measures, similarity
from components.image_example_gen.duplicates import Flag, Print, is_leaked, merge, related
from tests.conftest import Picture


def _sketch(encoded: bytes) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))[None]
    return similarity.sketch(measures.luma(pixels))


def test_copies_are_alike_and_others_are_not(picture: Picture) -> None:
    for seed in range(20):
        one = _sketch(picture(90, 90, seed=seed))
        for copy in (
            picture(60, 60, seed=seed, kind="JPEG", quality=50),
            picture(32, 32, seed=seed),
        ):
            other = _sketch(copy)
            assert float(one[0] @ other[0]) > 0.98
            shared = zip(similarity.bands(one)[0], similarity.bands(other)[0], strict=True)
            assert any(a == b for a, b in shared)
        assert float(one[0] @ _sketch(picture(90, 90, seed=seed + 1000))[0]) < 0.9


def test_packing_loses_next_to_nothing(picture: Picture) -> None:
    sketch = _sketch(picture(seed=3))
    (packed,) = similarity.pack(sketch)
    assert len(packed) == similarity.LENGTH
    assert float(similarity.unpack(packed) @ sketch[0]) > 0.999


def test_bands_are_fixed_for_good(picture: Picture) -> None:
    bands = similarity.bands(np.eye(3, similarity.LENGTH, dtype=np.float32))
    assert [len(one) for one in bands] == [similarity.BANDS] * 3
    assert similarity.bands(np.eye(3, similarity.LENGTH, dtype=np.float32)) == bands


def _print(number: int, split: str, content: bytes, axis: int = 0, label: int = 0) -> Print:
    sketch = np.eye(1, similarity.LENGTH, axis, dtype=np.float32)
    return Print((b"f", number), split, label, content, similarity.pack(sketch)[0])


def test_a_copy_in_train_is_found_to_be_one_of_test_whatever_the_order() -> None:
    prints = [
        _print(0, "train", b"a"),
        _print(1, "train", b"b"),
        _print(2, "test", b"c", label=1),
        _print(3, "train", b"d", axis=9),
        _print(4, "val", b"e"),
    ]
    for order in (prints, prints[::-1]):
        found = {number: relation for (_, number), relation in related((b"\0", order), 0.98)}
        assert set(found) == {0, 1, 4}
        assert all(relation.other == (b"f", 2) for relation in found.values())
        assert found[0].flags == Flag.NEAR_ACROSS | Flag.CONFLICTING | Flag.LEAKED_NEAR
        assert found[4].flags == Flag.NEAR_ACROSS | Flag.CONFLICTING


def test_the_same_content_is_exact_and_not_near_as_well() -> None:
    prints = [_print(0, "train", b"a"), _print(1, "train", b"a"), _print(2, "test", b"a")]
    exact = dict(related((b"exact", prints), 0.98))
    assert {relation.flags for relation in exact.values()} == {
        Flag.EXACT_ACROSS | Flag.LEAKED_EXACT
    }
    assert list(related((b"\0", prints), 0.98)) == []
    within = dict(related((b"exact", prints[:2]), 0.98))
    assert [relation.flags for relation in within.values()] == [Flag.EXACT_WITHIN]


def test_what_buckets_say_is_joined_and_decides() -> None:
    prints = [_print(0, "train", b"a"), _print(1, "train", b"b"), _print(2, "test", b"b")]
    near = dict(related((b"\0", prints[:2]), 0.98))[(b"f", 1)]
    assert near.flags == Flag.NEAR_WITHIN
    exact = dict(related((b"exact", prints[1:]), 0.98))[(b"f", 1)]
    joined = merge([near, exact])
    assert joined.flags == Flag.NEAR_WITHIN | Flag.EXACT_ACROSS | Flag.LEAKED_EXACT
    assert joined == merge([exact, near]) == merge([merge([near]), exact])
    assert [is_leaked(joined.flags, leaks) for leaks in ("none", "exact", "near")] == [
        False,
        True,
        True,
    ]
    assert not is_leaked(near.flags, "near")


def test_a_bucket_of_copies_is_compared_in_linear_time() -> None:
    prints = [_print(number, "train", bytes([number % 256, number >> 8])) for number in range(5000)]
    assert len(list(related((b"\0", prints), 0.98))) == 4999

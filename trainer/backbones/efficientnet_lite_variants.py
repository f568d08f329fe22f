"""The members of the family EfficientNet-Lite, as plain data without Keras.

A new member is an entry here; the catalog lists it by its name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """A member of the family."""

    width: float  # factor of the stages' filters
    depth: float  # factor of the stages' repeats
    input_size: int  # side in pixels of the square training images
    sha256: str  # of the weights file in version 0.1.0 of its package, the only version


# Factors: efficientnet_lite_builder.py in tensorflow/tpu, models/official/efficientnet/lite. Input
# sizes: the table in the README there.
VARIANTS = {
    "efficientnet_lite0": Variant(
        1.0, 1.0, 224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet_lite1": Variant(
        1.0, 1.1, 240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet_lite2": Variant(
        1.1, 1.2, 260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}

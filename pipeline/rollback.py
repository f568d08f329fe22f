"""Which of the pushed versions is served: an earlier one, or the newest again."""

from __future__ import annotations

from components import model_config, model_store
from pipeline.config import ConfigError


def pin(store: str, version: int | None) -> int:
    """Has a version served until `clear`.

    Args:
        store: the model store.
        version: which; None for the one before the version that is served now.

    Returns:
        The version.

    Raises:
        ConfigError: the store does not hold it, or holds none before.
    """
    there = model_store.versions(store)
    if not there:
        raise ConfigError(f"{store} holds no version; a run that passes its checks pushes one")
    listed = ", ".join(str(each) for each in there)
    if version is None:
        now = model_config.in_production(store)
        earlier = [each for each in there if now is not None and each < now]
        if not earlier:
            raise ConfigError(f"{store} holds no version before {now}; it holds {listed}")
        version = earlier[-1]
    elif version not in there:
        raise ConfigError(f"--to: found {version}; allowed: {listed}")
    model_config.pin(store, version)
    return version


def clear(store: str) -> int | None:
    """Has the newest version served, which is returned; None where there is none yet."""
    model_config.clear(store)
    return model_store.newest(store)

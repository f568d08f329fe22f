"""The error that reports a mistake in what the user gave."""


class ConfigError(ValueError):
    """A mistake in what the user gave; the message names place, finding and what is allowed."""

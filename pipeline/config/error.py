"""The error that reports a mistake in the user's input."""


class ConfigError(ValueError):
    """A mistake in the user's input; the message says where, what was found and what is allowed."""

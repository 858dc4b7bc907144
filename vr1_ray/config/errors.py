"""What a mistake in a config raises."""


class ConfigError(ValueError):
    """A mistake in the config: the message names the field, the value and the cure."""

"""Whether a path can be a model's, told in milliseconds: a folder that holds one, or what may be a name on the hub."""

from pathlib import Path

from vr1_ray.config.errors import ConfigError

_CURE = (
    "Give a folder in Hugging Face format (config.json, weights, tokenizer, processor) or a hub name; "
    "a relative path counts from the folder the command runs in."
)


def check_model_path(path: str, field: str = "model.path") -> None:
    """Raise ConfigError, naming the field, for a path that is neither a model's folder nor may be a hub name.

    What is in the folder beside its config.json, and whether the hub has the name, is not looked at.
    """
    if not path:
        raise ConfigError(f"{field}={path!r}: no model is named. {_CURE}")
    folder = Path(path)
    if not folder.exists() and is_hub_name(path):
        return
    if not folder.is_dir():
        raise ConfigError(f"{field}={path!r}: there is no such folder. {_CURE}")
    if not (folder / "config.json").is_file():
        below = folder / "policy"
        meant = f" Did you mean {below}?" if (below / "config.json").is_file() else ""
        raise ConfigError(f"{field}={path!r}: the folder has no config.json. {_CURE}{meant}")


def is_hub_name(path: str) -> bool:
    """Whether a path may be a hub name. Another missing folder looked up there fails late, about networks."""
    return path.count("/") == 1 and not path.startswith((".", "/", "~"))

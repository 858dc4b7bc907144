"""Where files that come with the package are: in the repository, else inside the installed package.

    configs/...              every shipped config
    examples/vr1_tiny/model  the tiny model, and what else a shipped config names

`setup.py` copies them into a wheel. They are named as in the repository, and what the current folder has comes first.
"""

from pathlib import Path

FOLDERS = ("configs/", "examples/")
_PACKAGE = Path(__file__).resolve().parents[1]


def shipped(path: str) -> str:
    """`path` as it is, or where the file or folder that it names was shipped to, if this folder lacks it.

    Example:
        shipped("configs/quickstart.yaml")  # in the repository the same; elsewhere /.../configs/quickstart.yaml
    """
    if not path.startswith(FOLDERS) or ".." in Path(path).parts or Path(path).exists():
        return path
    found = next((root / path for root in _roots() if (root / path).exists()), None)
    return path if found is None else str(found)


def shipped_configs() -> list[str]:
    """The names of the shipped configs, as `vr1 run` takes them from any folder."""
    root = next((root for root in _roots() if (root / "configs").is_dir()), None)
    found = sorted((root / "configs").rglob("*.yaml")) if root else []
    return [str(path.relative_to(root)) for path in found if root]


def _roots() -> list[Path]:
    repository = _PACKAGE.parent
    is_repository = (repository / "setup.py").is_file()
    return [*([repository] if is_repository else []), _PACKAGE / "shipped"]

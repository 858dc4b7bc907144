"""Where files that come with the package are: in the repository, else inside the installed package.

    configs/...              every shipped config
    examples/vr1_tiny/model  the tiny model, and what else a shipped config names

`setup.py` copies them into a wheel. They are named as in the repository, and what the current folder has comes first.
"""

from pathlib import Path

from vr1_ray.config.errors import ConfigError
from vr1_ray.wording import nearest

SUFFIXES = (".yaml", ".yml")  # of configs
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


def config_file(given: str) -> Path:
    """The file of a config; `.yaml` behind its name may be left out. Raises ConfigError for what is none.

    Example:
        config_file("mine")     # Path("mine.yaml"), where there is one
    """
    path = Path(shipped(given))
    if path.is_file():
        return path
    for suffix in SUFFIXES:
        named = Path(shipped(f"{given}{suffix}"))
        if named.is_file():
            return named
    if path.is_dir():
        inside = [str(Path(given) / one.name) for one in _entries(path) if one.suffix in SUFFIXES]
        cure = f"give one of its files: {', '.join(inside)}" if inside else "it holds no .yaml file"
        raise ConfigError(f"config {given!r} is a folder; {cure}")
    known = shipped_configs()
    beside = [str(one) for one in _entries(path.parent) if one.suffix in SUFFIXES]
    by_name = {Path(one).stem: one for one in (*known, *beside)}
    meant = by_name.get(nearest(path.stem, by_name))
    cure = f"did you mean {meant}?" if meant else f"the shipped ones are {', '.join(known)}"
    raise ConfigError(f"config {given!r} does not exist; {cure}")


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def shipped_configs() -> list[str]:
    """The names of the shipped configs, as `vr1 run` takes them from any folder."""
    root = next((root for root in _roots() if (root / "configs").is_dir()), None)
    found = sorted((root / "configs").rglob("*.yaml")) if root else []
    return [str(path.relative_to(root)) for path in found if root]


def _roots() -> list[Path]:
    repository = _PACKAGE.parent
    is_repository = (repository / "setup.py").is_file()
    return [*([repository] if is_repository else []), _PACKAGE / "shipped"]

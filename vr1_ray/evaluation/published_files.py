"""MD5 of the published TSVs, to tell whether a file is the one that published figures were made with.

From VLMEvalKit and the copy of it in Osilly/Vision-R1 @ c061681 (DATASET_MD5); We-Math's changed when its options moved
to columns, and both are known. Files of other forms (parquet, JSON) have no published sum.
"""

import hashlib
from pathlib import Path

MD5: dict[str, tuple[str, ...]] = {
    "MathVista_MINI.tsv": ("f199b98e178e5a2a20e7048f5dcb0464",),
    "MathVerse_MINI.tsv": ("5017caca32b7fa110c350a1bea861b65",),
    "MathVerse_MINI_Vision_Only.tsv": ("68a11d4680014ac881fa37adeadea3a4",),
    "MathVerse_MINI_Vision_Dominant.tsv": ("b8fb63852d261ab2aaefba29cc2414d3",),
    "MathVerse_MINI_Vision_Intensive.tsv": ("01cbd35be202bb0c4873a4186a63bc19",),
    "MathVerse_MINI_Text_Lite.tsv": ("19e4b13bdd30b89a03b2e358bcfefa04",),
    "MathVerse_MINI_Text_Dominant.tsv": ("4f5cd2fa6630ea00bb11d6fde1f6fe6a",),
    "MM-Math.tsv": ("1f064ed7c4e0e8926a3fa65849419ca5",),
    "DynaMath.tsv": ("b8425ad9a7114571fc9366e013699494",),
    "MathVision.tsv": ("93f6de14f7916e598aa1b7165589831e",),
    "MathVision_MINI.tsv": ("060fe4fa5d868987ce179307bd5f8a33",),
    "WeMath.tsv": ("056142c89b09d864702450b5b5ea0913", "b5e969a075f01290a542411fb7766388"),
    "MMStar.tsv": ("e1ecd2140806c1b1bbf54b43372efb9e",),
    "ChartQA_TEST.tsv": ("c902e0aa9be5582a7aad6dcf52734b42",),
    "HallusionBench.tsv": ("0c23ac0dc9ef46832d7a24504f2a0c7c",),
}


def file_note(path: Path) -> str:
    """Whether a file is the published one, in words; "" where no sum is published."""
    if path.name not in MD5:
        return ""
    content = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            content.update(part)
    found = content.hexdigest()
    if found in MD5[path.name]:
        return f"{path.name} is the published file (MD5 {found})"
    return f"{path.name} is not the published file: MD5 {found}, published {' or '.join(MD5[path.name])}"

r"""LaTeX and Unicode signs to plain text, for the answer checker: `\dfrac{\pi}{2}` -> `frac{pi}{2}`.

Only signs change here; what the text says is for the modules above. Every pattern runs in about linear
time on text of bounded length.
"""

import re
import unicodedata

from vr1_ray.answers.environments import plain_environments

_SIGNS = str.maketrans(
    {
        **dict.fromkeys("−–—‐‑﹣－", "-"), **dict.fromkeys("×✕⋅·∙", "*"), **dict.fromkeys("÷∕⁄", "/"),
        **dict.fromkeys("“”″„", '"'), **dict.fromkeys("’‘′", "'"), **dict.fromkeys("，、", ","),
        **dict.fromkeys("\u200b\u200c\u200d\ufeff\u2061\u2062", None),
        "⌊": " floor(", "⌋": ")", "⌈": " ceil(", "⌉": ")",
        "。": ".", "；": ";", "∶": ":", "【": "[", "】": "]", "⟨": "(", "⟩": ")", "〈": "(", "〉": ")",
        "π": " pi ", "𝜋": " pi ", "∞": " inf ", "√": " sqrt ", "∛": " cbrt ", "≦": "≤", "≧": "≥", "⩽": "≤", "⩾": "≥",
        "∠": " angle ", "∡": " angle ", "△": " triangle ", "▵": " triangle ", "⊥": " perp ", "∥": " parallel ",
        "°": " degrees ", "º": " degrees ", "℃": " degrees C ", "℉": " degrees F ", "∼": " ~ ", "≅": " cong ",
        **{sign: f" {name} " for sign, name in zip("ℝℤℕℚℂ", str.split("reals integers naturals rationals complexes"), strict=True)},
        "或": " or ", "和": " and ", "Ω": "Ω", "µ": "μ", "∅": " ∅ ", "Ø": " ∅ ", "¬": " not ", "\u00a0": " ", "\u2009": " ",
    }
)  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿˣ", "0123456789+-nx")
_SUPERSCRIPT_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿˣ]+")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_CIRCLED = re.compile("[①-⑨]")
_CIRCLED_PARTS = re.compile(r"\s*①\s*[^①-⑨\s、,;和]+\s*[,;]?\s*②\s*[^①-⑨\s、,;和]")  # ① 5 ② 6
_SUBSCRIPT_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_VULGAR = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5",
    "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8", "⅐": "1/7", "⅑": "1/9", "⅒": "1/10",
}  # fmt: skip
_VULGAR_SIGN = re.compile(f"(\\d\\s*)?([{''.join(_VULGAR)}])")
_TEXT_COMMAND = re.compile(
    r"\\(?:text[a-z]*|math(?!bb|ring)[a-z]+|boldsymbol|bm|mbox|operatorname\*?|underline|emph|hbox|bold|phantom|ce"
    r"|ensuremath|pmb)\s*\{([^{}]*)\}"
)
_COLOUR = re.compile(
    r"\\(?:text|page)?color(?:box)?\s*(?:\[[a-zA-Z]{1,8}\]\s*)?(?:\{[^{}]*\}\s*\{([^{}]*)\}|\{[^{}]*\})"
    r"|\\fcolorbox\s*\{[^{}]*\}\s*\{[^{}]*\}"
)
_NUMBER_SET = re.compile(r"\\(?:mathbb|Bbb)\s*(?:\{\s*([RZNQC])\s*\}|([RZNQC])\b)(?!\s*[=_^])")
_SET_NAMES = {
    "R": " reals ",
    "Z": " integers ",
    "N": " naturals ",
    "Q": " rationals ",
    "C": " complexes ",
}
_SEGMENT = re.compile(r"\\overline\s*\{\s*([A-Z]'?[A-Z]'?)\s*\}")
_DERIVATIVE = re.compile(r"frac\{\s*d\s*(\w?)\s*\}\s*\{\s*d\s*(\w)\s*\}")
_PRIMES = re.compile(r"\^\s*\{?\s*((?:'\s*)+)\}?")
_REPEATING = re.compile(r"(\d*)\.(\d{0,9})\\overline\s*\{(\d{1,9})\}")
_MATRIX = re.compile(
    r"\\begin\{(?:[bpvB]?matrix|smallmatrix|array)\}(?:\{[lcr| ]*\})?(.*?)\\end\{[a-zB]*\}",
    re.DOTALL,
)
_CASES = re.compile(r"\\begin\{(?:cases|aligned)\}(.*?)\\end\{(?:cases|aligned)\}", re.DOTALL)
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_WORDS_OF = {
    **dict.fromkeys(["frac", "dfrac", "tfrac", "cfrac"], " frac "),
    **dict.fromkeys(["binom", "dbinom", "tbinom"], " binom "),
    **dict.fromkeys(["times", "cdot", "ast"], "*"),
    **dict.fromkeys(["le", "leq", "leqslant"], "≤"),
    **dict.fromkeys(["ge", "geq", "geqslant"], "≥"),
    **dict.fromkeys(["ne", "neq"], "≠"),
    **dict.fromkeys(["approx", "simeq"], "≈"),
    **dict.fromkeys(["circ", "degree"], "°"),
    **dict.fromkeys(["emptyset", "varnothing"], " ∅ "),
    **dict.fromkeys(["cdots", "ldots", "dots"], "..."),
    **dict.fromkeys(["lvert", "rvert", "vert", "mid"], "|"),
    **dict.fromkeys(["langle"], "("),
    **dict.fromkeys(["rangle"], ")"),
    **dict.fromkeys(["lbrace"], "{"),
    **dict.fromkeys(["rbrace"], "}"),
    **dict.fromkeys(str.split(
        "left right big Big bigl bigr Bigl Bigr bigg Bigg biggl biggr displaystyle textstyle limits"
        " nolimits rm bf it sf tt mathstrut text mathrm mathbf operatorname mbox textbf boxed fbox tiny scriptsize"
        " footnotesize small normalsize large Large LARGE huge Huge scriptstyle scriptscriptstyle bfseries itshape"
        " mathcal mathsf boldsymbol"), " "),
    **dict.fromkeys(str.split("quad qquad hspace enspace thinspace"), " "),
    **dict.fromkeys(str.split("Rightarrow implies rightarrow to longrightarrow"), " => "),
    "lfloor": " floor(", "rfloor": ")", "lceil": " ceil(", "rceil": ")",
    "div": "/", "pm": "±", "mp": "∓", "lt": "<", "gt": ">", "infty": " inf ", "cup": "∪", "cap": "∩", "bigcup": "∪", "bigcap": "∩", "in": "∈",
    "land": " and ", "lor": " or ", "sim": " ~ ", "prime": "'", "lnot": " not ", "neg": " not ", "Omega": "Ω",
    **dict.fromkeys(["bmod", "mod"], " mod "), "overrightarrow": " vec ", "overline": " bar ", "widehat": " hat ",
    "equiv": " ≡ ", "setminus": " ∖ ", "backslash": " ∖ ", "lbrack": "[", "rbrack": "]", "lVert": "‖", "rVert": "‖", "Vert": "‖",
    "euro": "€", "pounds": "£", "textdollar": "＄", "percent": "%", "colon": ":",
    **dict(zip(
        str.split("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi chi psi"
                  " omega varepsilon vartheta varphi Delta"), "αβγδεζηθικλμνξρστφχψωεθφΔ", strict=True)),
}  # fmt: skip
_KNOWN = {
    *_WORDS_OF,
    *str.split(
        "boxed sqrt pi vec bar hat sin cos tan ln log overline underline angle triangle mbox"
    ),
}
_ESCAPES = [
    (re.compile(r"\\(?:left|right)\s*\\?([(){}\[\]|])"), r" \1 "),
    (re.compile(r"\\left\s*\.|\\right\s*\."), " "),
    (re.compile(r"\\!"), ""),
    (re.compile(r"\\\$"), "＄"),
    (re.compile(r"\\([{}%&#_|])"), r"\1"),
    (re.compile(r"\\[,;:()\[\]\s]|\\\\(?:\[[^\]]*\])?|(?<=\S)~|~(?=\S)"), " "),
]
_COMMA = re.compile(r"\s*\{\s*,\s*\}\s*|,\s*\\!\s*")
_DOUBLED = re.compile(r"\\\\(?=(?P<name>[A-Za-z]+)|[{}()\[\]%$,!;:])")
_EATEN = [(re.compile(r"\x0c(?=[a-z])"), r"\\f"), (re.compile(r"\x08(?=[a-z])"), r"\\b"),
          (re.compile(r"\t(?=ext[a-z]*\{|imes|frac|heta|riangle)"), r"\\t"), (re.compile(r"\r(?=ight|angle)"), r"\\r")]  # fmt: skip
_END_OF_MATH = re.compile(r"^\s*(?:\$+|\\[)\]])")
_DEGREES = re.compile(
    r"(?<=\d)\^\s*\{?o\}?(?!\w)|\^\s*(?:\{\s*°\s*\}|°)|°|\^\s*\{?\s*degrees\s*\}?"
)
_SHORT_FRAC = re.compile(r"frac\s*(\d)\s*(\d)")
_BARE_GROUP = re.compile(r"(?<![\^_}\]])(?<!frac)(?<!sqrt)(?<!binom)\{\s*([A-Za-z][A-Za-z ]*)\}")


def plain_signs(text: str) -> str:
    """`text` with LaTeX and Unicode signs in one plain spelling; `＄` marks a currency dollar."""
    if not text.isascii():
        text = _from_unicode(text)
    text = _COMMA.sub(",", text).replace("`", "")
    if "\\" in text:
        text = _from_latex(text)
    elif "^" in text:
        text = _DEGREES.sub(" degrees ", text)
    return _without_math_dollars(text)


def single_backslashes(text: str) -> str:
    r"""`text` with what JSON made of its commands undone: `\\frac` is `\frac`, a form feed before `rac` too."""
    if not text.isprintable():
        for eaten, command in _EATEN:
            text = eaten.sub(command, text)
    if "\\\\" not in text:
        return text
    if "\\\\begin" in text:
        return text.replace("\\\\", "\\")
    return text if "\\begin" in text else _DOUBLED.sub(_single, text)


def _single(match: re.Match[str]) -> str:
    is_command = (
        match["name"] is None or match["name"] in _KNOWN or match["name"][:4] in ("text", "math")
    )
    return "\\" if is_command else match[0]


def boxed(text: str) -> str:
    r"""What the \boxed{...} of a text say, with what follows the last: several are a list."""
    start, end = text.find("\\boxed"), 0
    contents: list[str] = []
    before = text[:start]
    while start >= 0 and len(contents) < 20:
        content, end = _braced(text, start + len("\\boxed"))
        if content not in contents:
            contents.append(content)
        start = text.find("\\boxed", end)
    if not contents:
        return text
    after = _END_OF_MATH.sub("", text[end:], count=1)
    after = after if len(contents) == 1 and len(after) <= 40 else ""
    negation = "not " if re.search(r"\b(?:not|never|isn't)\s*[$:]*\s*$", before) else ""
    return negation + ", ".join(contents) + after


def _braced(text: str, position: int) -> tuple[str, int]:
    """(content, end) of the group that begins at `position`; an unclosed one runs to the end."""
    begin = text.find("{", position)
    if begin < 0 or text[position:begin].strip():
        return text[position : position + 40].strip().split(" ")[0], min(position + 40, len(text))
    depth = 0
    for index in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return text[begin + 1 : index], index + 1
    return text[begin + 1 :], len(text)


def _from_unicode(text: str) -> str:
    text = _SUPERSCRIPT_RUN.sub(lambda run: f"^({run[0].translate(_SUPERSCRIPTS)})", text)
    text = _VULGAR_SIGN.sub(
        lambda sign: f"{sign[1]} {_VULGAR[sign[2]]}" if sign[1] else f"({_VULGAR[sign[2]]})", text
    )
    text = _SUBSCRIPT_RUN.sub(_subscript, text).translate(_SIGNS)
    if _CIRCLED_PARTS.match(text):
        text = _CIRCLED.sub(lambda sign: f" ({unicodedata.digit(sign[0])}) ", text).strip()
    return text if text.isascii() else unicodedata.normalize("NFKC", text).translate(_SIGNS)


def _subscript(run: re.Match[str]) -> str:
    digits = run[0].translate(_SUBSCRIPTS)
    return f"_{digits}" if len(digits) == 1 else f"_{{{digits}}}"


def _from_latex(text: str) -> str:
    text = _REPEATING.sub(_repeating_fraction, text)
    text = plain_environments(text)
    text = _NUMBER_SET.sub(lambda name: _SET_NAMES[name[1] or name[2]], text)
    text = _SEGMENT.sub(r" \1 ", text)
    for _ in range(3):  # \textbf{\text{...}}
        text = _TEXT_COMMAND.sub(r" \1 ", _COLOUR.sub(r"\1", text))
    for pattern, plain in _ESCAPES:
        text = pattern.sub(plain, text)
    text = _COMMAND.sub(lambda command: _WORDS_OF.get(command[1], f" {command[1]} "), text)
    text = _DEGREES.sub(" degrees ", text.replace("\\", " "))
    text = _SHORT_FRAC.sub(r"frac{\1}{\2}", text)
    text = re.sub(r"(frac|sqrt|binom)\s+(?=[{\[])", r"\1", text)
    text = _DERIVATIVE.sub(r"d\1/d\2", text)
    text = _PRIMES.sub(lambda primes: primes[1].replace(" ", ""), text)
    return _BARE_GROUP.sub(r" \1 ", text)


def _repeating_fraction(match: re.Match[str]) -> str:
    r"""0.1\overline{6} as a fraction: (16 - 1) / 90."""
    whole, fixed, period = match.groups()
    numerator = int(f"{whole or 0}{fixed}{period}") - int(f"{whole or 0}{fixed}")
    return f"({numerator}/{'9' * len(period)}{'0' * len(fixed)})"


def _without_math_dollars(text: str) -> str:
    """Dollars around mathematics go, a dollar before an amount stays, as `＄`."""
    count = text.count("$")
    if not count:
        return text
    amounts = re.findall(r"(?<![^\s(\[\-+A-Z])\$(?=\s?[\d.])", text)
    if len(amounts) == count and (count == 1 or not text.rstrip(" .").endswith("$")):
        return text.replace("$", "＄")
    return (
        text.replace("$", " ")
        if count % 2 == 0
        else re.sub(r"\$(?=\d)", "＄", text, count=1).replace("$", " ")
    )

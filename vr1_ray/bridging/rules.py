"""The rules and rewrites of rules.yaml: read, checked, and run on a chain.

Every rule is run on every chain, so that each has its own count; a chain is dropped by the first of them in
the file's order. `run_examples` says which examples a rule gets wrong: a test runs it, and so can you on rules
of your own (`bridge.rules`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from vr1_ray.bridging.chains import Chain, read_chain
from vr1_ray.bridging.checks import CHECKS, Checked
from vr1_ray.bridging.rows import Candidate, Reply
from vr1_ray.config import ConfigError
from vr1_ray.wording import did_you_mean

_FILE = Path(__file__).with_name("rules.yaml")
_RULE_KEYS = {"name", "stage", "patterns", "check", "examples"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One reason to drop a chain: patterns, or a check with its arguments."""

    name: str
    is_raw: bool  # before the rewrites
    patterns: tuple[re.Pattern[str], ...] = ()
    check: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    examples: dict[str, list[Any]] = field(default_factory=dict)

    def drops(self, checked: Checked) -> bool:
        """Whether the chain is at fault by this rule."""
        if self.check:
            return CHECKS[self.check](checked, **self.arguments)
        return any(pattern.search(checked.chain.thought) for pattern in self.patterns)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewrite:
    """One replacement of words, at the start of a sentence with a capital letter again."""

    name: str
    pattern: re.Pattern[str]
    replacement: str
    examples: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, text: str) -> str:
        return self.pattern.sub(self._replace, text)

    def _replace(self, found: re.Match[str]) -> str:
        new = found.expand(self.replacement)
        return new[:1].upper() + new[1:] if found[0][:1].isupper() else new


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleBook:
    """All rules and rewrites, in order.

    Example:
        book = load_rules()
        book.judge(reply, number=0, question="How many?", answer="3").dropped_by  # ("looping",)
    """

    rules: tuple[Rule, ...]
    rewrites: tuple[Rewrite, ...]

    def judge(self, reply: Reply, *, number: int, question: str, answer: str) -> Candidate:
        """The chain of a reply, rewritten, with the names of all rules that drop it."""
        chain = read_chain(reply)
        mended, rewritten_by = self.rewrite(chain)
        dropped_by = tuple(
            rule.name
            for rule in self.rules
            if rule.drops(
                Checked(chain=chain if rule.is_raw else mended, question=question, answer=answer)
            )
        )
        return Candidate(
            number=number,
            reply_id=reply.reply_id,
            thought=mended.thought,
            answer=chain.answer,
            dropped_by=dropped_by,
            rewritten_by=rewritten_by,
        )

    def rewrite(self, chain: Chain) -> tuple[Chain, tuple[str, ...]]:
        """The chain with its thought mended, and the names of the rewrites that changed it."""
        thought, names = chain.thought, []
        for rewrite in self.rewrites:
            mended = rewrite(thought)
            if mended != thought:
                names.append(rewrite.name)
            thought = mended
        return replace(chain, thought=thought), tuple(names)


def load_rules(path: str = "") -> RuleBook:
    """The rules of a YAML file, the package's own without a path. Raises ConfigError that names the rule."""
    where = Path(path) if path else _FILE
    if not where.is_file():
        raise ConfigError(f"bridge.rules: {where} is no file")
    try:
        raw = yaml.safe_load(where.read_text(encoding="utf-8"))
        words = raw.get("words") or {}
        rules = tuple(_rule(item, words) for item in raw.get("rules") or [])
        rewrites = tuple(_rewrite(item, words) for item in raw.get("rewrites") or [])
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise ConfigError(f"bridge.rules: {where} can't be read: {error}") from error
    names = [rule.name for rule in rules] + [rewrite.name for rewrite in rewrites]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"bridge.rules: {where}: {repeated[0]!r} is there twice; name it otherwise"
        )
    return RuleBook(rules=rules, rewrites=rewrites)


def run_examples(book: RuleBook) -> Iterator[str]:
    """One line for each example that comes out otherwise than its rule says."""
    for rule in book.rules:
        for kind, examples in rule.examples.items():
            for example in examples:
                checked = _example(example)
                if not rule.is_raw:
                    checked = replace(checked, chain=book.rewrite(checked.chain)[0])
                if rule.drops(checked) != (kind == "drop"):
                    yield f"{rule.name}: should {kind} {example!r:.120}"
    for rewrite in book.rewrites:
        for pair in rewrite.examples:
            if (found := rewrite(pair["from"])) != pair["to"]:
                yield f"{rewrite.name}: made {found!r} of {pair['from']!r}, not {pair['to']!r}"


def _example(example: str | dict[str, Any]) -> Checked:
    """An example is a thought alone, or a mapping: thought (or repeat, times), final, answer, question, finish_reason."""
    values: dict[str, Any] = {"thought": example} if isinstance(example, str) else dict(example)
    thought = values.get("thought") or values["repeat"] * values["times"]
    reply = Reply(
        reply_id="",
        text=values.get("final", ""),
        thought=thought,
        finish_reason=values.get("finish_reason", "stop"),
        prompt_tokens=0,
        completion_tokens=0,
    )
    return Checked(
        chain=read_chain(reply),
        question=values.get("question", ""),
        answer=values.get("answer", ""),
    )


def _rule(item: dict[str, Any], words: dict[str, str]) -> Rule:
    name, check, patterns = item["name"], item.get("check", ""), item.get("patterns") or []
    if bool(check) == bool(patterns):
        raise ConfigError(f"bridge.rules: {name}: give either `patterns` or `check`")
    if check and check not in CHECKS:
        meant = did_you_mean(check, CHECKS)
        raise ConfigError(
            f"bridge.rules: {name}: check {check!r} is none of {', '.join(CHECKS)}.{meant}"
        )
    rule = Rule(
        name=name,
        is_raw=item.get("stage") == "raw",
        patterns=tuple(_compiled(name, pattern, words) for pattern in patterns),
        check=check,
        arguments={key: value for key, value in item.items() if key not in _RULE_KEYS},
        examples=item.get("examples") or {},
    )
    if unknown := sorted(set(rule.examples) - {"drop", "keep"}):
        raise ConfigError(f"bridge.rules: {name}: examples are `drop` and `keep`, not {unknown[0]}")
    if check:  # a wrong argument shows now, not in the middle of a run
        rule.drops(_example({"thought": "Three.", "final": "3", "answer": "3"}))
    return rule


def _rewrite(item: dict[str, Any], words: dict[str, str]) -> Rewrite:
    return Rewrite(
        name=item["name"],
        pattern=_compiled(item["name"], item["pattern"], words),
        replacement=item["replace"],
        examples=item.get("examples") or [],
    )


def _compiled(name: str, pattern: str, words: dict[str, str]) -> re.Pattern[str]:
    try:
        filled = re.sub(r"%(\w+)%", lambda found: words[found[1]], pattern)
        return re.compile(filled, re.IGNORECASE)
    except (KeyError, re.error) as error:
        raise ConfigError(f"bridge.rules: {name}: {pattern!r} is no pattern: {error!r}") from error

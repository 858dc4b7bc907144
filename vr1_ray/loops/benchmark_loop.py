"""Benchmarks: ask what has no response yet, judge all responses, write figures, rows and a page of failures.

runs/NAME/benchmarks/LABEL/  settings.json  NAME.responses.jsonl (grows)  NAME.jsonl  NAME.html  table.txt  scores.json
                     images/ the pictures of all questions, by content hash

Sampling and judging are apart: with all responses there no engine is started, so a judge can be added later.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vr1_ray.actors.fleet import Fleet
from vr1_ray.config import ConfigError, RunConfig
from vr1_ray.data.images import PICTURES
from vr1_ray.data.refusals import BadRows, RowProblems
from vr1_ray.evaluation import Judged, Question, Selection, Verdict, load_selections, paper
from vr1_ray.evaluation.elsewhere import digest
from vr1_ray.evaluation.judge import Judge
from vr1_ray.evaluation.page import IMAGES, write_page
from vr1_ray.evaluation.responses import ResponseFile, check_settings
from vr1_ray.evaluation.scoring import judge_responses, result_of, rows_of
from vr1_ray.evaluation.statistics import pass_scores
from vr1_ray.evaluation.table import result_text
from vr1_ray.loops.benchmark_asking import Progress, answered, responses_of
from vr1_ray.models import ModelAdapter
from vr1_ray.pictures import picture_type
from vr1_ray.runs.run_folder import write_json
from vr1_ray.types import Prompt, RolloutGroup, SamplingSpec

BENCHMARKS = "benchmarks"
JUDGE_CACHE = "judge_cache.jsonl"


@dataclass(frozen=True, kw_only=True)
class BenchmarkSet:
    """The benchmarks of a run, read: what is asked, judged and written of them.

    Example:
        benchmarks = read_benchmarks(config, adapter, max_response_tokens=4096)
        benchmarks.ask(fleet, "rl")
        benchmarks.judge_and_write("rl")    # {"mathvista": 0.7, "mathvista/GPS": 0.8}
    """

    config: RunConfig
    selections: list[Selection]
    max_response_tokens: int
    too_long: frozenset[str]
    """Ids of prompts that the model has no room for."""

    @property
    def names(self) -> list[str]:
        """As in `benchmarks`."""
        return [one.name for one in self.selections]

    def folder(self, label: str) -> Path:
        """Where an evaluation is kept."""
        return self.config.folder / BENCHMARKS / label

    @property
    def prompts(self) -> list[Prompt]:
        """Of all questions, answered or not."""
        return [question.prompt for one in self.selections for question in one.questions]

    def start_over(self, label: str) -> None:
        """Forget what an earlier policy of this label answered: during RL nothing is taken over."""
        shutil.rmtree(self.folder(label), ignore_errors=True)

    def unanswered(self, label: str) -> list[list[Question]]:
        """Per selection, the questions without all their responses. Raises ConfigError if others were sampled otherwise."""
        folder = self.folder(label)
        check_settings(folder / "settings.json", self.sampling_settings())
        missing = []
        for one in self.selections:
            found = response_file(folder, one).read()
            missing.append(
                [
                    question
                    for question in one.questions
                    if len(found.get(question.question_id, ())) < self.config.eval.num_samples
                    and question.prompt.prompt_id not in self.too_long
                ]
            )
        return missing

    def sampling_settings(self) -> dict[str, Any]:
        """What makes responses those of one evaluation. Names, sizes and times of the weight files stand for them."""
        config = self.config
        if config.eval.responses:
            file = Path(config.eval.responses)
            return {
                "responses": str(file),
                "content": digest(file),
                "protocol": config.eval.protocol,
            }
        policy = config.eval.policy
        model_path = "" if policy.model else config.model.path
        weights = sorted(Path(model_path).glob("*.safetensors")) if model_path else []
        elsewhere = {"base_url": policy.base_url} if policy.model else {}
        return {
            **elsewhere,
            "model": policy.model or model_path,
            "weights": [
                [path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in weights
            ],
            "pixels": [config.model.min_pixels, config.model.max_pixels],
            "system_prompt": config.model.system_prompt,
            "dtype": config.model.dtype,
            "temperature": config.eval.temperature,
            "top_p": config.eval.top_p,
            "max_response_tokens": self.max_response_tokens,
            "protocol": config.eval.protocol,
            **({"instructions": config.eval.instructions} if config.eval.instructions else {}),
            "seed": config.seed,
        }

    def ask(self, fleet: Fleet, label: str) -> None:
        """Sample what is missing, over all engines; each question's responses are on disk as soon as it is answered."""
        folder = self.folder(label)
        spec = SamplingSpec(
            max_response_tokens=self.max_response_tokens,
            group_size=self.config.eval.num_samples,
            temperature=self.config.eval.temperature,
            top_p=self.config.eval.top_p,
        )
        max_asked = paper.MAX_ASKED if self.config.eval.protocol == "paper" else 1

        def sample(prompts: list[Prompt], attempt: int) -> Iterator[RolloutGroup]:
            return fleet.evaluate_each(prompts, spec, attempt=attempt)

        missing = self.unanswered(label)
        for one, questions in zip(self.selections, missing, strict=True):
            file = response_file(folder, one)
            progress = Progress(one.name, total=len(one.questions), todo=len(questions))
            ids = {question.prompt.prompt_id: question.question_id for question in questions}
            prompts = [question.prompt for question in questions]
            for group, times_asked in answered(prompts, sample, max_asked=max_asked):
                file.append(responses_of(ids[group.prompt.prompt_id], group, times_asked))
                progress.one_more()

    def judge_and_write(self, label: str, *, is_shown: bool = True) -> dict[str, float]:
        """Judge all responses and write what a user reads. Returns figures: `mathvista`, `mathvista/GPS`, ...

        Raises JudgeError if too many judgements are missing; the responses stay.
        """
        config, folder = self.config, self.folder(label)
        judge = make_judge(config)
        settings = self.sampling_settings() | {"judge": config.eval.judge.model}
        if config.kind == "rl":  # not `model.path`, which the policy only began as
            settings["model"] = f"{config.name}, {label}"
        results: list[dict[str, Any]] = []
        figures: dict[str, float] = {}
        for one in self.selections:
            responses = response_file(folder, one).read()
            judged = judge_responses(one.benchmark, one.questions, responses, config.eval, judge)
            names = _write_images(folder / IMAGES, one.questions)
            rows = rows_of(judged, responses, names)
            result = result_of(one.name, one.benchmark, judged, rows) | {"files": list(one.files)}
            results.append(result)
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / f"{one.slug}.jsonl").write_text(lines, encoding="utf-8")
            write_page(folder / f"{one.slug}.html", rows, result, result_text([result], settings))
            figures |= figures_of(result)
        table = result_text(results, settings)
        (folder / "table.txt").write_text(table + "\n", encoding="utf-8")
        write_json(folder / "scores.json", {"settings": settings, "results": results})
        if is_shown:
            print(f"\n{table}\n\n{folder}", flush=True)
        return figures

    def figure_names(self) -> list[str]:
        """The names of all figures there will be, known before anything is asked: those of wrong answers throughout."""
        wrong = (Verdict(is_correct=False, rule="not asked yet"),) * self.config.eval.num_samples
        names = []
        for one in self.selections:
            judged = [Judged(question=question, verdicts=wrong) for question in one.questions]
            scores = [*one.benchmark.scores(judged), *pass_scores(judged)]
            headline = one.benchmark.headline
            names += [_figure(one.name, s.name, headline) for s in scores if s.value is not None]
        return list(dict.fromkeys(names))


def read_benchmarks(
    config: RunConfig, adapter: ModelAdapter | None, *, max_response_tokens: int
) -> BenchmarkSet:
    """Read `benchmarks`, as the protocol sends them; without an adapter, nothing is too long to ask. Raises ConfigError or DataError before anything is started."""
    make_judge(config)  # a wrong setting of it shows now
    selections = load_selections(
        config.benchmarks,
        config.eval,
        max_image_pixels=config.data.max_image_pixels,
        bad_rows=BadRows.of(config.data_here),
        unpack=Path(config.data_here.index_folder) / PICTURES,
    )
    if config.eval.protocol == "paper":
        selections = [
            replace(one, questions=[_as_paper(one, question) for question in one.questions])
            for one in selections
        ]
    for one in () if adapter is None else selections:
        _check_image_counts(one, config.model.max_images)
    room = config.model.max_model_len - max_response_tokens
    too_long = frozenset(
        question.prompt.prompt_id
        for one in selections
        for question in one.questions
        if adapter is not None and len(adapter.render(question.prompt).prompt_ids) > room
    )
    for one in selections:
        _check_some_fit(one, too_long, max_response_tokens)
    return BenchmarkSet(
        config=config,
        selections=selections,
        max_response_tokens=max_response_tokens,
        too_long=too_long,
    )


def _check_some_fit(selection: Selection, too_long: frozenset[str], max_tokens: int) -> None:
    """An evaluation that could ask nothing would call every answer wrong."""
    if all(question.prompt.prompt_id in too_long for question in selection.questions):
        raise ConfigError(
            f"benchmarks: none of the {len(selection.questions)} questions of {selection.name} fits model.max_model_len "
            f"beside {max_tokens} response tokens; raise it, or lower eval.max_response_tokens or model.max_pixels"
        )


def _check_image_counts(selection: Selection, max_images: int) -> None:
    problems = RowProblems("benchmarks", selection.name)
    for question in selection.questions:
        found = len(question.prompt.images)
        if found > max_images:
            problems.add(
                f"question {question.question_id}",
                f"{found} images, over model.max_images={max_images}; raise it",
            )
    problems.raise_if_any()


def _as_paper(selection: Selection, question: Question) -> Question:
    text = selection.benchmark.paper_text(question)
    return replace(question, prompt=paper.shrunk(replace(question.prompt, question=text)))


def response_file(folder: Path, selection: Selection) -> ResponseFile:
    """Where the responses to a benchmark are kept."""
    return ResponseFile(folder / f"{selection.slug}.responses.jsonl")


def figures_of(result: dict[str, Any]) -> dict[str, float]:
    """The scores of a benchmark under names that `eval.best_by` can give; one of nothing is left out."""
    name, headline = result["name"], result["headline"]
    return {
        _figure(name, score, headline): found["value"]
        for score, found in result["scores"].items()
        if found["value"] is not None
    }


def _figure(name: str, score: str, headline: str) -> str:
    return name if score == headline else f"{name}/{score}"


def make_judge(config: RunConfig) -> Judge | None:
    """The judge of the config, if it names one. Raises ConfigError for settings that can't be used."""
    if not config.eval.judge.model:
        return None
    calls = paper.MAX_ASKED if config.eval.protocol == "paper" else 1
    return Judge(config.eval.judge, config.folder / BENCHMARKS / JUDGE_CACHE, most_calls=calls)


def _write_images(folder: Path, questions: Sequence[Question]) -> dict[str, str]:
    """Every picture once, in a file that is shown as it was sent; the names by content hash."""
    folder.mkdir(parents=True, exist_ok=True)
    names: dict[str, str] = {}
    for image in (image for question in questions for image in question.prompt.images):
        if image.content_hash not in names:
            shown = image.as_shown().data
            suffix = picture_type(shown).removeprefix("image/")
            names[image.content_hash] = f"{image.content_hash}.{suffix}"
            path = folder / names[image.content_hash]
            if not path.is_file():
                path.write_bytes(shown)
    return names

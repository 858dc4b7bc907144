"""Mistakes in what a config names, in commands, rewards, endpoints, benchmarks and bridging, with their cures."""

import os
from dataclasses import replace
from pathlib import Path

from tests.unit.cures.cases import CONFIGS, call
from tests.unit.data.inputs import RED
from vr1_ray.bridging.client import check_endpoint
from vr1_ray.bridging.prompts import load_prompts as load_templates
from vr1_ray.bridging.readers import reader_named
from vr1_ray.bridging.rules import load_rules
from vr1_ray.bridging.servers import Servers
from vr1_ray.commands.generate import check_output
from vr1_ray.commands.init import init
from vr1_ray.commands.status import find_run
from vr1_ray.config import (
    BridgeConfig,
    CurriculumConfig,
    DataConfig,
    EndpointConfig,
    EvalConfig,
    RewardSpec,
    StageConfig,
    load_config,
)
from vr1_ray.config.generate import GenerateConfig, sections
from vr1_ray.config.generate import check_settings as check_generate
from vr1_ray.config.tables import find, find_function
from vr1_ray.curriculum import make_curriculum
from vr1_ray.data.questions import load_questions
from vr1_ray.endpoints.endpoint import check_url, read_key
from vr1_ray.evaluation import load_selections
from vr1_ray.evaluation.responses import check_settings
from vr1_ray.rewards import make_rewards

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "examples" / "evaluation" / "fixtures"
ROWS = {"plain": dict}


def written(folder, text, name="x.yaml"):
    (folder / name).write_text(text)
    return folder / name


def named(text="", name="", field="some.name", kind=None, file="own_mod.py"):
    """Find what a name stands for, where FOLDER/own_mod.py holds `text`."""

    def run(folder):
        if text:
            written(folder, text, file)
        return find(ROWS, name.replace("FOLDER", str(folder)), field, kind=kind) and None

    return run


def rewarded(*specs):
    return lambda _: make_rewards([RewardSpec(**spec) for spec in specs]) and None


def reward_of(text, **spec):
    def run(folder):
        path = written(folder, "from vr1_ray.rewards import Reward\n" + text, "own.py")
        make_rewards([RewardSpec(name=f"{path}:found", **spec)])

    return run


def stages(*sizes, name="ptst", saved=None):
    def made(sizes):
        found = [StageConfig(max_response_tokens=size, group_size=4, steps=1) for size in sizes]
        return make_curriculum(CurriculumConfig(name=name, stages=found))

    def run(_):
        curriculum = made(sizes)
        if saved is not None:
            before = made(saved)
            before.begin_step()
            curriculum.load_state_dict(before.state_dict())

    return run


def asked(**changes):
    return lambda _: check_generate(GenerateConfig(policy="p", **changes))


def put_out(name, *folders):
    def run(folder):
        rows = written(folder, "", "q.jsonl")
        for one in folders:
            (folder / one).mkdir()
        output = folder / (name or folders[0])
        check_output(GenerateConfig(policy="p", source=str(rows), output=str(output)))

    return run


def questions(name, text=""):
    def run(folder):
        written(folder, '{"question": "How many?"}', "q.jsonl")
        (folder / "a.png").write_bytes(RED)
        load_questions(str(folder / name), text, DataConfig())

    return run


def endpoint(**fields):
    good = EndpointConfig(model="m", base_urls=["http://127.0.0.1:1/v1"])
    return lambda _: check_endpoint(replace(good, **fields), name="mllm")


def served(**fields):
    def run(folder):
        config = BridgeConfig(mllm=EndpointConfig(model="m", **fields))
        with Servers(folder, {}) as servers:
            if fields.get("command") and fields.get("base_urls"):
                servers.start(config)

    return run


def rules(text):
    return lambda folder: load_rules(str(written(folder, text, "rules.yaml"))) and None


def templates(has_folder):
    return lambda folder: load_templates(str(folder if has_folder else folder / "none")) and None


def benchmarks(*names, folder=str(FIXTURES), **changes):
    config = EvalConfig(benchmarks_folder=folder, **changes)
    return lambda _: load_selections(list(names), config) and None


def judged():
    from vr1_ray.config.evaluation import JudgeConfig

    return JudgeConfig(model="gpt-4o-mini-2024-07-18")


def sampled(before, now):
    def run(folder):
        check_settings(folder / "a" / "settings.json", {"seed": before})
        check_settings(folder / "a" / "settings.json", {"seed": now})

    return run


def started(name, *, has_file=False):
    def run(folder):
        before = Path.cwd()
        os.chdir(folder)
        try:
            if has_file:
                written(folder, "", f"{name}.yaml")
            init(name)
        finally:
            os.chdir(before)

    return run


def a_run(run, runs_folder="runs"):
    def find_it(folder):
        (folder / "runs" / "mine").mkdir(parents=True)
        written(folder / "runs" / "mine", "kind: rl\n", "config.yaml")
        find_run(run.replace("FOLDER", str(folder)), folder / runs_folder)

    return find_it


def key_of(variable, value=None):
    def run(_):
        if value is not None:
            os.environ[variable] = value
        try:
            read_key(variable)
        finally:
            os.environ.pop("VR1_CURE_KEY", None)

    return run


def loaded(text, *overrides):
    return lambda folder: load_config(written(folder, text), list(overrides)) and None


def command(name, kind):
    """What a command of the console says of a config that is of another kind, or what `vr1 run` does."""

    def run(folder):
        path = written(folder, str(CONFIGS[kind]))
        if name == "run":
            return load_config(path) and None
        from vr1_ray import cli
        from vr1_ray.commands.arguments import make_parser

        return cli._run(make_parser().parse_args([name, str(path)]))

    return run


RULE = "rules: [{name: a, %s}]"
RECIPE = "kind: recipe\nname: x\n"
FUNCTION, CLASS = (
    "def found(inputs): return 1.0\n",
    "class found(Reward):\n    def score(self, i): return 1.0\n",
)
NAMED = [
    call("a file by its path", "can't be loaded", named(name="FOLDER/own_mod.py:found"),
         named(FUNCTION, name="FOLDER/own_mod.py:found")),
    call("a name that is not in the file", "after the colon", named(FUNCTION, name="FOLDER/own_mod.py:other"),
         named(FUNCTION, name="FOLDER/own_mod.py:found")),
    call("a module that is not there", "Install the module", named(name="no_such_module:found"),
         named(FUNCTION, name="FOLDER/own_mod.py:found")),
    call("a file that breaks", "Mend what its code raises", named("1 / 0", name="FOLDER/own_mod.py:found"),
         named(FUNCTION, name="FOLDER/own_mod.py:found")),
    call("an unknown name", "is unknown", named(name="other"), named(name="plain"), named(name="collections:OrderedDict"),
         named(FUNCTION, name="FOLDER/own_mod.py:found")),
    call("another kind", "derive it", named("class found: pass", name="FOLDER/own_mod.py:found", kind=dict),
         named("class found(dict): pass", name="FOLDER/own_mod.py:found", kind=dict)),
    call("no function", "is no function", lambda _: find_function("decimal:Decimal", "x", {}),
         lambda _: find_function("math:floor", "x", 1) and None),
    call("a reader that is no function", "is no function", lambda _: reader_named("string:digits"),
         lambda _: reader_named("vr1_ray.bridging.readers.jsonl:read_jsonl") and None),
]  # fmt: skip
REWARDS = [
    call("no reward", "no reward is named", rewarded(), rewarded({"name": "hard_format"})),
    call("a weight that is none", "not finite", rewarded({"name": "hard_format", "weight": float("nan")}), rewarded({"name": "hard_format"})),
    call("a reward that is a number", "name a function", reward_of("found = 5"), reward_of(FUNCTION), reward_of(CLASS)),
    call("a class that is no reward", "derive it", reward_of("class found: pass"), reward_of(CLASS), reward_of(FUNCTION)),
    call("a reward without a score", "write one of them", reward_of("class found(Reward): pass"), reward_of(CLASS)),
    call("a share that is none", "give a share", rewarded({"name": "length_shaping", "options": {"buffer_share": 2}}),
         rewarded({"name": "length_shaping", "options": {"buffer_share": 1}})),
    call("an n-gram of nothing", "give at least 1", rewarded({"name": "repetition", "options": {"ngram_tokens": 0}}),
         rewarded({"name": "repetition", "options": {"ngram_tokens": 1}})),
]  # fmt: skip
CURRICULA = [
    call("no stage", "none is enabled", stages(), stages(64)),
    call("two stages of one", "takes one", stages(64, 128, name="constant"), stages(64, name="constant"), stages(64, 128)),
    call("other stages", "the checkpoint began", stages(64, saved=(32,)), stages(32, saved=(32,))),
]  # fmt: skip
COMMANDS = [
    call("nothing asked", "--question: empty", asked(), asked(question="How?"), asked(source="a.jsonl")),
    call("--set of something else", "not a setting here", lambda _: sections(["seed=1"]),
         lambda _: sections(["model.max_pixels=99999"]) and None),
    call("an --output that is a folder", "is a folder; name a file", put_out("", "old"), put_out("a.jsonl", "old"), put_out("old/a.jsonl", "old")),
    call("an --output that is --input", "is --input itself", put_out("q.jsonl"), put_out("a.jsonl")),
    call("an --output below a file", "can't be written", put_out("q.jsonl/a.jsonl"), put_out("a.jsonl")),
    call("greedy responses", "greedy responses are the same", asked(question="?", temperature=0, num_samples=2),
         asked(question="?", temperature=0.5, num_samples=2), asked(question="?", temperature=0)),
    call("--set of what does nothing", "has no effect on", lambda _: sections(["model.freeze_projector=true"]), lambda _: sections([]) and None),
    call("--set of rows that are none", "of the rows of --input", lambda _: sections(["data.split=a"], has_rows=False),
         lambda _: sections(["data.split=a"]) and None, lambda _: sections([], has_rows=False) and None),
    call("a question for rows", "has questions of its own", questions("q.jsonl", "How?"), questions("q.jsonl"), questions("", "How?")),
    call("a name for init", "can't be a run's name", started("a b"), started("a_b"), started("a-b.1")),
    call("a file for init", "is there already", started("a", has_file=True), started("b")),
    call("no such run", "is neither a run folder", a_run("other"), a_run("mine"), a_run("FOLDER/runs/mine", "nowhere")),
    call("another kind of config", "is not what", command("sft", "rl"), command("run", "rl")),
    call("an override without a value", "has no '='", loaded(str(CONFIGS["rl"]), "seed"), loaded(str(CONFIGS["rl"]), "seed=1")),
    call("a recipe without steps", "at least one step", loaded(RECIPE), loaded(RECIPE + "steps: {a: {kind: figure_math}}")),
]  # fmt: skip
ENDPOINTS = [
    call("an address", "starts with http", lambda _: check_url("x", "localhost"), lambda _: check_url("x", "http://localhost"),
         lambda _: check_url("x", "https://localhost")),
    call("a key in the config", "not the name of an environment", key_of("sk-123"), key_of("VR1_CURE_KEY", "secret")),
    call("a key that is not set", "not set in the environment", key_of("VR1_CURE_KEY"), key_of("VR1_CURE_KEY", "secret"), key_of("")),
    call("no model", "model: empty", endpoint(model=""), endpoint(model="m")),
    call("no address", "base_urls: empty", endpoint(base_urls=[]), endpoint(base_urls=["http://a/v1"])),
    call("what is set elsewhere", "can't be set there", endpoint(request={"seed": 1}), endpoint(request={})),
    call("what is a server's own", "in extra_body", endpoint(request={"top_k": 1}), endpoint(request={"extra_body": {"top_k": 1}})),
    call("an address and a command", "give one of them", served(command=["true"], base_urls=["http://a/v1"]),
         served(command=["true"]), served(base_urls=["http://a/v1"])),
]  # fmt: skip
BRIDGING = [
    call("two rules of a name", "is there twice", rules("rules: [{name: a, patterns: [x]}, {name: a, patterns: [y]}]"),
         rules("rules: [{name: a, patterns: [x]}, {name: b, patterns: [y]}]")),
    call("a rule of nothing", "give either", rules(RULE % "stage: raw"), rules(RULE % "patterns: [x]"), rules(RULE % "check: unterminated")),
    call("an unknown check", "is none of", rules(RULE % "check: other"), rules(RULE % "check: unterminated")),
    call("no folder of templates", "is no folder", templates(False), templates(True)),
]  # fmt: skip
BENCHMARKS = [
    call("a benchmark twice", "names one twice", benchmarks("mathvista", "mathvista"), benchmarks("mathvista")),
    call("no paper protocol", "no protocol 'paper'", benchmarks("geometry3k", protocol="paper"), benchmarks("geometry3k")),
    call("no judge", "eval.judge.model: empty", benchmarks("mathvista", protocol="paper"),
         benchmarks("mathvista", protocol="paper", judge=judged()), benchmarks("mathvista")),
    call("no files", "has nothing of", benchmarks("mathvista", folder=str(ROOT / "tests")), benchmarks("mathvista")),
    call("other settings", "changed since the responses", sampled(1, 2), sampled(1, 1)),
]  # fmt: skip
CASES = [*NAMED, *REWARDS, *CURRICULA, *COMMANDS, *ENDPOINTS, *BRIDGING, *BENCHMARKS]

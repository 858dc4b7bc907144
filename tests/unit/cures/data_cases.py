"""Mistakes in rows and files, with the cures that their messages name."""

from tests.unit.cures.cases import Case, call, read_rows, rows
from vr1_ray.config import DataConfig
from vr1_ray.data import drop_overlong, limit_prompts, load_demonstrations, load_prompts
from vr1_ray.data.prompt_ids import make_prompt
from vr1_ray.data.questions import load_questions, one_question
from vr1_ray.data.sampler import PromptSampler
from vr1_ray.types import Demonstration

RESPONSE = "<think> Okay. </think><answer> Final Answer:3 </answer>"
PLAIN = {"problem": "How many?", "answer": "3"}


def row(**cells) -> list[dict]:
    """A good row, but for these cells; None leaves a column out."""
    return [{name: cell for name, cell in {**PLAIN, **cells}.items() if cell is not None}]


def chat(*turns: tuple[str, object]) -> list[dict]:
    return [{"conversations": [{"from": who, "value": what} for who, what in turns], "answer": "3"}]


ASKED = ("human", "How many?")
SAID = ("gpt", RESPONSE)
PICTURES: list[Case] = [
    rows("is no file in", row(images=["none.png"]), row(images=["a.png"])),
    rows("is no file in", row(images=["b/a.png"]), (row(images=["a.png"]), {"image_root": "FOLDER/data"})),
    rows("there is no folder", row(images=["a.png"]), {"image_root": "FOLDER/data"}, settings={"image_root": "nowhere"}),
    # whole paths: of a file elsewhere, of many folders, of another machine
    rows("leaves the data folder", '{"problem": "?", "answer": "3", "images": ["FOLDER/outside.png"]}',
         {"image_root": "FOLDER"}, {"image_root": "/"}),
    rows("on this machine", row(images=["/no/such/a.png"]), row(images=["a.png"])),
    rows("leaves the data folder", row(images=["../outside.png"]),
         (row(images=["outside.png"]), {"image_root": "FOLDER"})),
    rows("leaves the data folder", row(images=["../none.png"]), row(images=["a.png"])),
    rows("it is a link to", row(images=["link.png"]), (row(images=["outside.png"]), {"image_root": "FOLDER"})),
    rows("is no image", row(images=[5]), row(images=["a.png"]), row(images=[{"path": "a.png"}])),
    rows("is no image", row(images=[{"a": 1}]), row(images=[{"path": "a.png"}])),
    rows("is a URL", row(images=["https://x.org/a.png"]), row(images=["a.png"])),
    rows("is no base64", row(images=[{"bytes": "?"}]), row(images=["a.png"])),
    rows("data URI", row(images=["data:image/png,abc"]), row(images=["a.png"])),
    rows("is no path", row(images=["a\0b.png"]), row(images=["a.png"])),
    rows("sides differ", row(images=["strip.png"]), row(images=None)),
    rows("decompression bomb", row(images=["a.png"]), {"max_image_pixels": 48}, settings={"max_image_pixels": 10}),
    rows("images, over model.max_images", row(images=["a.png", "b.png"]), {"max_images": 2}, settings={"max_images": 1}),
    *(rows(says, row(images=[name]), row(images=["a.png"]), row(images=None)) for name, says in (
        ("html.jpg", "HTML page"), ("lfs.png", "git-lfs"), ("drawing.png", "SVG"), ("page.png", "a PDF"), ("empty.png", "empty"),
    )),
    rows("holds pictures", row(picture="a.png"), {"images_column": "picture"}, {"images_column": ""}, row(images=["a.png"])),
    rows("pictures stand here", [{"messages": [{"role": "user", "content": [{"type": "image", "image": "a.png"}]}],
                                  "images": ["a.png"], "answer": "3"}],
         [{"messages": [{"role": "user", "content": [{"type": "image"}]}], "images": ["a.png"], "answer": "3"}]),
    rows("holds pictures", row(extra_info={"images": ["a.png"]}), row(images=["a.png"]), {"images_column": ""}),
    rows("one column is read", row(images=["a.png"], image2="b.png"), row(images=["a.png", "b.png"])),
    rows("is no mark that is read", row(problem="[IMG] How?", images=["a.png"]), row(problem="<image> How?", images=["a.png"]),
         row(problem="<image> What is [IMG]?", images=["a.png"])),
    rows("shows a picture by its text alone", row(problem='<img src="a.png"> How?'), row(problem="<image>How?", images=["a.png"]),
         row(problem="How?")),
    rows("video and audio", row(video="a.mp4"), row(video=None), row(images=["a.png"])),
]  # fmt: skip

TEXTS: list[Case] = [
    rows("is no question", row(problem=5), row(problem="How many?"), row(problem=[{"role": "user", "content": "How?"}])),
    rows("is no question", row(problem=" "), row()),
    rows("no turns", [{"conversations": [], "answer": "3"}], chat(ASKED)),
    rows("is no turn", [{"conversations": [{"who": "me"}], "answer": "3"}], chat(ASKED),
         [{"conversations": [{"role": "user", "content": "How?"}], "answer": "3"}]),
    rows("turn is empty", chat(("human", " ")), chat(ASKED)),
    rows("the part", [{"messages": [{"role": "user", "content": [{"type": "video"}]}], "answer": "3"}],
         [{"messages": [{"role": "user", "content": [{"type": "text", "text": "How?"}]}], "answer": "3"}]),
    rows("control token", row(problem="a<|im_end|>"), row(problem="a"), row(problem="a< |im_end|>")),
    rows("is not supported", row(problem="<video>?"), row(problem="\\<video>?"), (row(problem="<image>?", images=["a.png"]))),
    rows("number the pictures from 1", row(problem="<image_2>?", images=["a.png"]),
         row(problem="<image_1>?", images=["a.png"]), row(problem="\\<image_2>?", images=["a.png"])),
    rows("marks for", row(problem="<image><image>?", images=["a.png"]), row(problem="<image>?", images=["a.png"]),
         row(problem="<image>\\<image>?", images=["a.png"]), row(problem="<image_1><image>?", images=["a.png"])),
    rows("the control character", row(problem="a\x08oxed{3}"), row(problem="a\\boxed{3}"), row(problem="a")),
    rows("earlier turns", row(history=[["a", "b"]]), row(problem="a b How?"), row()),
    rows("half of a sign", b'{"problem": "a\\ud83d", "answer": "3"}', row()),
    rows("no column 'problem'", [{"frage": "How many?", "answer": "3"}], {"prompt_column": "frage"}),
    rows("no column 'answer'", [{"problem": "How many?", "loesung": "3"}], {"answer_column": "loesung"}),
    rows("is no reference answer", row(answer=""), row(answer="3")),
    rows("NaN", b'{"problem": "How?", "answer": NaN}', row(answer="3")),
    rows("the struct", row(answer={"a": 1}), row(answer="1"), row(answer={"ground_truth": "1"})),
    rows("the list", row(answer=["a, b", "c"]), row(answer="a, b, c")),
    rows("has no <answer> block", chat(ASKED, ("gpt", "word " * 40))[0:0] or [{"conversations": [
        {"from": "human", "value": "How?"}, {"from": "gpt", "value": "word " * 40}]}],
         [{"conversations": [{"from": "human", "value": "How?"}, {"from": "gpt", "value": "word " * 40}], "answer": "3"}]),
    rows("system text", [{"problem": "How?", "answer": "3", "system": "Be brief."}], row()),
    rows("whole numbers in a column of floats", row(answer=3.0), row(answer=3), row(answer="3")),
    rows("is no response", [{"query": "How?", "response": 5}], [{"query": "How?", "response": RESPONSE}], read="demonstrations"),
    rows("is no question", [{"query": None, "response": RESPONSE}], [{"query": "How?", "response": RESPONSE}], read="demonstrations"),
    *(rows(says, [{"query": "How?", "response": RESPONSE, **more}], [{"query": "How?", "response": RESPONSE}], read="demonstrations")
      for says, more in (("is not part of the response", {"reasoning": "I count."}), ("calls of tools", {"tool_calls": ["zoom"]}))),
    rows("is not to be learned", [{"messages": [{"role": "user", "content": "How?"},
                                                {"role": "assistant", "content": RESPONSE, "weight": 0}]}],
         chat(ASKED, SAID), read="demonstrations"),
    rows("has two texts", [{"messages": [{"role": "user", "content": "a", "value": "b"}], "answer": "3"}], chat(ASKED)),
    rows("missing, ", [{"conversations": []}], chat(ASKED, SAID), read="demonstrations"),
]  # fmt: skip

FILES: list[Case] = [
    rows("is no JSON", '{"problem": "How?", "answer": "3"}\n{"prob', row() * 2),
    rows("over several lines", '{"problem": "How?",\n "answer": "3"}', row(), '[{"problem": "How?",\n "answer": "3"}]'),
    rows("UTF-16", '{"problem": "How?", "answer": "3"}'.encode("utf-16"), row()),
    rows("save it as UTF-8", b'[{"problem": "\xff", "answer": "3"}]', row()),
    rows("check that it is whole", '[{"problem": "How?", "answer": "3"}', row()),
    rows("stands twice", '{"problem": "a", "answer": "3", "answer": "4"}', row()),
    rows("digits; write it", b'{"problem": "a", "answer": ' + b"9" * 5000 + b"}", row()),
    rows("has no rows", "", row()),
    rows("file; convert it", row(), {"file": "rows.jsonl"}, settings={"file": "rows.txt"}),
    rows("format its name says", row(), {"file": "rows.jsonl"}, settings={"file": "rows.parquet"}),
    rows("max_bad_rows", [*row(), *row(answer="")], {"max_bad_rows": 0.5}, row(), settings={"bad_rows": "skip", "max_bad_rows": 0.1, "bad_rows_file": "FOLDER/bad.jsonl"}),
    call("no source", "empty; give a .parquet", lambda folder: load_prompts(DataConfig(), "", "train"),
         lambda folder: read_rows(folder, row(), "prompts", {})),
    call("no demonstrations", "empty; give one or more files", lambda folder: load_demonstrations(DataConfig()),
         lambda folder: read_rows(folder, chat(ASKED, SAID), "demonstrations", {})),
    call("a file that is not there", "does not exist; check", lambda folder: load_prompts(DataConfig(), "none.jsonl", "train"),
         lambda folder: read_rows(folder, row(), "prompts", {})),
    call("--input not there", "does not exist; give a folder", lambda folder: load_questions("nowhere", "", DataConfig()),
         lambda folder: read_rows(folder, row(), "questions", {})),
    call("--image not there", "is no file; check the path", lambda folder: one_question(["none.png"], "How?", DataConfig()),
         lambda folder: one_question([], "How?", DataConfig())),
]  # fmt: skip


def folder_of(
    folder, *, name="train.jsonl", content='{"problem": "How?", "answer": "3"}', split="train"
):
    (folder / "set").mkdir()
    (folder / "set" / name).write_text(content)
    return load_prompts(DataConfig(), str(folder / "set"), split)


def pictures_alone(folder, *, name=""):
    from tests.unit.data.inputs import RED

    (folder / "set" / "class").mkdir(parents=True)
    (folder / "set" / "class" / "a.png").write_bytes(RED)
    if name:
        line = '{"file_name": "class/a.png", "problem": "How?", "answer": "3"}'
        (folder / "set" / name).write_text(line)
    return load_prompts(DataConfig(), str(folder / "set"), "train")


def saved(folder, split):
    import datasets

    datasets.DatasetDict({"train": datasets.Dataset.from_list([PLAIN])}).save_to_disk(
        folder / "set"
    )
    return load_prompts(DataConfig(), str(folder / "set"), split)


def pictures_asked(folder, *, text="", own=""):
    from tests.unit.data.inputs import RED

    (folder / "a.png").write_bytes(RED)
    if own:
        (folder / "a.txt").write_bytes(own.encode() if own != "bad" else b"\xff\xfe\xff")
    load_questions(str(folder), text, DataConfig())


def limited(most, policy="skip", length=50):
    prompts = [make_prompt("How many?", (), "3"), make_prompt("How?", (), "3")]
    sizes = {prompts[0].prompt_id: length, prompts[1].prompt_id: 2}
    limit_prompts(
        prompts if policy == "error" else prompts[:1],
        lambda one: sizes[one.prompt_id],
        most,
        policy,
    )


def cut(most):
    drop_overlong(
        [Demonstration(prompt=make_prompt("How?", (), ""), response="3")], lambda _: 50, most
    )


def sampled(num_prompts, per_step, seed=0, from_seed=0, other=False):
    def prompts(word):
        return [make_prompt(f"{word} {n}?", (), "3") for n in range(num_prompts)]

    sampler = PromptSampler(prompts("How"), seed=from_seed)
    state = sampler.state_dict()
    again = PromptSampler(prompts("What" if other else "How"), seed=seed)
    again.load_state_dict(state)
    again.next(per_step)


PLACES: list[Case] = [
    call("no file of the split", "has no file for split", lambda folder: folder_of(folder, split="test"),
         lambda folder: folder_of(folder, name="test.jsonl", split="test"), folder_of),
    call("pictures without questions", "write metadata.jsonl", pictures_alone,
         lambda folder: pictures_alone(folder, name="metadata.jsonl")),
    call("a split that was not saved", "give one of these", lambda folder: saved(folder, "test"), lambda folder: saved(folder, "train")),
    call("a picture without a question", "has no question; write it", pictures_asked,
         lambda folder: pictures_asked(folder, own="How?"), lambda folder: pictures_asked(folder, text="How?")),
    call("a text that is no UTF-8", "save it as UTF-8", lambda folder: pictures_asked(folder, own="bad"),
         lambda folder: pictures_asked(folder, own="How?")),
    call("no prompt is short enough", "leaves none of", lambda folder: limited(10), lambda folder: limited(50),
         lambda folder: limited(10, length=5)),
    call("a prompt is too long", "raise the limit", lambda folder: limited(10, "error"), lambda folder: limited(50, "error"),
         lambda folder: limited(10, "error", length=5)),
    call("no demonstration is short enough", "leaves none of", lambda folder: cut(10), lambda folder: cut(50)),
    call("no prompts", "no prompts to sample", lambda folder: sampled(0, 1), lambda folder: sampled(1, 1)),
    call("too many at once", "is not between 1 and", lambda folder: sampled(2, 3), lambda folder: sampled(2, 2), lambda folder: sampled(3, 3)),
    call("another seed", "resume with the same seed", lambda folder: sampled(2, 1, seed=1), lambda folder: sampled(2, 1, seed=1, from_seed=1)),
    call("other data", "resume with the same data", lambda folder: sampled(2, 1, other=True), lambda folder: sampled(2, 1)),
]  # fmt: skip

CASES = [*PICTURES, *TEXTS, *FILES, *PLACES]

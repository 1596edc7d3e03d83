"""Templates for checkpoints that have none: shipped, chosen, and told in the provenance."""

import hashlib
from dataclasses import replace

import pytest
from readable import TEMPLATE, load, readable

import rmeval
from rmeval.cli import main
from rmeval.errors import BadCheckpoint, BadConversation, BadOption, UnknownName
from rmeval.known import shipped_templates

TURNS = [("user", "1+1?"), ("assistant", "2"), ("user", "Sure?"), ("assistant", "Yes")]
WRITTEN = {  # the first two turns, and all four
    "ultrarm": (
        "<s>Human: 1+1?\n\nAssistant: 2",
        "<s>Human: 1+1?\n\nAssistant: 2\n\nHuman: Sure?\n\nAssistant: Yes",
    ),
    "eurus-rm": (
        "<s>[INST] 1+1? [\\INST] 2",
        "<s>[INST] 1+1? [\\INST] 2</s>[INST] Sure? [\\INST] Yes",
    ),
    "beaver": (
        "<s>BEGINNING OF CONVERSATION: USER: 1+1? ASSISTANT:2</s>",
        "<s>BEGINNING OF CONVERSATION: USER: 1+1? ASSISTANT:2</s>USER: Sure? ASSISTANT:Yes</s>",
    ),
    "yi-chat": (
        "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n",
        "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n"
        "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n",
    ),
}


def talk(turns):
    return [{"role": role, "content": content} for role, content in turns]


def told(model):
    provenance = model.provenance()
    return provenance["template_from"], provenance["template_sha256"]


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def mute(tmp_path):
    """A checkpoint whose tokenizer has no chat template."""
    return readable(tmp_path / "mute", template=None)


def test_all_templates_are_tried_here():
    assert sorted(WRITTEN) == list(shipped_templates())


@pytest.mark.parametrize("name", WRITTEN)
def test_a_shipped_template_writes_what_its_source_shows(mute, name):
    model = load(mute, chat_template=name)
    for turns, text in zip((TURNS[:2], TURNS), WRITTEN[name], strict=True):
        assert model.tokenizer.decode(model.encode(talk(turns))) == text
    assert told(model) == (f"rmeval's {name}", sha256(shipped_templates()[name].text))


@pytest.mark.parametrize("name", ["ultrarm", "eurus-rm", "beaver"])
def test_a_role_that_a_format_does_not_have_is_refused(mute, name):
    model = load(mute, chat_template=name)
    with pytest.raises(BadConversation, match="users and assistants only"):
        model.encode(talk([("system", "Be short."), *TURNS[:2]]))


@pytest.mark.parametrize(("name", "template"), [("openbmb/UltraRM-13b", "ultrarm")])
def test_a_known_checkpoint_without_a_template_takes_the_one_it_was_published_with(
    mute, name, template
):
    model = replace(load(mute), name=name)
    assert model.tokenizer.decode(model.encode(talk(TURNS[:2]))) == WRITTEN[template][0]
    assert told(model)[0] == f"rmeval's {template}"


def test_a_template_of_its_own_comes_before_the_known_one(tmp_path):
    model = replace(load(readable(tmp_path)), name="openbmb/UltraRM-13b")
    assert told(model) == ("its tokenizer", sha256(TEMPLATE))


def test_a_template_that_is_asked_for_comes_before_its_own(tmp_path):
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}{{ m.content }};{% endfor %}")
    model = load(readable(tmp_path / "model"), chat_template=str(file))
    assert model.tokenizer.decode(model.encode(talk(TURNS[:2]))) == "1+1?;2;"
    assert told(model) == ("the file mine.jinja", sha256(file.read_text()))


def test_without_any_the_error_names_the_option_and_the_shipped_names(mute):
    with pytest.raises(BadCheckpoint, match=r"pass `chat_template=FILE` .*beaver, eurus-rm"):
        load(mute).encode(talk(TURNS[:2]))


def test_a_template_that_nobody_has_is_refused_before_the_model_is_loaded(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'ultrarm'"):
        rmeval.load_model(tmp_path / "none", chat_template="ultrarn")
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(BadOption, match="cannot be read as text"):
        rmeval.load_model(tmp_path / "none", chat_template=str(tmp_path / "bytes"))


def test_the_command_line_takes_it(mute, tmp_path, capsys):
    command = ["run", "--model", str(mute), "--device", "cpu", "--limit", "2", "--no-checks"]
    command += ["--benchmark", "demo", "--max-length", "200", "--output", str(tmp_path / "out")]
    assert main([*command, "--chat-template", "beaver"]) == 0
    assert main(command) == 2
    assert "pass --chat-template FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"), [("{{ raise_exception('nope') }}", "nope"), ("{% for", "unexpected")]
)
def test_a_template_that_was_asked_for_is_what_must_be_corrected(tmp_path, capsys, text, said):
    folder, template = readable(tmp_path / "m"), tmp_path / "bad.jinja"
    template.write_text(text)
    run = ["run", "--benchmark", "demo", "--model", str(folder), "--chat-template", str(template)]
    assert main([*run, "--device", "cpu", "--output", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "correct the file bad.jinja" in err

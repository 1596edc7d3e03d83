"""ArmoRM's and QRM's gate, against the formula written out for one sequence at a time."""

from dataclasses import fields

import pytest
import torch
from checkpoints import edit_config, read_tensors, write_checkpoint, write_tensors
from torch.nn import functional
from transformers import Gemma2Config, Gemma2Model, LlamaConfig, LlamaModel

import rmeval
from rmeval.engine.scoring import score_rows
from rmeval.engine.truncation import Encoded
from rmeval.errors import BadCheckpoint, BadConversation, BadData
from rmeval.models.families.gating import gate_places
from rmeval.records import Message

HIDDEN, INNER, OBJECTIVES = 16, 12, 3
SIZES = {
    "vocab_size": 128010,
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 256,
}
GEMMA = {**SIZES, "vocab_size": 2600, "head_dim": 4, "sliding_window": 8}
BODIES = {
    "llama": (LlamaConfig(**SIZES), LlamaModel),
    "gemma2": (Gemma2Config(**GEMMA), Gemma2Model),
}
PROMPT = [5, 9, 31, 7]


def sequences(turn):
    return [
        [*PROMPT, *turn, 8, 8, 4],
        [*PROMPT, *turn, 8, 8, 11, 12],  # shares the turn with the one before
        [*PROMPT, *turn, 6, *turn, 3],  # two turns: the last one counts
        [*PROMPT, *turn, 6, *turn, 2, 2, *turn[:4], 1],  # and a third that is none
        [44, *turn],
    ]


TURN = [128009, 128006, 78191, 128007, 271]
SEQUENCES = sequences(TURN)
ALL_SEQUENCES = {"llama": SEQUENCES, "gemma2": sequences([107, 108, 106, 2516, 108])}


def normal(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) / shape[-1] ** 0.5


def linear(number, rows, columns, *, bias):
    weights = {f"gating.layers.{number}.weight": 2 * normal(rows, columns, seed=number)}
    return weights | ({f"gating.layers.{number}.bias": normal(rows, seed=99)} if bias else {})


def batch_norm(number):
    at = f"gating.layers.{number}"
    return {
        f"{at}.weight": 1 + normal(INNER, seed=number),
        f"{at}.bias": normal(INNER, seed=number + 50),
        f"{at}.running_mean": normal(INNER, seed=number + 60),
        f"{at}.running_var": 0.5 + normal(INNER, seed=number + 70).abs(),
        f"{at}.num_batches_tracked": torch.tensor(7),
    }


# The numbers are those of ArmoRM, of QRM, and of QRM on Gemma: with a dropout in every step.
GATES = {
    "armorm": (
        {
            **linear(0, INNER, HIDDEN, bias=True),
            **linear(1, OBJECTIVES, INNER, bias=True),
        },
        (0, 1),
    ),
    "qrm": (
        {
            **linear(0, INNER, HIDDEN, bias=False),
            **batch_norm(2),
            **linear(3, OBJECTIVES, INNER, bias=True),
        },
        (0, 2, 3),
    ),
    "qrm-gemma": (
        {
            **linear(0, INNER, HIDDEN, bias=False),
            **batch_norm(2),
            **linear(4, OBJECTIVES, INNER, bias=True),
        },
        (0, 2, 4),
    ),
}


def make(folder, name, **config):
    """Saves a random checkpoint and returns it with its number of quantiles."""
    torch.manual_seed(0)
    quantiles = 1 if name == "armorm" else 2
    sizes, body_class = BODIES[kind_of(name)]
    body = body_class(sizes).state_dict()
    body = {f"model.{key}": 5 * w if w.ndim == 2 else w for key, w in body.items()}
    tensors = {
        **body,
        **GATES[name][0],
        "gating.logit_scale": torch.tensor([1.5]),
        "regression_layer.weight": 3 * normal(OBJECTIVES * quantiles, HIDDEN, seed=5),
        "reward_transform_matrix": normal(OBJECTIVES, OBJECTIVES, seed=6),
    }
    if kind_of(name) == "gemma2":
        del tensors["reward_transform_matrix"]
    named = {"architectures": ["ForRewardModelWithGating"], "model_type": kind_of(name)}
    options = {**named, **sizes.to_diff_dict(), "gating_temperature": 2, **config}
    return write_checkpoint(folder, options, tensors)


def kind_of(name):
    return "gemma2" if name == "qrm-gemma" else "llama"


def by_hand(folder, name, ids, temperature=2, scored=-1):
    """Returns the reward, and the objectives before and after the transform."""
    tensors = read_tensors(folder)
    sizes, body_class = BODIES[kind_of(name)]
    body = body_class._from_config(sizes, attn_implementation="eager").eval()
    body.load_state_dict({k[6:]: w for k, w in tensors.items() if k.startswith("model.")})
    with torch.inference_mode():
        states = body(torch.tensor([ids])).last_hidden_state[0]
    turn = ALL_SEQUENCES[kind_of(name)][4][1:]
    starts = [i for i in range(len(ids)) if ids[i : i + len(turn)] == turn]
    gate = states[starts[-1]]
    *inner, last = GATES[name][1]
    for number in inner:
        weights = {k: tensors.get(f"gating.layers.{number}.{k}") for k in ("weight", "bias")}
        if f"gating.layers.{number}.running_mean" in tensors:
            mean = tensors[f"gating.layers.{number}.running_mean"]
            deviation = (tensors[f"gating.layers.{number}.running_var"] + 1e-5).sqrt()
            gate = (gate - mean) / deviation * weights["weight"] + weights["bias"]
        else:
            gate = functional.linear(gate, **weights).relu()
    weight, bias = (tensors[f"gating.layers.{last}.{kind}"] for kind in ("weight", "bias"))
    shares = torch.softmax((weight @ gate + bias) / temperature, 0) * tensors["gating.logit_scale"]
    numbers = tensors["regression_layer.weight"] @ states[scored]
    rewards = torch.stack([part.mean() for part in numbers.chunk(OBJECTIVES)])
    transformed = rewards @ tensors.get("reward_transform_matrix", torch.eye(OBJECTIVES))
    return float((shares * transformed).sum()), rewards.tolist(), transformed.tolist()


def load(folder, **options):
    return rmeval.load_model(str(folder), dtype="float32", device="cpu", **options)


def near(expected):
    return pytest.approx(expected, abs=1e-5, rel=0)


@pytest.mark.parametrize("engine", ["packed", "padded"])
@pytest.mark.parametrize("name", GATES)
def test_scores_are_the_formulas_alone_and_together(tmp_path, name, engine):
    folder = make(tmp_path, name)
    rows = ALL_SEQUENCES[kind_of(name)]
    expected = [by_hand(folder, name, ids)[0] for ids in rows]
    assert max(expected) - min(expected) > 0.1
    for batch_tokens in (1, 30, 10**6):
        model = load(folder, engine=engine, batch_tokens=batch_tokens)
        assert model.family.name == name
        assert model.score_tokens(rows) == near(expected)


def test_quantiles_on_llama_need_no_transform(tmp_path):
    """QRM-Llama3.1-8B-v2 has none: the objectives count as the regression layer gives them."""
    folder = make(tmp_path, "qrm")
    tensors = read_tensors(folder)
    transformed = [by_hand(folder, "qrm", ids)[0] for ids in SEQUENCES]
    del tensors["reward_transform_matrix"]
    write_tensors(folder, tensors)
    model = load(folder)
    expected = [by_hand(folder, "qrm", ids)[0] for ids in SEQUENCES]
    assert model.family.name == "qrm"
    assert model.score_tokens(SEQUENCES) == near(expected)
    assert expected != near(transformed)


@pytest.mark.parametrize("engine", ["packed", "padded"])
@pytest.mark.parametrize(("name", "told"), [("armorm", 1), ("qrm", 2), ("qrm-gemma", 1)])
def test_the_objectives_are_those_that_the_authors_code_tells(tmp_path, name, told, engine):
    """ArmoRM's `rewards` are the regression layer's; QRM's are transformed."""
    folder = make(tmp_path, name)
    rows = ALL_SEQUENCES[kind_of(name)]
    model = load(folder, engine=engine, batch_tokens=30)
    assert model.family.objectives() == ("objective 1", "objective 2", "objective 3")
    for ids, (_, *found) in zip(rows, score_rows(model.network, rows, model.engine), strict=True):
        assert found == near(by_hand(folder, name, ids)[told])


@pytest.mark.parametrize("engine", ["packed", "padded"])
@pytest.mark.parametrize("name", GATES)
def test_the_first_pad_token_ends_what_is_scored_and_not_what_the_gate_reads(
    tmp_path, name, engine
):
    """As in ArmoRM's class: `sequence_lengths`, but `find_token_for_gating` in all ids."""
    folder = make(tmp_path, name, pad_token_id=3)
    turn = ALL_SEQUENCES[kind_of(name)][4][1:]
    rows = {(5, 9, 3, 7, *turn, 8): 1, (5, *turn, 8, 3, 6, *turn, 4): 6, (5, *turn, 8): 6}
    expected = [by_hand(folder, name, list(ids), scored=place)[0] for ids, place in rows.items()]
    model = load(folder, engine=engine)
    assert model.score_tokens(list(map(list, rows))) == near(expected)


def test_an_unsaid_temperature_is_that_of_the_authors_code(tmp_path):
    folder = make(tmp_path, "armorm")
    edit_config(folder, remove=("gating_temperature",))
    at_ten = by_hand(folder, "armorm", SEQUENCES[0], temperature=10)[0]
    assert abs(at_ten - by_hand(folder, "armorm", SEQUENCES[0])[0]) > 0.01
    assert load(folder).score_tokens(SEQUENCES[:1]) == near([at_ten])


def test_on_gemma_an_unsaid_temperature_is_one(tmp_path):
    folder = make(tmp_path, "qrm-gemma")
    edit_config(folder, remove=("gating_temperature",))
    ids = ALL_SEQUENCES["gemma2"][0]
    assert load(folder).score_tokens([ids]) == near([by_hand(folder, "qrm-gemma", ids, 1)[0]])


def test_a_temperature_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(BadCheckpoint, match="gating_temperature is 'hot', not a number"):
        load(make(tmp_path, "armorm", gating_temperature="hot"))


@pytest.mark.parametrize("engine", ["packed", "padded"])
def test_a_sequence_without_an_assistant_turn_is_never_scored(tmp_path, engine):
    model = load(make(tmp_path, "armorm"), engine=engine)
    with pytest.raises(BadData, match=r"1 of 3 sequences: no assistant.s turn"):
        model.score_tokens([*SEQUENCES[:2], [*PROMPT, *TURN[1:], 3]])


def test_a_conversation_without_an_assistant_turn_is_named_before_anything_is_scored(tmp_path):
    model = load(make(tmp_path, "armorm"))
    with_turn, without = [*PROMPT, *TURN, 3], [*PROMPT, 3]
    reads = {"yes": with_turn, "no": without}
    talks = [(Message("user", text),) for text in ("yes", "no")]

    class Reader(type(model)):
        def _encode(self, conversations):
            return [Encoded(tuple(reads[c[0].content]), False) for c in conversations]

    reader = Reader(**{f.name: getattr(model, f.name) for f in fields(model)} | {"checks": False})
    with pytest.raises(BadConversation, match=r"conversation 1: no assistant.s turn") as raised:
        reader.score_conversations(talks)
    assert raised.value.index == 1
    assert len(reader.score_conversations(talks[:1])) == 1


def test_a_gate_looks_where_the_last_turn_begins():
    ids = [5, *TURN, 6, *TURN, 7]
    assert gate_places(ids, range(13), tuple(TURN)) == [-1] * 5 + [1] * 6 + [7] * 2


def test_in_a_pack_a_gate_looks_along_its_own_sequence():
    """A turn, then a sequence that leaves it before its last token, then one that has it whole."""
    ids = [5, *TURN, 6, 272, 6, 271, 3]
    positions = [0, 1, 2, 3, 4, 5, 6, 5, 6, 5, 6]
    assert gate_places(ids, positions, tuple(TURN)) == [-1, -1, -1, -1, -1, 1, 1, -1, -1, 1, 1]


def test_quantiles_that_do_not_fit_the_weights_are_refused(tmp_path):
    folder = make(tmp_path, "qrm", num_quantiles=4)
    with pytest.raises(BadCheckpoint, match=r"has 6 rows, not 4 for each of the 3 objectives"):
        load(folder)


def test_a_gate_without_layers_is_refused(tmp_path):
    folder = make(tmp_path, "armorm")
    tensors = {k: w for k, w in read_tensors(folder).items() if "gating.layers" not in k}
    write_tensors(folder, tensors)
    with pytest.raises(
        BadCheckpoint, match=r"nearest: armorm, .* lacks gating\.layers\.0\.weight; "
    ):
        load(folder)


@pytest.mark.parametrize(
    "lost", ["gating.logit_scale", "gating.layers.2.running_var", "model.norm.weight"]
)
def test_a_gated_model_that_lacks_a_weight_is_never_scored(tmp_path, lost):
    folder = make(tmp_path, "qrm")
    tensors = read_tensors(folder)
    del tensors[lost]
    write_tensors(folder, tensors)
    with pytest.raises(BadCheckpoint, match="weights are missing"):
        load(folder)


@pytest.mark.parametrize("name", ["armorm", "qrm"])
def test_another_body_marks_its_turns_otherwise_and_is_not_claimed(tmp_path, name):
    folder = make(tmp_path, name, model_type="mistral")
    with pytest.raises(BadCheckpoint, match="no model adapter"):
        load(folder)


def test_on_llama_a_missing_transform_is_no_identity(tmp_path):
    folder = make(tmp_path, "armorm")
    write_tensors(folder, {k: w for k, w in read_tensors(folder).items() if "transform" not in k})
    with pytest.raises(BadCheckpoint, match="no model adapter"):
        load(folder)

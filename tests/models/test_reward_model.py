"""The public object: score, compare, rank, encode, and what it says to wrong input."""

import pytest
from checkpoints import load_golden
from conftest import DEMO_MODEL, GOLDEN

import rmeval
from rmeval.errors import BadData, BadOption, BadReward, RmevalError
from rmeval.records import Score

needs_demo = pytest.mark.skipif(
    not (DEMO_MODEL / "model.safetensors").exists(), reason="the demonstration model is not here"
)


class Known(rmeval.RewardModel):
    """A reward model whose reward is the number that the last message says."""

    def __init__(self):  # nothing to load
        pass

    def score_conversations(self, conversations, **options):
        return [Score(float(conversation[-1].content), 1, False) for conversation in conversations]


def say(number):
    return [{"role": "user", "content": "?"}, {"role": "assistant", "content": str(number)}]


def test_scores_come_back_one_per_conversation_in_order():
    assert Known().score([say(3), say(-1), say(2.5)]) == [3.0, -1.0, 2.5]
    assert Known().score([]) == []


def test_a_comparison_is_strict():
    assert Known().compare(say(2), say(1)) is True
    assert Known().compare(say(1), say(2)) is False
    assert Known().compare(say(1), say(1)) is False


@pytest.mark.parametrize(
    ("rewards", "ranks"),
    [
        ([7], [0]),
        ([1, 2], [1, 0]),
        ([3, 1, 2], [0, 2, 1]),
        ([2, 3, 1], [1, 0, 2]),  # an argsort, best first, would be [1, 0, 2] too,
        ([1, 3, 2], [2, 0, 1]),  # but here [1, 2, 0]
        ([10, 30, 20, 0], [2, 0, 1, 3]),
        ([5, 5], [0, 0]),
        ([1, 4, 4, 2, 4], [4, 0, 0, 3, 0]),
        ([], []),
    ],
)
def test_each_conversation_gets_its_rank_and_equal_ones_the_better(rewards, ranks):
    assert Known().rank([say(reward) for reward in rewards]) == ranks


def test_messages_may_be_mappings_or_our_own_records():
    ours = [rmeval.Message("user", "?"), rmeval.Message("assistant", "4")]
    assert Known().score([ours, tuple(ours), say(4)]) == [4.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("conversations", "said"),
    [
        (say(1), "conversation 0: expected a list of messages, got dict"),
        ("text", "expected a list of conversations, got str"),
        ([say(1), "text"], "conversation 1: expected a list of messages, got str"),
        ([say(1), 5], "conversation 1: expected a list of messages, got int"),
        ([[rmeval.Message("user", "a")], rmeval.Message("user", "a")], "conversation 1: a message"),
        ([["a message"]], "conversation 0: a message must be"),
        ([[{"content": "a"}]], 'needs text in "role"'),
        ([[{"role": "user"}]], 'and in "content"'),
        ([[{"role": "user", "content": None}]], 'and in "content"'),
        ([[{"role": "user", "content": [{"type": "image"}]}]], "image"),
        ([[{"role": 1, "content": "a"}]], 'needs text in "role"'),
        ([say(1), []], "conversation 1: no messages"),
    ],
)
def test_what_is_no_conversation_is_named(conversations, said):
    with pytest.raises(BadData) as error:
        Known().score(conversations)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("sequences", "said"),
    [
        ([[1, 2], []], "sequence 1 has 0 tokens"),
        ([[1] * 8193], "sequence 0 has 8193 tokens; .* takes 1 to 8192"),
        ([[1, 2], [3, 512]], "sequence 1 has a token id outside 0 to 511"),
        ([[-1]], "sequence 0 has a token id outside 0 to 511"),
        ([1, 2, 3], "sequence 0"),  # one sequence, not a list of them
        ([[1.0, 2.0]], "sequence 0"),
        (["12"], "sequence 0"),
    ],
)
def test_token_ids_that_cannot_be_scored_are_named(sequences, said):
    with pytest.raises(BadData, match=said):
        load_golden("seqcls").score_tokens(sequences)


def test_no_token_sequences_have_no_scores():
    assert load_golden("seqcls").score_tokens([]) == []


def test_any_kind_of_sequence_of_ids_is_scored():
    import numpy as np

    model = load_golden("seqcls")
    expected = model.score_tokens([[3, 4, 5]])
    assert model.score_tokens([(3, 4, 5)]) == expected
    assert model.score_tokens([range(3, 6)]) == expected
    assert model.score_tokens(np.array([[3, 4, 5]])) == expected


def test_the_input_is_left_as_it_was():
    sequences = [[3, 4, 5], [6]]
    load_golden("internlm2").score_tokens(sequences)
    assert sequences == [[3, 4, 5], [6]]


def test_a_reward_that_is_no_number_names_its_sequence():
    model = rmeval.load_model(str(load_golden("seqcls").family.checkpoint.folder), device="cpu")
    embeddings = model.network.backbone.embed_tokens.weight.data.clone()
    embeddings[7] = float("nan")
    model.network.backbone.embed_tokens.weight.data = embeddings
    with pytest.raises(BadReward, match="sequence 2: the reward is nan") as error:
        model.score_tokens([[1, 2, 3], [4], [5, 7], [6] * 9])
    assert error.value.index == 2


@needs_demo
def test_a_loaded_model_scores_text_as_it_scores_the_ids():
    model = rmeval.load_model("demo", device="cpu")
    conversations = [
        [{"role": "user", "content": "Two plus two?"}, {"role": "assistant", "content": answer}]
        for answer in ("Four.", "", "Five, of course, and I will not hear otherwise.")
    ]
    ids = [model.encode(conversation) for conversation in conversations]
    scores = model.score(conversations)
    assert scores == pytest.approx(model.score_tokens(ids), abs=1e-5)
    assert len(set(scores)) == 3
    best = scores.index(max(scores))
    assert model.rank(conversations)[best] == 0
    assert model.compare(conversations[best], conversations[best - 1])
    records = model.score_conversations(
        [tuple(rmeval.Message(**message) for message in c) for c in conversations]
    )
    assert [record.tokens for record in records] == list(map(len, ids))
    assert not any(record.truncated for record in records)


@needs_demo
def test_provenance_says_what_the_scores_depend_on():
    model = rmeval.load_model("demo", device="cpu")
    provenance = model.provenance()
    assert provenance["name"] == "demo"
    assert provenance["family"] == "internlm2"
    assert provenance["architecture"] == "InternLM2ForRewardModel"
    assert provenance["dtype"] == "float32"
    assert provenance["specials"]["bos"] == 1
    assert provenance["max_length"] == 2048
    assert provenance["revision"] is None
    assert len(provenance["fingerprint"]) == len(provenance["template_sha256"]) == 64
    assert model.engine_provenance()["device"] == "cpu"


@pytest.mark.parametrize("max_length", [0, -1, 8193])
def test_a_length_that_the_model_does_not_have_is_refused(max_length):
    folder = str(load_golden("seqcls").family.checkpoint.folder)
    with pytest.raises(BadOption, match=f"`max_length={max_length}`: this model takes 1 to 8192"):
        rmeval.load_model(folder, device="cpu", max_length=max_length)


def test_a_shorter_length_bounds_the_token_sequences_too():
    folder = str(load_golden("seqcls").family.checkpoint.folder)
    model = rmeval.load_model(folder, device="cpu", max_length=4)
    assert len(model.score_tokens([[1, 2, 3, 4]])) == 1
    with pytest.raises(RmevalError, match="5 tokens"):
        model.score_tokens([[1, 2, 3, 4, 5]])


def test_a_folder_may_be_given_as_a_path():
    model = rmeval.load_model(GOLDEN / "seqcls", device="cpu")
    assert model.name == str(GOLDEN / "seqcls")

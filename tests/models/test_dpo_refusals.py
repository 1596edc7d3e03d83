"""What cannot be scored as a DPO model, each refused in one line."""

import pytest
from checkpoints import edit_config, read_tensors, write_tensors
from language_models import HEADS_OF_8, load, write_language_model, write_pair

import rmeval
from rmeval.errors import BadCheckpoint, BadData, BadOption
from rmeval.models.dpo.language_model import CausalModel


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return write_pair(tmp_path_factory.mktemp("llama"))


def test_tied_weights_that_are_two_are_refused(tmp_path):
    folder = write_language_model(tmp_path, 1, tie_word_embeddings=True)
    tensors = read_tensors(folder)
    same = tensors["model.embed_tokens.weight"].clone()
    write_tensors(folder, {**tensors, "lm_head.weight": same})
    load(folder)
    write_tensors(folder, {**tensors, "lm_head.weight": same + 1})
    with pytest.raises(BadCheckpoint, match=r"ties lm_head\.weight to model\.embed_tokens\.weight"):
        load(folder)


@pytest.mark.parametrize("lost", ["lm_head.weight", "model.norm.weight"])
def test_a_weight_that_is_missing_is_never_made_up(tmp_path, lost):
    policy, reference = write_pair(tmp_path)
    tensors, kept = read_tensors(reference), lost.removeprefix("model.")
    del tensors[lost]
    write_tensors(reference, tensors)
    with pytest.raises(BadCheckpoint, match=f"reference: weights are missing: .*{kept}"):
        load(policy, reference)


def test_a_model_with_another_way_to_its_logits_is_refused(tmp_path, monkeypatch):
    """As if its own forward did to logits what ours would not."""
    folder = write_language_model(tmp_path, 1)
    monkeypatch.setattr(CausalModel, "difference_to_own_logits", lambda self: 0.5)
    with pytest.raises(BadCheckpoint, match="logits of chosen tokens alone differ from its own"):
        load(folder)


def test_a_model_that_cannot_be_asked_for_chosen_tokens_is_refused(tmp_path):
    sizes = {"ffn_dim": 48, "word_embed_proj_dim": 32, "pad_token_id": 1}
    folder = write_language_model(tmp_path, 1, "opt", **sizes)
    with pytest.raises(BadCheckpoint, match="it gives no logits of chosen tokens alone"):
        load(folder)


def test_a_model_whose_tokens_see_those_after_them_is_refused(tmp_path):
    changes = {**HEADS_OF_8, "use_bidirectional_attention": True}
    folder = write_language_model(tmp_path, 1, "gemma3_text", **changes)
    with pytest.raises(BadCheckpoint, match="its tokens see those after them"):
        load(folder)


def test_policy_and_reference_of_other_vocabularies_are_refused(tmp_path):
    policy = write_language_model(tmp_path / "policy", 1)
    reference = write_language_model(tmp_path / "reference", 2, vocab_size=97)
    for weights in (True, False):
        with pytest.raises(BadCheckpoint, match=r"reference'` has 97 tokens, the policy 96; pass"):
            load(policy, reference, weights=weights)


@pytest.mark.parametrize(
    ("pairs", "complaint"),
    [
        ([([], [1])], "pair 0: no prompt"),
        ([([1], [2]), ([1], [96])], "pair 1 has a token id outside 0 to 95"),
        ([([-3], [2])], "outside 0 to 95"),
        ([([1], [-3])], "outside 0 to 95"),
        ([([1] * 250, [2] * 7)], "pair 0 has 257 tokens; .* takes 2 to 256"),
        ([[1, 2, 3]], "pair 0: expected the token ids of a prompt, and of its response"),
        ([[1, 2]], "pair 0: expected a list of token ids"),
        (["ab"], "pair 0: expected a list of token ids"),
    ],
)
def test_what_is_no_pair_of_token_ids_is_refused(pair, pairs, complaint):
    with pytest.raises(BadData, match=complaint):
        load(*pair).score_tokens(pairs)


def test_a_policy_that_is_its_own_reference_is_refused(pair):
    with pytest.raises(BadOption, match="`reference=` is the model itself"):
        load(pair[0], pair[0])


def test_per_token_needs_a_reference(pair):
    with pytest.raises(BadOption, match="`per_token=True` is for DPO models; pass `reference=`"):
        rmeval.load_model(str(pair[0]), device="cpu", per_token=True)


def test_reward_models_are_no_policies_and_no_references(pair):
    with pytest.raises(BadCheckpoint, match=r"a reward model with a head of its own \(internlm2\)"):
        load("demo")
    with pytest.raises(BadCheckpoint, match=r"a reward model with a head of its own \(internlm2\)"):
        load(pair[0], "demo")


def test_a_class_that_transformers_has_not_is_no_policy(tmp_path):
    folder = write_language_model(tmp_path, 1)
    edit_config(folder, architectures=["FooForCausalLM"])
    with pytest.raises(BadCheckpoint, match=r"'FooForCausalLM' in .* is not a causal language"):
        load(folder)


def test_a_language_model_without_reference_is_told_of_it(pair):
    with pytest.raises(BadCheckpoint, match="trained with DPO is scored with `reference=MODEL`"):
        rmeval.load_model(str(pair[0]), device="cpu")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("./sft", "`reference='./sft'`: no such folder; pass a local folder"),
        ("", "`reference=` names no model"),
        ("  ", "`reference=` names no model"),
    ],
)
def test_a_reference_that_is_not_there_is_not_blamed_on_the_model(pair, reference, said):
    with pytest.raises(BadOption) as raised:
        rmeval.load_model(pair[0], reference=reference, device="cpu")
    assert str(raised.value).startswith(said)
    assert "--model" not in str(raised.value)

"""A conversation longer than the model: what is cut, what stays, and that it is said."""

import pytest
from conftest import DEMO_MODEL
from hypothesis import given
from hypothesis import strategies as st

import rmeval
from rmeval.engine.truncation import truncate
from rmeval.errors import BadCheckpoint, BadOption

needs_demo = pytest.mark.skipif(
    not (DEMO_MODEL / "tokenizer.model").exists(), reason="the demonstration model is not here"
)
# a template of head [1, 10] and tail [20, 99], around one token each
PROBE, OTHER = [1, 10, 55, 20, 99], [1, 10, 66, 20, 99]


def fit(text, max_length):
    return truncate([1, 10, *text, 20, 99], PROBE, OTHER, max_length)


def test_what_fits_is_left_alone():
    assert fit([5, 6], 6) == ((1, 10, 5, 6, 20, 99), False)


def test_the_oldest_text_goes_first_and_head_and_end_stay():
    assert fit([5, 6, 7, 8], 6) == ((1, 10, 7, 8, 20, 99), True)
    assert fit([5, 6, 7, 8], 5) == ((1, 10, 8, 20, 99), True)


@pytest.mark.parametrize("max_length", [1, 4])
def test_no_room_for_text_is_refused_with_the_least_that_would_do(max_length):
    with pytest.raises(BadOption, match=f"`max_length={max_length}` .* takes 4 tokens.*least 5"):
        fit([5, 6, 7], max_length)


@given(text=st.lists(st.integers(0, 100), max_size=40), max_length=st.integers(5, 50))
def test_the_result_is_as_long_as_allowed_between_head_and_end(text, max_length):
    ids = (1, 10, *text, 20, 99)
    fitted = fit(text, max_length)
    assert len(fitted.ids) == min(len(ids), max_length)
    assert fitted.ids[:2] == (1, 10)
    assert fitted.ids[2:] == ids[len(ids) - len(fitted.ids) + 2 :]
    assert fitted.truncated == (len(ids) > max_length)


def talk(words):
    answer = " ".join(f"word{number}" for number in range(words))
    return [{"role": "user", "content": "Go on."}, {"role": "assistant", "content": answer}]


@needs_demo
def test_a_long_conversation_keeps_bos_first_role_and_reward_token():
    whole = rmeval.load_model("demo", device="cpu").encode(talk(200))
    model = rmeval.load_model("demo", device="cpu", max_length=50)
    cut = model.encode(talk(200))
    assert len(cut) == 50
    head = next(i for i, (a, b) in enumerate(zip(whole, cut, strict=False)) if a != b)
    assert model.tokenizer.decode(cut[:head]).startswith("<s><|im_start|>user\n")
    assert cut[head:] == whole[len(whole) - (50 - head) :]
    assert cut[-1] == 4096


@needs_demo
def test_cut_conversations_are_marked_and_score_as_their_remaining_ids():
    model = rmeval.load_model("demo", device="cpu", max_length=50)
    conversations = [
        tuple(rmeval.Message(**message) for message in talk(words)) for words in (1, 200)
    ]
    short, long = model.score_conversations(conversations)
    assert (short.truncated, long.truncated) == (False, True)
    assert long.tokens == 50
    assert short.tokens < 50
    assert long.value == pytest.approx(model.score_tokens([model.encode(talk(200))])[0], abs=1e-5)


@needs_demo
def test_a_length_below_the_template_is_refused_and_the_least_that_is_named_works():
    model = rmeval.load_model("demo", device="cpu", max_length=5)
    with pytest.raises(BadCheckpoint, match="`max_length=5` leaves no room"):
        model.score([talk(200)])
    with pytest.raises(BadOption, match="`max_length=5` leaves no room") as error:
        model.encode(talk(200))
    least = int(str(error.value).rsplit("at least ", 1)[1])
    model = rmeval.load_model("demo", device="cpu", max_length=least)
    assert len(model.encode(talk(200))) == least
    with pytest.raises(BadOption):
        rmeval.load_model("demo", device="cpu", max_length=least - 1).encode(talk(200))


@needs_demo
def test_the_models_own_positions_cut_without_being_asked():
    model = rmeval.load_model("demo", device="cpu")
    assert len(model.encode(talk(3000))) == model.max_length == 2048

"""Adapters that PEFT wrote score as PEFT scores them, and every other thing is refused by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import Tensors, edit_config, read_tensors, write_tensors
from readable import add_tokenizer
from safetensors.torch import load_file, save_file

import rmeval
from rmeval.errors import BadCheckpoint, BadOption
from rmeval.llm.generator import LocalGenerator
from rmeval.models.checkpoints.checkpoint import open_checkpoint
from rmeval.models.checkpoints.merging import Merge
from rmeval.models.dpo.model import DPOModel
from rmeval.models.text.tokenizer_files import load_tokenizer

ADAPTERS = Path(__file__).parents[1] / "golden_adapters"
TEXTS = json.loads((ADAPTERS / "texts.json").read_text())
IDS, PROMPT = TEXTS["input_ids"], TEXTS["prompt_tokens"]
TOLD = {file.parent.name: json.loads(file.read_text()) for file in ADAPTERS.glob("*/scores.json")}


def load(folder: Path, **options: Any) -> rmeval.RewardModel:
    return rmeval.load_model(str(folder), dtype="float32", device="cpu", **options)


def scores(folder: Path, **options: Any) -> list[float]:
    model = load(folder, **options)
    if isinstance(model, DPOModel):
        return model.score_tokens([(ids[:PROMPT], ids[PROMPT:]) for ids in IDS])
    return model.score_tokens(IDS)


def near(expected: list[float]) -> Any:
    return pytest.approx(expected, abs=5e-5, rel=0)


@pytest.mark.parametrize("name", sorted(TOLD))
def test_an_adapter_scores_as_peft_scores_it_unmerged(name: str) -> None:
    options = {"reference": "none"} if TOLD[name]["kind"] == "lm" else {}
    assert scores(ADAPTERS / name, **options) == near(TOLD[name]["scores"])


def copy(tmp_path: Path, name: str) -> Path:
    """Copies an adapter, and its base beside it, to where they can be edited."""
    base = TOLD[name]["base"]
    shutil.copytree(ADAPTERS / "bases" / base, tmp_path / "bases" / base)
    shutil.copytree(ADAPTERS / name, tmp_path / "adapter")
    return tmp_path / "adapter"


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_weights(folder: Path, change: Callable[[Tensors], None]) -> None:
    tensors = load_file(folder / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors")


def refusal(folder: Path, kind: type[rmeval.RmevalError] = BadCheckpoint, **options: Any) -> str:
    with pytest.raises(kind) as error:
        load(folder, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def right(name: str) -> Any:
    return near(TOLD[name]["scores"])


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return copy(tmp_path, "fresh-head")


def base_of(folder: Path, name: str = "fresh-head") -> Path:
    return folder.parent / "bases" / TOLD[name]["base"]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")  # of peft
@pytest.mark.parametrize("name", ["fresh-head", "policy"])
def test_peft_scores_the_same_where_it_is_installed(name: str) -> None:
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    told = TOLD[name]
    kind = "CausalLM" if told["kind"] == "lm" else "SequenceClassification"
    more = {} if told["kind"] == "lm" else {"num_labels": 1}
    base = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(
        ADAPTERS / "bases" / told["base"], dtype=torch.float32, **more
    )
    model = peft.PeftModel.from_pretrained(base, ADAPTERS / name).merge_and_unload().eval()
    with torch.inference_mode():
        found = [model(torch.tensor([ids])).logits[0] for ids in IDS]
    if told["kind"] == "lm":
        rows = range(PROMPT - 1, PROMPT + 100)
        logs = [logits.double().log_softmax(-1) for logits in found]
        own = [
            sum(float(log[row, token]) for row, token in zip(rows, ids[PROMPT:], strict=False))
            for log, ids in zip(logs, IDS, strict=True)
        ]
    else:
        own = [float(logits) for logits in found]
    assert own == right(name)


@pytest.mark.parametrize("where", ["in it", "beside it", "absolute", "asked for", "working folder"])
def test_the_base_is_found(
    fresh: Path, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {}
    base = base_of(fresh)
    if where == "in it":
        shutil.move(base, fresh / "base")
        edit(fresh, base_model_name_or_path="base")
    elif where == "absolute":
        edit(fresh, base_model_name_or_path=str(base))
    elif where == "asked for":
        edit(fresh, base_model_name_or_path="some-lab/of-nobody")
        options = {"base": base}
    elif where == "working folder":
        shutil.move(base.parent, tmp_path / "away" / "bases")
        monkeypatch.chdir(tmp_path / "away")
    assert scores(fresh, **options) == right("fresh-head")


def test_an_adapter_beside_its_whole_base_is_merged_into_it(fresh: Path) -> None:
    for file in base_of(fresh).iterdir():
        shutil.copy(file, fresh)
    edit(fresh, base_model_name_or_path="of/nobody")
    assert scores(fresh) == right("fresh-head")


def test_an_adapter_in_pickle_format_wants_trust(fresh: Path) -> None:
    file = fresh / "adapter_model.safetensors"
    torch.save(load_file(file), fresh / "adapter_model.bin")
    file.unlink()
    assert "`allow_pickle=True`" in refusal(fresh)
    assert scores(fresh, allow_pickle=True) == right("fresh-head")


def test_a_base_in_half_precision_is_merged_in_float32(fresh: Path) -> None:
    """The base's weights are float16 there; merged in float16 they would be off by far more."""
    assert json.loads((base_of(fresh) / "config.json").read_text())["dtype"] == "float16"
    assert scores(fresh) == right("fresh-head")


def test_a_policys_reference_may_be_its_base(tmp_path: Path) -> None:
    folder = copy(tmp_path, "policy")
    base = base_of(folder, "policy")
    alone = scores(base, reference="none")
    expected = [a - b for a, b in zip(TOLD["policy"]["scores"], alone, strict=True)]
    assert scores(folder, reference=base) == near(expected)
    turned = [-reward for reward in expected]
    assert scores(base, reference=folder) == near(turned)


def test_what_an_adapter_leaves_alone_is_held_once(tmp_path: Path) -> None:
    """Policy and reference of one base share what the adapter does not change."""
    folder = copy(tmp_path, "policy-tied")
    model = load(folder, reference=base_of(folder, "policy-tied"))
    policy, reference = (dict(m.named_parameters()) for m in model.network.backbone.models)
    shared = {name for name in policy if policy[name].data_ptr() == reference[name].data_ptr()}
    apart = {name for name in policy if "v_proj" in name}
    assert apart == policy.keys() - shared - {"rest.lm_head.weight"}


def test_of_two_adapters_one_may_be_the_reference(tmp_path: Path) -> None:
    policy, reference = copy(tmp_path, "policy"), tmp_path / "other"
    shutil.copytree(ADAPTERS / "policy-logits", reference)
    pairs = zip(TOLD["policy"]["scores"], TOLD["policy-logits"]["scores"], strict=True)
    assert scores(policy, reference=reference) == near([a - b for a, b in pairs])
    assert "is the model itself" in refusal(policy, BadOption, reference=policy)


def test_the_fingerprint_is_of_adapter_and_base_and_both_are_named(fresh: Path) -> None:
    before = open_checkpoint(str(fresh)).fingerprint()
    assert open_checkpoint(str(fresh)).fingerprint() == before
    edit(fresh, lora_alpha=17)
    alpha = open_checkpoint(str(fresh)).fingerprint()
    edit_weights(fresh, lambda tensors: tensors[HEAD].neg_())
    weights = open_checkpoint(str(fresh)).fingerprint()
    config = base_of(fresh) / "config.json"
    config.write_text(config.read_text() + " ")
    assert len({before, alpha, weights, open_checkpoint(str(fresh)).fingerprint()}) == 4
    checkpoint = open_checkpoint(str(fresh))
    assert checkpoint.name == str(fresh)
    assert checkpoint.adaptation is not None
    about = checkpoint.adaptation.provenance()
    assert about["name"] == str(base_of(fresh).resolve())
    assert about["fingerprint"] == open_checkpoint(str(base_of(fresh))).fingerprint()


SMALL = Path(__file__).parents[1] / "golden_text" / "trl-pad-is-end"


def test_tokenizer_and_template_are_the_adapters_or_else_the_bases(fresh: Path) -> None:
    files = [SMALL / name for name in ("tokenizer.json", "tokenizer_config.json")]
    for file in files:
        shutil.copy(file, base_of(fresh))
    checkpoint = open_checkpoint(str(fresh))
    assert checkpoint.tokenizer_folder == base_of(fresh).resolve()
    for file in files:
        shutil.copy(file, fresh)
    assert open_checkpoint(str(fresh)).tokenizer_folder == fresh


def test_the_pad_token_is_that_of_the_tokenizer_that_was_trained_with(fresh: Path) -> None:
    """TRL's trainer puts it into the model's config, which PEFT does not save."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(SMALL / name, fresh)
    pad = load_tokenizer(SMALL).pad_token_id
    model = load(fresh)
    assert model.network.pool == ("last-not-pad", pad)


def test_a_tokenizer_with_more_tokens_than_the_base_is_refused(fresh: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(SMALL / name, fresh)
    with pytest.raises(BadCheckpoint, match="an adapter that adds tokens is not merged here"):
        _ = load(fresh).tokenizer


def test_a_tokenizer_with_other_ids_than_the_bases_is_refused(fresh: Path) -> None:
    """All shapes fit; the vocabulary says that the adapter is of another base."""
    base = base_of(fresh)
    rows = {name: torch.ones(259, 16) for name in ("model.embed_tokens.weight", "lm_head.weight")}
    write_tensors(base, {**read_tensors(base), **rows})
    edit_config(base, vocab_size=259)
    for folder in (fresh, base):
        add_tokenizer(folder)
    talk = [{"role": "user", "content": "Hi"}]
    assert load(fresh).encode(talk)
    told = json.loads((base / "tokenizer.json").read_text())
    ids = told["model"]["vocab"]
    ids["a"], ids["b"] = ids["b"], ids["a"]
    (base / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(
        BadCheckpoint, match=r"token '[ab]' has the id .* it belongs to another base"
    ):
        load(fresh).encode(talk)


HEAD = "base_model.model.score.weight"
EMBEDDING = "base_model.model.model.embed_tokens.weight"
DOWN = "base_model.model.model.layers.0.mlp.down_proj.lora_B.weight"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"peft_type": "IA3"}, "an IA3 adapter"),
        ({"peft_type": "OFT"}, "an OFT adapter"),
        ({"peft_type": "PROMPT_TUNING"}, "a PROMPT_TUNING adapter"),
        ({"peft_type": "ADALORA"}, "only LoRA adapters are merged here"),
        ({"peft_type": None}, "only LoRA adapters"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices in adapter_config.json"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"target_parameters": ["experts.up"]}, "target_parameters"),
        ({"use_qalora": True}, "use_qalora"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights 'pissa'"),
        ({"r": 8}, "says r 8 and lora_alpha 16 for model.layers.0.mlp.down_proj"),
        ({"lora_alpha": None}, "lora_alpha None"),
        ({"rank_pattern": "q_proj"}, "rank_pattern is 'q_proj', not dict"),
        ({"alpha_pattern": {"(": 3}}, "'(' is not a valid pattern"),
        ({"modules_to_save": "score"}, "modules_to_save is 'score', not list"),
        ({"task_type": ["SEQ_CLS"]}, "not str"),
        ({"base_model_name_or_path": ["a"]}, "does not name its base"),
        ({"use_dora": True}, "disagree about DoRA"),
        ({"modules_to_save": ["score", "lm_head"]}, "lm_head was trained with this adapter"),
        ({"base_model_name_or_path": None}, "does not name its base; pass `base="),
        ({"base_model_name_or_path": "of/nobody"}, "the base of this adapter, of/nobody: "),
        ({"auto_mapping": "LlamaModel"}, "auto_mapping is 'LlamaModel', not dict"),
        ({"base_model_name_or_path": "bases/gone"}, "pass its base with `base="),
    ],
)
def test_what_cannot_be_merged_is_refused_by_name(
    fresh: Path, settings: dict[str, Any], said: str
) -> None:
    edit(fresh, **settings)
    assert said in refusal(fresh)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop(HEAD), "the head that was trained (score) is not in the adapter's file"),
        (lambda t: t.pop(DOWN), "has lora_A.weight but not the other part"),
        (lambda t: t.update({DOWN: torch.ones(4, 4)}), "it belongs to another base"),
        (lambda t: t.update({DOWN: torch.ones(16, 3)}), "not two matrices of one rank"),
        (lambda t: t.update({DOWN: t[DOWN].to(torch.int8)}), "is quantised (torch.int8)"),
        (lambda t: t.update({EMBEDDING: torch.ones(97, 16)}), "adds tokens is not merged here"),
        (
            lambda t: t.update({"base_model.model.reward.weight": torch.ones(1, 16)}),
            "it holds reward.weight (modules_to_save)",
        ),
        (lambda t: t.update({f"{DOWN[:-7]}.default.weight": torch.ones(1)}), "not LoRA's"),
        (lambda t: t.update({"prompt_embeddings": torch.ones(1)}), "not LoRA's"),
        (
            lambda t: [t.pop(k) for k in [*t] if "layers.1" in k],
            "it has nothing for model.layers.1",
        ),
        (
            lambda t: t.update(
                {k.replace("layers.1", "layers.2"): v.clone() for k, v in t.items()}
            ),
            "model.layers.2.mlp.down_proj.weight, which its base",
        ),
    ],
)
def test_weights_that_do_not_go_with_the_base_are_refused(
    fresh: Path, change: Callable[[Tensors], None], said: str
) -> None:
    edit_weights(fresh, change)
    assert said in refusal(fresh)


@pytest.mark.parametrize("options", [{}, {"reference": "none"}])
@pytest.mark.parametrize("trained", ["LlamaForSequenceClassification", "RewardModel"])
def test_an_adapter_without_a_task_is_a_reward_models_all_the_same(
    fresh: Path, trained: str, options: dict[str, str]
) -> None:
    """TRL's, OpenRLHF's: PEFT keeps no head unless it is told to; the class says what it was."""
    mapping = {"base_model_class": trained, "parent_library": "x"}
    edit(fresh, task_type=None, auto_mapping=mapping)
    if not options:
        assert scores(fresh) == right("fresh-head")
    edit(fresh, modules_to_save=None)
    edit_weights(fresh, lambda tensors: tensors.pop(HEAD))
    assert "the head that was trained (score) is not in the adapter's" in refusal(fresh, **options)


def test_a_base_that_is_not_here_is_said_in_words_of_bases(fresh: Path) -> None:
    edit(fresh, base_model_name_or_path="meta-llama/Llama-3.1-8B")
    message = refusal(fresh)
    assert message.endswith("; pass its base with `base=FOLDER_OR_ID`")
    assert "--model" not in message
    assert "did you mean" not in message


def test_a_head_of_the_base_does_not_stand_for_one_that_was_trained(tmp_path: Path) -> None:
    folder = copy(tmp_path, "classifier")
    edit_weights(folder, lambda tensors: tensors.pop(HEAD))
    assert "was trained with this adapter (modules_to_save)" in refusal(folder)


def test_a_language_models_adapter_without_a_head_is_no_reward_model(tmp_path: Path) -> None:
    assert "is scored with `reference=MODEL`" in refusal(copy(tmp_path, "policy"))


def test_a_quantised_base_is_refused_with_what_to_pass(fresh: Path) -> None:
    edit_config(base_of(fresh), quantization_config={"quant_method": "bitsandbytes"})
    message = refusal(fresh)
    assert "quantised (bitsandbytes)" in message
    assert "`base=" in message


def test_two_adapters_in_one_folder_are_refused(fresh: Path) -> None:
    shutil.copy(fresh / "adapter_model.safetensors", fresh / "adapter_model.bin")
    message = refusal(fresh, allow_pickle=True)
    assert "adapter_model.bin, adapter_model.safetensors" in message
    assert "nothing says which one counts" in message


def test_adapters_in_a_runs_folders_are_named(fresh: Path) -> None:
    shutil.copytree(fresh, fresh.parent / "run" / "checkpoint-500")
    assert "(checkpoint-500); pass one of these" in refusal(fresh.parent / "run")
    shutil.copytree(fresh.parent / "bases", fresh.parent / "run" / "bases")
    assert scores(fresh.parent / "run" / "checkpoint-500") == right("fresh-head")


def test_whole_checkpoints_in_a_runs_folders_are_named_in_order(tmp_path: Path) -> None:
    for step in (1000, 500):
        shutil.copytree(ADAPTERS / "bases" / "llama-cls", tmp_path / f"checkpoint-{step}")
    assert "checkpoints in its folders (checkpoint-500, checkpoint-1000); pass" in refusal(tmp_path)


def test_the_base_of_an_adapter_is_no_adapter(fresh: Path) -> None:
    shutil.copytree(fresh, fresh.parent / "second")
    message = refusal(fresh, base=fresh.parent / "second")
    assert "the base of another adapter must be whole" in message


def test_two_folders_that_may_be_the_base_are_refused(fresh: Path) -> None:
    shutil.copytree(base_of(fresh).parent, fresh / "bases")
    assert "pass one of them as `base=`" in refusal(fresh)


def test_an_adapter_without_its_config_or_weights_is_refused(fresh: Path) -> None:
    kept = (fresh / "adapter_config.json").read_text()
    (fresh / "adapter_config.json").unlink()
    assert "without adapter_config.json nothing says" in refusal(fresh)
    (fresh / "adapter_config.json").write_text(kept)
    (fresh / "adapter_model.safetensors").unlink()
    assert "but no adapter_model.safetensors" in refusal(fresh)
    (fresh / "global_step500").mkdir()
    assert "is of DeepSpeed's training state" in refusal(fresh)


def test_a_base_for_what_is_no_adapter_is_refused(fresh: Path) -> None:
    base = ADAPTERS / "bases" / "llama-cls"
    assert "`base=` is for adapters" in refusal(base, BadOption, base=base)


def test_merging_and_generating_want_whole_models(fresh: Path) -> None:
    adapted = open_checkpoint(str(fresh))
    with pytest.raises(BadCheckpoint, match="two whole models are averaged"):
        Merge(adapted, adapted, 0.5)
    for file in base_of(fresh).iterdir():
        shutil.copy(file, fresh)
    with pytest.raises(BadCheckpoint, match="only whole models write"):
        LocalGenerator(str(fresh), dtype="auto", device="cpu", batch=1)

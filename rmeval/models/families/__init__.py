"""Who answers: one file per family of reward models, chosen from the checkpoint's own files."""

from collections.abc import Iterable
from inspect import isabstract
from typing import TYPE_CHECKING, Any

from rmeval.errors import BadCheckpoint, BadPlugin
from rmeval.records import POOLS
from rmeval.registry import Entry, Registry

if TYPE_CHECKING:
    from rmeval.models.checkpoints.checkpoint import Checkpoint
    from rmeval.models.family import Family

FAMILIES = Registry(
    "model adapter",
    [
        Entry(
            "internlm2",
            "rmeval.models.families.internlm2:InternLM2",
            "InternLM2-Reward: fused projections, v_head, <|reward|> token",
        ),
        Entry(
            "polar",
            "rmeval.models.families.polar:Polar",
            "POLAR: InternLM2-Reward's network that compares an answer with a reference",
        ),
        Entry(
            "inf-orm",
            "rmeval.models.families.inform:INFORM",
            "INF-ORM: Llama with a two-layer score head",
        ),
        Entry(
            "qwen-rm",
            "rmeval.models.families.qwen_rm:QwenRM",
            "Qwen2.5-Math-RM and WorldPM: Qwen2 with a two-layer score head",
        ),
        Entry(
            "athene",
            "rmeval.models.families.athene:Athene",
            "Athene-RM: Llama with v_head, read at a token that ends every text",
        ),
        Entry(
            "grm",
            "rmeval.models.families.grm:GRM",
            "GRM-sftreg: a causal language model with a value head, v_head.summary",
        ),
        Entry(
            "ultrarm",
            "rmeval.models.families.ultrarm:UltraRM",
            "UltraRM and Eurus-RM: a head called regression_head, on Llama and Mistral",
        ),
        Entry(
            "beaver",
            "rmeval.models.families.beaver:Beaver",
            "Beaver reward and cost (its sign turned): score_head and its normaliser",
        ),
        Entry(
            "starling",
            "rmeval.models.families.starling:Starling",
            "Starling-RM: transformer.* and v_head under a classifier's class name",
        ),
        Entry(
            "nemotron",
            "rmeval.models.families.nemotron:Nemotron",
            "Nemotron-Reward, by its name: the logit of token 0 of a language model",
        ),
        Entry(
            "armorm",
            "rmeval.models.families.armorm:ArmoRM",
            "ArmoRM: objectives of Llama-3, weighed by a gate that reads the prompt",
        ),
        Entry(
            "qrm",
            "rmeval.models.families.qrm:QRM",
            "QRM on Llama: ArmoRM with quantiles of each objective, transformed or (v2) not",
        ),
        Entry(
            "pair-pm",
            "rmeval.models.families.pair_pm:PairPM",
            "RLHFlow's pairwise preference model, by its name: answers A or B",
        ),
        Entry(
            "pairrm",
            "rmeval.models.families.pairrm:PairRM",
            "PairRM-hf: compares two responses, on DeBERTa",
        ),
        Entry(
            "qrm-gemma",
            "rmeval.models.families.qrm_gemma:QRMGemma",
            "QRM on Gemma-2: quantiles of each objective, without a transform",
        ),
        Entry(
            "ldl",
            "rmeval.models.families.ldl:LDL",
            "LDL-Reward: distributions of objectives on Gemma-2, weighed by a second head",
        ),
        Entry(
            "urm",
            "rmeval.models.families.urm:URM",
            "URM: means of attributes, weighed by a second head",
        ),
        Entry(
            "openrlhf",
            "rmeval.models.families.openrlhf:OpenRLHF",
            "OpenRLHF's RewardModel: score or value_head, as its config says",
        ),
        Entry(
            "token-classifier",
            "rmeval.models.families.token_classifier:TokenClassifier",
            "on request: a causal *ForTokenClassification with one label (verl), at the last token",
        ),
        Entry(
            "classifier",
            "rmeval.models.families.classifier:Classifier",
            "any *ForSequenceClassification of transformers with one label",
        ),
    ],
    group="rmeval.families",
)


def detect_family(checkpoint: "Checkpoint", *, trust_remote_code: bool = False) -> "Family":
    """Returns the one family that claims a checkpoint, a fallback where no other does.

    Its own code is considered only if no family does, and only if it is trusted. Raises
    BadCheckpoint when nothing fits, or more than one family does, and BadPlugin for a family of
    another package that is none.
    """
    from rmeval.models.checkpoints.other_kinds import refuse_multimodal, refuse_other_kinds
    from rmeval.models.dpo.language_model import LanguageModel
    from rmeval.models.families.remote import RemoteCode

    refuse_other_kinds(checkpoint)
    remote = RemoteCode.claims(checkpoint)
    if not (remote and trust_remote_code):
        refuse_multimodal(checkpoint)
    families = [_load_family(entry) for entry in FAMILIES]
    claiming = [family for family in families if family.claims(checkpoint)]
    claiming = [family for family in claiming if not family.fallback] or claiming
    if len(claiming) == 1:
        return claiming[0](checkpoint)
    where = _place_of(checkpoint)
    if claiming:
        names = ", ".join(family.name for family in claiming)
        raise BadCheckpoint(
            f"several model adapters claim architecture {where}: {names}; pass `family=`"
        )
    if remote and trust_remote_code:
        return RemoteCode(checkpoint)
    told = _like(checkpoint, families)
    if told is None and LanguageModel.claims(checkpoint):
        told = (
            "a language model without a reward head; one trained with DPO is scored with "
            "`reference=MODEL` (or none), one that answers in words as judge:NAME, and "
            "Nemotron-Reward or pair-PM whose folder has lost its name with `family=`"
        )
    if told is None:
        names = ", ".join(entry.name for entry in FAMILIES)
        hint = (
            "Pass `trust_remote_code=True` to run the repository's code, or write" if remote else ""
        )
        told = (
            f"{_nearest(checkpoint, families)}known: {names}. "
            f"{hint or 'Write'} one in 40 lines: docs/adding-a-model.md"
        )
    raise BadCheckpoint(f"no model adapter for architecture {where}; {told}")


def find_family(name: str) -> "type[Family]":
    """Returns a family by its name. Raises UnknownName, or BadPlugin for one that is none."""
    return _load_family(FAMILIES.find(name))


def _like(checkpoint: "Checkpoint", families: "Iterable[type[Family]]") -> str | None:
    """Says which family a checkpoint may be read as by who insists; None where there is none.

    A language model may be read as those that only a name tells, and is not taken for one.
    """
    from rmeval.models.families.logit_row import LogitRow

    alike = [
        family
        for family in families
        if family.compatible(checkpoint) and not issubclass(family, LogitRow)
    ]
    if not alike:
        return None
    names = " or ".join(family.name for family in alike)
    insist = f"if it is one in all but the name of its class, pass `family={alike[0].name!r}`"
    return f"looks like {names}; {alike[0].doubt or insist}"


def _nearest(checkpoint: "Checkpoint", families: "Iterable[type[Family]]") -> str:
    """Says whose weights a checkpoint has, or most of, and what it lacks; "" where it has none."""
    lacking = {
        family: [key for key in family.needs if key not in checkpoint.shapes] for family in families
    }
    near = [family for family in lacking if len(lacking[family]) < len(family.needs)]
    if not near:
        return ""
    nearest = min(near, key=lambda family: len(lacking[family]) / len(family.needs))
    missing = ", ".join(lacking[nearest])
    if missing:
        return f"nearest: {nearest.name}, for which it lacks {missing}; "
    needed = ", ".join(nearest.needs)
    return f"nearest: {nearest.name}, whose {needed} it has, under another config.json or name; "


def require_language_model(checkpoint: "Checkpoint") -> None:
    """Raises BadCheckpoint for what is no causal language model, or is a reward model."""
    from rmeval.models.dpo.language_model import LanguageModel

    where = _place_of(checkpoint)
    for entry in FAMILIES:
        if _load_family(entry).claims(checkpoint):
            raise BadCheckpoint(
                f"{where} is a reward model with a head of its own ({entry.name}); with "
                "`reference=` both must be language models"
            )
    if not LanguageModel.claims(checkpoint):
        raise BadCheckpoint(
            f"{where} is not a causal language model that transformers knows; with `reference=` "
            "both must be"
        )


def _place_of(checkpoint: "Checkpoint") -> str:
    return f"{checkpoint.architecture or 'none'!r} in {checkpoint.folder / 'config.json'}"


def _load_family(entry: Entry) -> "type[Family]":
    """Imports a family. Raises BadPlugin where a package's entry is no whole one of its name."""
    from rmeval.models.family import Family

    found: Any = FAMILIES.load(entry.name)
    if not (isinstance(found, type) and issubclass(found, Family)) or isabstract(found):
        raise BadPlugin(
            f"{entry.origin} is not a subclass of rmeval.models.family.Family with all its "
            "abstract methods; see docs/adding-a-model.md"
        )
    if found.pool not in POOLS:
        raise BadPlugin(
            f"{entry.origin}: pool is {found.pool!r}; it must be one of {', '.join(POOLS)}"
        )
    if found.name != entry.name:
        raise BadPlugin(
            f"{entry.origin} calls itself {found.name!r} and is registered as {entry.name!r}; "
            "make the two names the same"
        )
    return found

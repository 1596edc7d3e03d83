"""Who answers: one file per family of reward models, chosen from the checkpoint's own files."""

from typing import TYPE_CHECKING

from rmeval.errors import BadCheckpoint
from rmeval.registry import Entry, Registry

if TYPE_CHECKING:
    from rmeval.models.checkpoint import Checkpoint
    from rmeval.models.family import Family

FAMILIES = Registry(
    "model adapter",
    [
        Entry(
            "internlm2",
            "rmeval.models.internlm2:InternLM2",
            "InternLM2-Reward: fused projections, v_head, <|reward|> token",
        ),
        Entry(
            "inf-orm",
            "rmeval.models.inform:INFORM",
            "INF-ORM: Llama with a two-layer score head",
        ),
        Entry(
            "grm",
            "rmeval.models.grm:GRM",
            "GRM-sftreg: a causal language model with a value head, v_head.summary",
        ),
        Entry(
            "classifier",
            "rmeval.models.classifier:Classifier",
            "any *ForSequenceClassification of transformers with one label",
        ),
    ],
)


def detect_family(checkpoint: "Checkpoint", *, trust_remote_code: bool = False) -> "Family":
    """Returns the one family that claims a checkpoint.

    Its own code is considered only if no family does, and only if it is trusted. Raises
    BadCheckpoint when nothing fits, or more than one family does.
    """
    from rmeval.models.remote import RemoteCode

    families: list[type[Family]] = [FAMILIES.load(entry.name) for entry in FAMILIES]
    claiming = [family for family in families if family.claims(checkpoint)]
    if len(claiming) == 1:
        return claiming[0](checkpoint)
    where = f"{checkpoint.architecture or 'none'!r} in {checkpoint.folder / 'config.json'}"
    if claiming:
        names = ", ".join(family.name for family in claiming)
        raise BadCheckpoint(f"several model adapters claim architecture {where}: {names}")
    remote = RemoteCode.claims(checkpoint)
    if remote and trust_remote_code:
        return RemoteCode(checkpoint)
    names = ", ".join(entry.name for entry in FAMILIES)
    hint = (
        "Pass --trust-remote-code to run the repository's own code, or write one"
        if remote
        else "Write one"
    )
    raise BadCheckpoint(
        f"no model adapter for architecture {where}; known: {names}. "
        f"{hint} in 40 lines: ARCHITECTURE.md, 'Adding a model'"
    )

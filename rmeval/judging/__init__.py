"""Language models as judges: what they are asked, who answers, and what an answer is worth."""

from rmeval.judging.loading import load_judge

__all__ = ["load_judge"]

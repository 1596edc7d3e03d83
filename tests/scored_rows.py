"""Preferences that are nothing but their rewards."""

from rmeval.records import Score, ScoredPreference


def scored(
    row_id: str, subset: str, *rewards: float, num_chosen: int = 1, weight: float = 1.0
) -> ScoredPreference:
    scores = tuple(Score(reward, 7, False) for reward in rewards)
    return ScoredPreference(row_id, subset, num_chosen, scores, weight=weight)


def fill(wins: dict[str, tuple[int, int]]) -> list[ScoredPreference]:
    """So many won of so many rows in each subset."""
    return [
        scored(f"{subset}/{number}", subset, float(number < won), 0.5)
        for subset, (won, rows) in wins.items()
        for number in range(rows)
    ]

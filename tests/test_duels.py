"""Comparisons become scores: by hand, for two responses and for more."""

import pytest

from rmeval.benchmarks import scheme_of
from rmeval.duels import Duel, Verdict, plan_duels, settle
from rmeval.metrics.accuracy import count_oddities, win_credit
from rmeval.records import Comparisons, Message, Preference


def row(*responses: str, name: str = "1", **fields) -> Preference:
    return Preference(name, "s", (Message("user", "q"),), responses, **fields)


def settled(preference, *verdicts: float | None):
    duels = plan_duels([preference])
    found = [Verdict(0.5, False) if v is None else Verdict(v) for v in verdicts]
    return settle([preference], duels, found, [[1] * len(preference.responses)])[0]


def values(scored) -> list[float]:
    return [score.value for score in scored.scores]


def test_every_two_responses_meet_in_both_orders():
    assert plan_duels([row("a", "b"), row("a", "b", "c")]) == [
        Duel(0, 0, 1), Duel(0, 1, 0),
        Duel(1, 0, 1), Duel(1, 1, 0), Duel(1, 0, 2), Duel(1, 2, 0), Duel(1, 1, 2), Duel(1, 2, 1),
    ]  # fmt: skip


def test_a_random_order_is_the_same_whatever_other_rows_there_are():
    rows = [row(f"a{i}", f"b{i}", name=str(i)) for i in range(200)]
    together = plan_duels(rows, "random", seed=3)
    alone = [plan_duels([item], "random", seed=3)[0]._replace(row=i) for i, item in enumerate(rows)]
    assert together == alone
    shown_first = sum(duel.first == 0 for duel in together)
    assert 70 < shown_first < 130  # of 200, each with probability 1/2
    other = plan_duels(rows, "random", seed=4)
    assert 60 < sum(a != b for a, b in zip(together, other, strict=True)) < 140


def test_two_responses_score_the_mean_of_both_orders():
    scored = settled(row("a", "b"), 0.9, 0.3)  # P(a first), then P(b first)
    assert values(scored) == pytest.approx([0.8, 0.2])
    assert scored.comparisons == Comparisons(made=2, first=1, tied=0, unparsed=0)


def test_three_responses_score_their_mean_chance_against_the_others():
    # a beats b for certain, in both orders; a and c are even; c beats b with 3/4
    scored = settled(row("a", "b", "c"), 1, 0, 0.5, 0.5, 0.25, 0.75)
    assert values(scored) == pytest.approx([(1 + 0.5) / 2, (0 + 0.25) / 2, (0.5 + 0.75) / 2])


def test_who_always_names_the_first_has_won_and_lost_nothing():
    scored = settled(row("a", "b"), 1, 1)
    assert values(scored) == [0.5, 0.5]
    assert win_credit(scored) == 0.5
    assert scored.comparisons == Comparisons(made=2, first=2, tied=0, unparsed=0)


def test_what_is_not_parsed_is_half_a_win_and_counted():
    scored = settled(row("a", "b"), 1, None)
    assert values(scored) == [0.75, 0.25]
    tied = settled(row("a", "b"), 0.5, None)
    assert win_credit(tied) == 0.5
    assert tied.comparisons == Comparisons(made=2, first=0, tied=1, unparsed=1)


def test_a_cut_text_marks_both_of_its_responses():
    preference = row("a", "b", "c")
    duels = plan_duels([preference])
    cut = [duel == Duel(0, 0, 2) for duel in duels]
    verdicts = [Verdict(1.0)] * 6
    [scored] = settle([preference], duels, verdicts, [[7, 8, 9]], cut)
    assert [score.truncated for score in scored.scores] == [True, False, True]
    assert [score.tokens for score in scored.scores] == [7, 8, 9]


def test_a_row_keeps_what_else_is_known_of_it():
    preference = row("a", "b", "c", num_chosen=2, magnitude=3.0, weight=0.5)
    scored = settled(preference, *[1.0] * 6)
    kept = (scored.id, scored.subset, scored.num_chosen, scored.digest, scored.magnitude)
    assert kept == ("1", "s", 2, preference.digest, 3.0)
    assert scored.weight == 0.5


def test_counts_of_verdicts_are_added_up_and_absent_for_rewards():
    rows = [settled(row("a", "b"), 1, None), settled(row("a", "b"), 0.5, 0.5)]
    assert count_oddities(rows) == {
        "ties": 1,
        "truncated": 0,
        "responses": 4,
        "verdicts": 4,
        "verdicts_for_first": 1,
        "verdicts_tied": 2,
        "verdicts_unparsed": 1,
    }


def test_a_tie_of_rm_bench_is_half_of_its_cell():
    six = Preference("1", "math", (Message("user", "q"),), tuple("abcdef"), num_chosen=3)
    scored = settled(six, *[0.5] * 30)
    [stratum] = scheme_of("rm-bench").strata([scored]).values()
    assert stratum.credits.tolist() == [[0.5, 0.5, 0.5]]

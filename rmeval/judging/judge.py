"""A language model as a judge: asked about the rows of a benchmark, read strictly, accounted for.

Responses are compared in pairs, or rated one by one; what has no verdict is half a win. A call
that failed is no verdict: there is no result until it was answered.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from rmeval.conversations import ConversationLike
from rmeval.duels import one_pair, plan_duels, settle, texts_of
from rmeval.errors import BadConversation, BadOption, ServerFailure
from rmeval.judging.answers import Answers
from rmeval.judging.formats import PAIRWISE, PromptFormat
from rmeval.judging.questions import KeptAnswers, Question, plan_questions
from rmeval.judging.ratings import settle_ratings
from rmeval.judging.record import ANSWERS, Price, Record
from rmeval.judging.verdicts import Labels
from rmeval.llm.endpoint import Answer, RequestRefused
from rmeval.records import (
    OnProgress,
    Preference,
    Progress,
    Sampling,
    ScoredPreference,
)

if TYPE_CHECKING:
    from rmeval.engine.store import ScoreStore
    from rmeval.engine.workers import Workers

FAMILY = "judge"


@dataclass
class GenerativeJudge:
    """A judge that answers in text; `order` and `sampling.seed` are those of `plan_duels`.

    `variant` tells its results from others of its name.
    """

    kind: ClassVar[str] = "generative"

    name: str
    answers: Answers
    prompt_format: PromptFormat
    sampling: Sampling
    order: str = "both"
    price: Price | None = None
    revision_asked: str | None = None
    variant: str | None = None
    record: Record | None = field(default=None, repr=False)

    def provenance(self) -> dict[str, Any]:
        """Returns who answers, what is asked, and how; `fingerprint` is a hash of all of it."""
        asked = self.prompt_format
        order = {"order": self.order} if asked.kind == PAIRWISE else {}
        seed = {"seed": self.sampling.seed} if order.get("order") == "random" else {}
        depends = {
            **self.answers.identity(),
            "family": FAMILY,
            "prompt": {"name": asked.name, "kind": asked.kind, "sha256": asked.sha256},
            **order,
            **seed,
            **self._sampled(),
        }
        digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
        return {"name": self.name, "fingerprint": digest, **depends}

    def engine_provenance(self) -> dict[str, Any]:
        """Returns where the answers are made."""
        return self.answers.engine()

    def plan(self, preferences: Sequence[Preference]) -> list[Question]:
        """Returns what would be asked about the rows, without the answerer's name."""
        return plan_questions(preferences, self.prompt_format, self._order(), {})

    def compare(self, prompt: str | ConversationLike, a: str, b: str) -> float:
        """Returns 1 where `a` answers better than `b`, 0 where worse, between where undecided.

        Pairs are shown in both orders and averaged. Raises BadData for what is no text, and
        ServerFailure where a call fails.
        """
        judge = replace(self, order="both")
        scored = judge.score_preferences([one_pair(prompt, a, b)])
        self.record = judge.record
        if not scored:
            reasons = judge.record.refused.values() if judge.record else ()
            raise ServerFailure(next(iter(reasons)))
        first, second = (score.value for score in scored[0].scores)
        if self.prompt_format.kind == PAIRWISE:
            return first
        return 0.5 if first == second else float(first > second)

    def score_preferences(
        self,
        preferences: Sequence[Preference],
        *,
        store: "ScoreStore | None" = None,
        workers: "Workers | None" = None,
        on_progress: OnProgress | None = None,
    ) -> tuple[ScoredPreference, ...]:
        """Returns the rows with their scores, without those that the answerer refused.

        Every answer is kept when it comes. Raises ServerFailure where calls failed, BadOption for
        several processes.
        """
        if workers is not None and workers.count > 1:
            raise BadOption("a judge runs in one process; start it without a launcher")
        sent = {**self.answers.identity(), **self._sampled()}
        questions = plan_questions(preferences, self.prompt_format, self._order(), sent)
        self.record = self._ask(preferences, questions, KeptAnswers(store), on_progress)
        short = {q.row for q in questions if q.digest not in self.record.answers}
        rows = [row for index, row in enumerate(preferences) if index not in short]
        if preferences and not rows:
            first = next(iter(self.record.refused.values()))
            raise ServerFailure(f"every row was refused; the first: {first}")
        found = [self.record.answers[q.digest] for q in questions if q.row not in short]
        return self._settle(rows, found)

    def account(self) -> dict[str, Any]:
        """Returns the answers, tokens and cost of the last rows."""
        return {} if self.record is None else self.record.account(self.price)

    def answers_kept(self) -> dict[str, str]:
        """Returns the answer to every question about the last rows, and its verdict, as a file."""
        if self.record is None:
            return {}
        return {ANSWERS: "".join(self.record.lines(self.prompt_format.verdict))}

    def _order(self) -> tuple[str, int]:
        return self.order, self.sampling.seed

    def _sampled(self) -> dict[str, Any]:
        """Returns what of the sampling an answer depends on."""
        at = {
            "temperature": self.sampling.temperature,
            "max_new_tokens": self.sampling.max_new_tokens,
        }
        return {**at, "seed": self.sampling.seed} if self.sampling.temperature > 0 else at

    def _ask(
        self,
        preferences: Sequence[Preference],
        questions: Sequence[Question],
        kept: KeptAnswers,
        on_progress: OnProgress | None,
    ) -> Record:
        """Asks what nobody answered yet; equal questions are asked once. Raises ServerFailure."""
        unique = {question.digest: question.conversation for question in questions}
        digests = list(unique)
        found = {digest: answer for digest in digests if (answer := kept.get(digest)) is not None}
        before = len(found)
        waiting = [index for index, digest in enumerate(digests) if digest not in found]

        def keep(index: int, answer: Answer) -> None:
            kept.put(digests[index], answer)
            found[digests[index]] = answer
            if on_progress is not None:
                on_progress(Progress(len(found), len(digests), len(digests), before, unit="calls"))

        failed = {}
        try:
            if waiting:
                failed = self.answers.answer([*unique.values()], waiting, self.sampling, keep)
        except BadConversation as error:
            row = preferences[next(q.row for q in questions if q.digest == digests[error.index])]
            raise error.at(f"preference {row.id} ({row.subset})") from error
        _require_answers(failed, len(waiting), len(found), before)
        refused = {digests[index]: str(error) for index, error in failed.items()}
        return Record(preferences, questions, found, refused, before)

    def _settle(
        self, rows: Sequence[Preference], answers: Sequence[Answer]
    ) -> tuple[ScoredPreference, ...]:
        lengths = [[self.answers.length(text) for text in texts_of(row)] for row in rows]
        verdict = self.prompt_format.verdict
        if isinstance(verdict, Labels):
            duels = plan_duels(rows, *self._order())
            return settle(rows, duels, [verdict.read(answer) for answer in answers], lengths)
        ratings = map(verdict.read, answers)
        rated = [[next(ratings) for _ in row.responses] for row in rows]
        return settle_ratings(rows, rated, lengths, (verdict.low + verdict.high) / 2)


def _require_answers(
    failed: Mapping[int, ServerFailure], waiting: int, found: int, before: int
) -> None:
    """Raises ServerFailure for a call that failed, or was not made; what is refused is neither.

    Where nothing was ever answered, refusals are failures too: of a wrong name, for example.
    """
    if waiting and not found:
        raise ServerFailure(f"no call was answered; the first: {next(iter(failed.values()))}")
    wrong = [error for error in failed.values() if not isinstance(error, RequestRefused)]
    unasked = waiting - (found - before) - len(failed)
    if wrong:
        more = f", and {unasked:,} more were not made" if unasked else ""
        raise ServerFailure(
            f"{len(wrong):,} of {waiting:,} calls failed{more}; answers are kept, run again to go "
            f"on; the first failure: {wrong[0]}"
        )

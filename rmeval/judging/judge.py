"""A language model as a judge: asked about the rows of a benchmark, read strictly, accounted for.

Responses are compared in pairs or all at once, or rated one by one; what has no verdict is an even
share. A call that failed is no verdict: there is no result until it was answered.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from rmeval.conversations import ConversationLike
from rmeval.duels import one_pair, texts_of
from rmeval.errors import BadConversation, BadOption, ServerFailure
from rmeval.judging.answers import Answers
from rmeval.judging.budget import Price
from rmeval.judging.formats import LISTWISE, RATING, PromptFormat
from rmeval.judging.questions import (
    BOTH,
    LATIN,
    RANDOM,
    Ask,
    KeptAnswers,
    Manner,
    Question,
    plan_questions,
    sampled,
)
from rmeval.judging.record import ANSWERS, Record
from rmeval.judging.settling import MEAN, Read, Row, objective_names, settle_row
from rmeval.llm.endpoint import Answer, RequestRefused
from rmeval.records import (
    OnProgress,
    Preference,
    Progress,
    ScoredPreference,
)

if TYPE_CHECKING:
    from rmeval.engine.store import ScoreStore
    from rmeval.engine.workers import Workers

FAMILY = "judge"


@dataclass
class GenerativeJudge:
    """A judge that answers in text, asked in a `manner`; `vote` makes one of several samples.

    `variant` tells its results from others of its name. `given` are answers that a file has.
    """

    kind: ClassVar[str] = "generative"

    name: str
    answers: Answers
    prompt_format: PromptFormat
    manner: Manner = field(default_factory=Manner)
    vote: str = MEAN
    price: Price | None = None
    revision_asked: str | None = None
    variant: str | None = None
    given: Callable[[Mapping[bytes, Ask]], Iterable[tuple[bytes, Answer]]] | None = None
    record: Record | None = field(default=None, repr=False)

    def provenance(self) -> dict[str, Any]:
        """Returns who answers, what is asked, and how; `fingerprint` is a hash of all of it.

        All but the `votes`: how many samples there are, and what is made of them.
        """
        asked, order = self.prompt_format, self.manner.order_of(self.prompt_format)
        shuffled = order in (RANDOM, LATIN)
        depends = {
            **self.answers.identity(),
            "family": FAMILY,
            "prompt": {"name": asked.name, "kind": asked.kind, "sha256": asked.sha256},
            **({} if order is None else {"order": order}),
            **({"seed": self.manner.seed} if shuffled else {}),
            **sampled(self.manner.sampling(asked)),
        }
        digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
        votes = {"samples": self.manner.samples, "by": self.vote}
        names = objective_names(asked.criteria, several=self.manner.samples > 1)
        return {
            "name": self.name,
            "fingerprint": digest,
            **depends,
            **({"votes": votes} if self.manner.samples > 1 else {}),
            **({"objectives": names} if names else {}),
        }

    def engine_provenance(self) -> dict[str, Any]:
        """Returns where the answers are made."""
        return self.answers.engine()

    def plan(self, preferences: Sequence[Preference]) -> list[Question]:
        """Returns what would be asked about the rows, without the answerer's name."""
        return plan_questions(preferences, self.prompt_format, self.manner, {})

    def asks(self, preferences: Sequence[Preference]) -> dict[bytes, Ask]:
        """Returns what would be asked about the rows, each question once, by its digest."""
        settings = self.answers.identity()
        plan = plan_questions(preferences, self.prompt_format, self.manner, settings)
        return {question.digest: question.ask for question in plan}

    def compare(self, prompt: str | ConversationLike, a: str, b: str) -> float:
        """Returns 1 where `a` answers better than `b`, 0 where worse, between where undecided.

        Both are shown in either order, and averaged. Raises BadData for what is no text, and
        ServerFailure where a call fails.
        """
        order = {LISTWISE: LATIN, RATING: None}.get(self.prompt_format.kind, BOTH)
        judge = replace(self, manner=replace(self.manner, order=order))
        scored = judge.score_preferences([one_pair(prompt, a, b)])
        self.record = judge.record
        if not scored:
            reasons = judge.record.refused.values() if judge.record else ()
            raise ServerFailure(next(iter(reasons)))
        first, second = (score.value for score in scored[0].scores)
        if self.prompt_format.verdict.scale is None:
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
        identity = self.answers.identity()
        questions = plan_questions(preferences, self.prompt_format, self.manner, identity)
        self.record = self._ask(preferences, questions, KeptAnswers(store), on_progress)
        short = {q.row for q in questions if q.digest not in self.record.answers}
        if preferences and len(short) == len(preferences):
            first = next(iter(self.record.refused.values()))
            raise ServerFailure(f"every row was refused; the first: {first}")
        return self._settle(preferences, questions, short)

    def account(self) -> dict[str, Any]:
        """Returns the answers, tokens and cost of the last rows."""
        if self.record is None:
            return {}
        return {**self.record.account(self.price), **self.answers.account()}

    def answers_kept(self) -> dict[str, str]:
        """Returns the answer to every question about the last rows, and its verdict, as a file."""
        return {} if self.record is None else {ANSWERS: "".join(self.record.lines())}

    def _ask(
        self,
        preferences: Sequence[Preference],
        questions: Sequence[Question],
        kept: KeptAnswers,
        on_progress: OnProgress | None,
    ) -> Record:
        """Asks what nobody answered yet; equal questions are asked once. Raises ServerFailure."""
        unique = {question.digest: question.ask for question in questions}
        digests = list(unique)
        found = self._known(unique, kept)
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
                failed = self.answers.answer([*unique.values()], waiting, keep, kept.store)
        except BadConversation as error:
            row = preferences[next(q.row for q in questions if q.digest == digests[error.index])]
            raise error.at(f"preference {row.id} ({row.subset})") from error
        if self.answers.budget is not None:
            self.answers.budget.require_enough(len(found), len(digests))
        _require_answers(failed, len(waiting), len(found), before)
        refused = {digests[index]: str(error) for index, error in failed.items()}
        tried = next((i for i in waiting if digests[i] in found), None)
        repeats = None
        if tried is not None and self.manner.sampling(self.prompt_format).temperature > 0:
            repeats = self.answers.repeats(unique[digests[tried]], found[digests[tried]])
        return Record(preferences, questions, found, refused, before, repeats)

    def _known(self, asks: Mapping[bytes, Ask], kept: KeptAnswers) -> dict[bytes, Answer]:
        """Returns the answers that a file or an earlier run has; what they took is spent."""
        if self.given is not None:
            for digest, answer in self.given(asks):
                kept.put(digest, answer)
        found = {digest: known for digest in asks if (known := kept.get(digest)) is not None}
        if (budget := self.answers.budget) is not None:
            for digest, answer in found.items():
                budget.charge(answer, budget.price.most(asks[digest]))
        return found

    def _settle(
        self,
        preferences: Sequence[Preference],
        questions: Sequence[Question],
        short: set[int],
    ) -> tuple[ScoredPreference, ...]:
        """Returns the rows that are not `short` of an answer, with their scores."""
        assert self.record is not None
        read: list[list[Read]] = [[] for _ in preferences]
        for question in questions:
            if question.row not in short:
                answer = self.record.answers[question.digest]
                verdict = question.asked.verdict.read(answer, len(question.shown))
                read[question.row].append((question.shown, question.criterion, verdict))
        rows = []
        for index, row in enumerate(preferences):
            if index not in short:
                asked = self.prompt_format.of_subset(row.subset)
                lengths = [self.answers.length(text) for text in texts_of(row)]
                criteria, scale = asked.criteria_of(row), asked.verdict.scale
                rows.append(Row(row, lengths, criteria, scale, read[index]))
        several = self.manner.samples > 1
        return tuple(settle_row(row, self.vote, several=several) for row in rows)


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
            f"{len(wrong):,} of {waiting:,} calls failed{more}; answers are kept, run again to "
            f"continue; the first failure: {wrong[0]}"
        )

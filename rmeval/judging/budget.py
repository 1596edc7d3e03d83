"""What answers cost, and a limit that is not passed."""

from typing import NamedTuple

from rmeval.errors import ServerFailure
from rmeval.judging.questions import Ask
from rmeval.llm.endpoint import Answer

PER = 1_000_000  # tokens that a price is of
FRAME = 64  # tokens that a chat template may add to a message


class Price(NamedTuple):
    """US dollars for a million tokens that are read, and for a million that are written."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Returns what so many tokens cost, in US dollars."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / PER

    def most(self, ask: Ask) -> float:
        """Returns what a question can cost at most: no token is shorter than a byte."""
        read = sum(len(message.content.encode()) + FRAME for message in ask.conversation)
        return self.of(read, ask.sampling.max_new_tokens)


class Budget:
    """What may be spent, what was, and what calls under way can cost at most, in US dollars."""

    def __init__(self, usd: float, price: Price) -> None:
        self.usd, self.price = usd, price
        self.spent = 0.0
        self._promised: dict[int, float] = {}
        self.stopped = False

    def promise(self, number: int, ask: Ask) -> bool:
        """Sets aside what a call can cost at most; False where that could pass the budget."""
        most = self.price.most(ask)
        if self.spent + sum(list(self._promised.values())) + most > self.usd:
            self.stopped = True
            return False
        self._promised[number] = most
        return True

    def settle(self, number: int, answer: Answer | None) -> None:
        """Replaces what was set aside by what an answer took; what failed took nothing."""
        most = self._promised.pop(number)
        if answer is not None:
            self.charge(answer, most)

    def charge(self, answer: Answer, most: float) -> None:
        """Adds what an answer took; where a server counts no tokens, the most it can have been."""
        counted = (answer.prompt_tokens, answer.completion_tokens)
        known = None not in counted
        self.spent += self.price.of(*(count or 0 for count in counted)) if known else most

    def require_enough(self, answered: int, wanted: int) -> None:
        """Raises ServerFailure where it stopped the calls."""
        if self.stopped:
            self.stopped = False
            raise ServerFailure(
                f"the next call could pass the budget of {self.usd:g} USD: {self.spent:.4f} spent, "
                f"{answered:,} of {wanted:,} answers are there and kept; pass a larger one to go on"
            )

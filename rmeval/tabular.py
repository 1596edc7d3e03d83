"""A result in the hands of people: as data frame, data set, or table in a notebook."""

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import datasets
    import pandas as pd

    from rmeval.records import Result


class Tabular:
    """What `Result` can be shown as; the code, and pandas, are imported when one is asked for."""

    __slots__ = ()

    def to_frame(self, per: str = "preference") -> "pd.DataFrame":
        """Returns a row a preference, or a row a response with per="response".

        Both have id, subset, section, margin (the lowest chosen reward minus the highest other
        one), won (1, 0.5 or 0), tokens and truncated. A row a preference has its `rewards`, the
        chosen ones first; a row a response its `reward`, whether it is `chosen`, and a column for
        each objective. Raises UnknownName for another `per`.
        """
        from rmeval.verbs.frames import frame_of

        return frame_of(cast("Result", self), per)

    def to_dataset(self, per: str = "preference") -> "datasets.Dataset":
        """Returns the same as a data set of `datasets`."""
        from rmeval.verbs.frames import dataset_of

        return dataset_of(cast("Result", self), per)

    def __repr__(self) -> str:
        from rmeval.verbs.frames import described

        return f"<{described(cast('Result', self))}>"

    def _repr_html_(self) -> str:
        from rmeval.verbs.frames import html_of

        return html_of(cast("Result", self))

"""What a model was not tested on, as far as its run can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from maecli.run.card.facts import CardFacts


def untested(facts: CardFacts) -> list[str]:
    """Return sentences on what nobody should take for known."""
    return [sentence for each in GAPS for sentence in each(facts)]


def _splits(facts: CardFacts) -> Iterator[str]:
    measured = {one.split for one in facts.own if one.metrics}
    if not measured:
        yield "Nothing was measured."
    elif not measured & {"test", "folds"}:
        there = facts.data.split_sizes.get("test", 0)
        how = "its test split was not read" if there else "there is no test split"
        yield f"Samples that had no part in making it: {how}, and validation may have chosen its weights."


def _other_sources(facts: CardFacts) -> Iterator[str]:
    others = [one for one in facts.measured.evaluations if one.data is not None]
    unit = facts.modality.unit
    if others:
        folders = ", ".join(dict.fromkeys(one.data.folder for one in others if one.data is not None))
        yield f"{unit} of sources other than {facts.data_name} and {folders}."
    else:
        yield (
            f"{unit} of other sources than its own data, such as of other devices, places or times: all that was "
            f"measured comes from {facts.data_name}."
        )


def _left_out(facts: CardFacts) -> Iterator[str]:
    for one in facts.own:
        for what, number in one.left_out.items():
            yield f"{number:,} {what} of the split {one.split}, which were left out."


def _nothing_it_knows(facts: CardFacts) -> Iterator[str]:
    if facts.task is not None and facts.task.answer is not None:
        yield (
            f"{facts.modality.unit} of none of its classes: it answers with its classes whatever it is shown, if as "
            "unsure."
        )


def _changed_input(facts: CardFacts) -> Iterator[str]:
    yield f"{facts.modality.unit} that are damaged, or were changed to mislead it."
    if facts.modality.pictorial:
        yield "people of different groups, one beside the other, where people are in the data."


def _chance(facts: CardFacts) -> Iterator[str]:
    yield (
        f"other seeds: these are the weights of one training (seed {facts.spec.get('seed', 0)}), and intervals tell of "
        "the samples alone."
    )


GAPS: Sequence[Callable[[CardFacts], Iterator[str]]] = (
    _splits,
    _other_sources,
    _left_out,
    _nothing_it_knows,
    _changed_input,
    _chance,
)

"""What a sweep is: the keys that vary, what else is set, and the fine-tunings that follow each pretraining.

The section `sweep` of a recipe or file:

    sweep:
      seeds: 3                              a number, or the seeds themselves: [0, 1, 2]
      pretrain:                             settings of every pretraining, as in a spec; `recipe` names a shipped one
        recipe: mnist
        task: {mask_ratio: 0.75}
      finetune:                             settings of every fine-tuning; its data and model are the pretraining's
        task: {name: classify}              unless it says otherwise
      arms:                                 fine-tunings that follow each pretraining; one, nameless, if there are none
        pretrained: {}
        probe: {train.freeze: true}         settings over those of `finetune`, dotted or nested
        scratch: {scratch: true}            the same without the pretraining
        longer: {total_time_of: pretrained} from scratch, as long as the pretraining and that arm took together
      grid:                                 every combination is a point
        model.patch_size: [2, 4]            a key and its values, or
        size:                               a name of its own, and named settings
          small: {model.depth: 3}
          medium: {model.depth: 4, pretrain.task.decoder_depth: 2}      a key of one verb begins with it
      settings: {model.depth: 4}            over both sections, with keys like those of the grid
      splits: [test]                        what each run is measured on, beside the validation split
      side_by_side: true                    lay what the points make of the same samples beside each other

A sweep with only one of `pretrain` and `finetune` does only that; with neither it does both. Which verb a key is for is
told in `maecli.sweep.address`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from maecli.errors import SpecError, nearest
from maecli.registry import Registry
from maecli.schema import SPECS, ResolvedPath, Section
from maecli.spec.layers import Settings, flatten
from maecli.spec.recipes import SWEEP, parse_yaml, read_file, read_sweep
from maecli.spec.validate import explain
from maecli.text import brief, shortened

Tree = dict[str, Any]
MAX_SEEDS, MAX_VALUES, MAX_RUNS = 1000, 1000, 10_000
"""Of a sweep, of one key of its grid, and points times seeds: what is more is a slip of the hand."""


class Stage(BaseModel):
    """Settings of all runs of one verb, over those of a recipe."""

    model_config = ConfigDict(extra="allow", frozen=True)

    recipe: str | None = None

    @property
    def settings(self) -> Settings:
        """The settings of a spec by dotted key, however they were written."""
        return flatten(self.__pydantic_extra__ or {})


class Arm(Stage):
    """One of the fine-tunings that follow each pretraining."""

    scratch: bool = Field(default=False, description="start from nothing, not from the pretraining")
    total_time_of: str | None = Field(
        default=None,
        description="from scratch, for as many epochs as fit the time that the pretraining and this arm took together",
    )

    @property
    def from_scratch(self) -> bool:
        return self.scratch or self.total_time_of is not None


class Sweep(Section):
    """One sweep, as it was asked for."""

    name: str = Field(default="", pattern=r"^[\w.+-]*$", description="of its directory: runs/sweep-NAME")
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = Field(default=(0,), min_length=1, max_length=MAX_SEEDS)
    pretrain: Stage | None = None
    finetune: Stage | None = None
    arms: dict[str, Arm] = Field(default={})
    grid: dict[str, list[Any] | dict[str, Tree]] = Field(default={})
    splits: tuple[Literal["train", "val", "test"], ...] = ("test",)
    side_by_side: bool = False
    paths: tuple[ResolvedPath, ...] = Field(
        default=(), description="where its paths led when it began; recorded, not chosen"
    )
    settings: Tree = Field(default={}, description="over those of both sections; keys are written like the grid's")
    planned: dict[str, Settings] = Field(
        default={}, description="verb → what was planned of all its runs when it began; recorded, not chosen"
    )

    @model_validator(mode="before")
    @classmethod
    def _both_unless_one_is_named(cls, tree: Any) -> Any:
        if not isinstance(tree, Mapping):
            return tree
        possible = [verb for verb in SPECS if tree.get(verb) is not False]
        verbs = [verb for verb in possible if verb in tree] or possible
        if not verbs:
            raise ValueError("a sweep without pretraining and without fine-tuning does nothing")
        rest = {key: value for key, value in tree.items() if key not in SPECS}
        return rest | {verb: {} if tree.get(verb) in (None, True) else tree[verb] for verb in verbs}

    @field_validator("seeds", mode="before")
    @classmethod
    def _number_of_seeds(cls, seeds: Any) -> Any:
        if not isinstance(seeds, int):
            return seeds
        if isinstance(seeds, bool) or seeds < 1:
            raise ValueError(f"seeds is {seeds!r}: give how many, at least 1, or a list of them")
        if seeds > MAX_SEEDS:
            raise ValueError(f"seeds is {brief(seeds)}: a sweep takes at most {MAX_SEEDS:,}")
        return tuple(range(seeds))

    @field_validator("grid", mode="before")
    @classmethod
    def _names_are_text(cls, grid: Any) -> Any:
        if not isinstance(grid, Mapping):
            return grid
        return {
            str(key): {str(name): tree for name, tree in values.items()} if isinstance(values, Mapping) else values
            for key, values in grid.items()
        }

    @model_validator(mode="after")
    def _is_consistent(self) -> Sweep:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)} has one seed twice")
        if self.arms and self.finetune is None:
            raise ValueError("arms are fine-tunings, but this sweep has no section finetune")
        for name, arm in self.arms.items():
            if not name or not name.replace("-", "").replace("_", "").isalnum():
                raise ValueError(f"the arm {name!r} must be named by letters, digits, - and _")
            other = arm.total_time_of
            if other is None:
                continue
            if self.pretrain is None:
                raise ValueError(f"arms.{name}.total_time_of counts a pretraining's time, but this sweep has none")
            if other not in self.arms or self.arms[other].from_scratch:
                usable = [name for name, arm in self.arms.items() if not arm.from_scratch]
                raise ValueError(
                    f"arms.{name}.total_time_of is {other!r}{nearest(other, usable)}; arms that start from the "
                    f"pretraining: {', '.join(usable) or 'none'}"
                )
        for key, values in self.grid.items():
            if not values:
                raise ValueError(f"the grid key {key} has no values")
            if len(values) > MAX_VALUES:
                raise ValueError(f"the grid key {key} has {len(values):,} values; a sweep takes at most {MAX_VALUES:,}")
            if isinstance(values, list) and any(value in values[:i] for i, value in enumerate(values)):
                raise ValueError(f"the grid key {key} has a value twice: {brief(values)}")
        runs = math.prod(map(len, self.grid.values())) * len(self.seeds)
        if runs > MAX_RUNS:
            raise ValueError(f"the grid and the seeds make {runs:.3g} points; a sweep takes at most {MAX_RUNS:,}")
        return self

    @property
    def verbs(self) -> tuple[str, ...]:
        """What the sweep does, in order."""
        return tuple(verb for verb in SPECS if getattr(self, verb) is not None)


def make_sweep(tree: Mapping[str, Any]) -> Sweep:
    """Return the sweep of a section. Raises SpecError in one sentence."""
    try:
        return Sweep.model_validate(dict(tree))
    except ValidationError as error:
        raise explain(error, Sweep, SWEEP) from error


def find_tree(registry: Registry, recipe: str | None, config: Path | None) -> Tree:
    """Return the section `sweep` that a recipe or file has, its name filled in.

    A recipe without one serves both verbs by its own sections. Raises SpecError for a file without one.
    """
    if recipe is not None and config is not None:
        raise SpecError("give --recipe or --config, not both: each says what the sweep is")
    if config is not None:
        tree = read_sweep(read_file(config), str(config))
        if tree is None:
            raise SpecError(f"{config} has no section {SWEEP}; write what varies below `{SWEEP}:`")
        return {"name": config.stem, **tree}
    if recipe is not None:
        tree = read_sweep(registry.recipe(recipe), f"recipe {recipe}")
        if tree is None:
            return {"name": recipe, **{verb: {"recipe": recipe} for verb in SPECS}}
        return {"name": recipe, **tree}
    return {}


def parse_grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of each `--grid KEY=VALUE,VALUE`; they are read as a YAML list, so [2,4] is one value."""
    grid: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        key = key.strip()
        if not equals or not key or not values.strip():
            raise SpecError(f"--grid {brief(text)} is not of the form KEY=VALUE,VALUE, such as model.patch_size=2,4")
        if key in grid:
            raise SpecError(f"--grid {shortened(key)} is given twice; write all its values in one: {key}=VALUE,VALUE")
        grid[key] = parse_yaml(f"[{values}]", f"--grid {shortened(key)}")
        if None in grid[key]:
            raise SpecError(f"--grid {brief(text)} has an empty value; the values are separated by single commas")
    return grid


def parse_seeds(text: str) -> int | list[int]:
    """Return what `--seeds 3` or `--seeds 0,5,7` says."""
    wrong = SpecError(f"--seeds {brief(text)} is neither a number of seeds nor a list of them such as 0,1,2")
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise wrong from error
    if not numbers or min(numbers) < 0 or max(numbers) >= 2**63:
        raise wrong
    return numbers if "," in text else numbers[0]

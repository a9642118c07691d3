"""A person's own files, from what they name to samples, what is known of them, and what is not read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from maecli.data.card import DataCard
from maecli.data.classes.known_labels import JoinedLabels, KnownLabels
from maecli.data.classes.label_files import LABELS_FILES
from maecli.data.files.sources import Sources
from maecli.data.files.unread import ARCHIVES, OTHERS, count_kinds, kinds_in_words, suffix_of
from maecli.data.sample import Split
from maecli.errors import DataError, Fault
from maecli.modalities.joined import Joined
from maecli.modalities.known_masks import KnownMasks
from maecli.modalities.modality import Modality
from maecli.modalities.preprocess import Preprocess
from maecli.outputs.not_read import NotRead, belonging, find_not_read
from maecli.text import some


@dataclass(frozen=True)
class OwnFiles:
    """Samples of files and folders that a person names."""

    root: Path
    """Keys of samples begin with the paths of files below it."""
    split: Split
    not_read: NotRead
    folders: Sequence[Path]
    """Where labels of the samples may be known from: folders that were named, or that hold named files."""
    places: Mapping[Path, bool] = field(default_factory=dict)
    """The folders that samples lie in: whether each was named, so that all below it counts."""
    without: Sequence[Path] = ()
    """Folders of several that hold no sample."""

    def lines(self) -> Iterator[str]:
        """Yield what is to be said of what was read and what was not, a line each."""
        yield from self.split.notes()
        if self.without:
            yield f"nothing to read in {some(self.without)}"
        yield from self.not_read.lines()

    def labels(self, card: DataCard) -> KnownLabels:
        if list(self.folders) == [self.root]:
            return KnownLabels(self.root, card)
        return JoinedLabels(self.root, self.folders, card)

    def masks(self, modality: Modality, card: DataCard) -> KnownMasks | None:
        """Return the true masks of the samples that are known, None where samples are of a kind without such."""
        return modality.known_masks(self.root, self.split.keys, self.places, card)


def open_sources(sources: Sources, preprocess: Preprocess, card: DataCard) -> OwnFiles:
    """Return the samples of all that is named, each once, and what was not read of it.

    Of several files those are left out, and counted, that are of another kind by name, as they are of a folder.
    Raises DataError where there is no sample.
    """
    modality, size = preprocess.modality, preprocess.img_size
    if sources.single is not None:
        source = sources.single.expanduser()
        root, split = modality.open(source, card, size)
        return OwnFiles(root, split, find_not_read(source, split.keys, modality), [root], {root: source.is_dir()})
    root, parts, not_read = sources.root, list[tuple[str, Split]](), NotRead()
    folders: dict[Path, bool] = {}
    without = list[Path]()
    for part in sources.parts():
        if isinstance(part, Path):
            try:
                _, split = modality.open(part, card, size)
            except DataError:  # as of a folder among others below one that is named
                without.append(part)
                continue
            before, found = sources.below(part), find_not_read(part, split.keys, modality)
            folders[part] = True
        else:
            files = [path for path in part if _may_be_sample(path, modality)]
            split, before = modality.open_files(root, files, card, size), ""
            found = NotRead(kinds=count_kinds(set(part) - set(files) - _tables(part)))
            for path in files:
                folders.setdefault((root / path).parent, False)
        parts.append((before, split))
        not_read = _both(not_read, found, before)
    joined: Split = Joined(parts)
    samples = frozenset(modality.samples_among(joined.keys, card)) if len(joined) > 1 else frozenset(joined.keys)
    if len(samples) < len(joined):  # new/* is read as new is
        others = [Fault(key, belonging(modality)) for key in joined.keys if key not in samples]
        not_read = _both(not_read, NotRead(apart=others), "")
        joined = joined.view([i for i, key in enumerate(joined.keys) if key in samples])
    if not len(joined):
        endings = ", ".join(sorted(modality.suffixes))
        there = [*map(str, without[:1]), *([kinds_in_words(not_read.kinds)] if not_read.kinds else [])]
        raise DataError(f"no {modality.unit} ({endings}) are among what is named: {', '.join(there) or 'no file'}")
    return OwnFiles(root, joined, not_read, [*folders, *([] if root in folders else [root])], folders, without)


def _may_be_sample(path: str, modality: Modality) -> bool:
    """Whether the name of a file does not say that it is of another kind, such as notes, or a table of labels."""
    if path.lower().endswith(tuple(modality.suffixes)):
        return not _tables([path])
    suffix = suffix_of(path)
    return suffix not in OTHERS and suffix not in ARCHIVES


def _tables(paths: Sequence[str]) -> set[str]:
    return {path for path in paths if path.rpartition("/")[2].lower() in LABELS_FILES}


def _both(one: NotRead, other: NotRead, before: str) -> NotRead:
    """Return what was not read of two places, of which the keys of the second follow what stands before them."""
    faults, apart = (
        [replace(fault, path=before + fault.path) for fault in some] for some in (other.faults, other.apart)
    )
    kinds, no_data = Counter(one.kinds), Counter(one.no_data)
    kinds.update(other.kinds)
    no_data.update(other.no_data)
    return NotRead([*one.faults, *faults], [*one.apart, *apart], dict(kinds.most_common()), dict(no_data))

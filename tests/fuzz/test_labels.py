"""1,000 damaged files of each kind that says what pictures show, and of the published sets' own formats."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from maecli_plugins.datasets.cifar10.batches import read_binary_batch, read_python_batch
from maecli_plugins.datasets.cifar10.plain_pickle import read_plain_pickle
from maecli_plugins.datasets.voc.annotations import read_annotation
from write_data import noise

from fuzz.mutate import Reader, survives
from maecli.data.classes.label_files import read_labels
from maecli.data.idx import read_idx
from maecli.errors import BrokenSample, DataError
from maecli.modalities.pictures.masks.class_files import read_class_file

TABLES = [
    b"file,label,split,group\na.png,cat,train,1\nb/c.png,dog,val,2\n",
    '\ufefffile;label\r\na.png;"a; ""quoted"" cät"\r\n'.encode(),
    b'label,file\n"two\nlines",a.png\n,b/c.png\n',
]
CLASSES = [
    b"0 background 0 0 0\n1 cat 255 0 0\n2 dog #00ff00\n",
    b"# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:255,0,0::\n",
    b"background\ncat\ndog\n",
    "\ufeffhintergrund\r\nkätzchen\r\n".encode(),
]
ANNOTATION = b"""<?xml version="1.0" encoding="utf-8"?>
<annotation><size><width>8</width><height>6</height><depth>3</depth></size>
<object><name>cat</name><difficult>0</difficult><truncated>1</truncated>
<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>8</xmax><ymax>6</ymax></bndbox></object></annotation>"""
ENTITIES = b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>' + ANNOTATION[39:].replace(b"cat", b"&c;")
BATCH = {"labels": [3, 7], "data": noise(0, 2, 3072), "filenames": ["x.png", "y.png"]}
PICKLES = [
    *(pickle.dumps(BATCH, protocol=version) for version in (2, 3, 4)),
    pickle.dumps({"a": [np.arange(3.0), (1, None, True, 2.5, b"x", "ä")], 5: {"b": [[]]}}, protocol=0),
]
IDX = bytes([0, 0, 8, 3]) + struct.pack(">III", 3, 4, 5) + bytes(60)


def check_annotation(path: Path) -> None:
    """Read an annotation and look for the rules that it breaks, as those who read it do."""
    annotation = read_annotation(path)
    for rule in annotation.broken_rules((6, 8)):
        assert len(rule) < 400
    np.array([thing.box for thing in annotation.objects], np.float32)


def read_table(path: Path) -> object:
    return read_labels(path, frozenset({"a.png", "b/c.png"}))


READERS = [
    Reader("tables of labels", "labels.csv", read_table, TABLES, DataError),
    Reader("lists of classes", "classes.txt", read_class_file, CLASSES, DataError),
    Reader("annotations of VOC", "annotation.xml", check_annotation, [ANNOTATION], BrokenSample),
    Reader("pickles", "batch", read_plain_pickle, PICKLES, DataError),
    Reader("pickles of CIFAR-10", "data_batch_1", read_python_batch, PICKLES[:3], DataError),
    Reader("bytes of CIFAR-10", "data_batch_1.bin", read_binary_batch, [bytes([3]) + bytes(3072)], DataError),
    Reader("IDX", "images", lambda path: read_idx(path, 3), [IDX], DataError),
    Reader("IDX in gzip", "images.gz", lambda path: read_idx(path, 3), [gzip.compress(IDX, mtime=0)], DataError),
]


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_damaged_file_is_read_or_refused_by_a_sentence(reader, tmp_path):
    came, error = reader.survives(tmp_path), reader.errors.__name__
    assert came.keys() <= {"read", error}
    assert came[error] > 100


def test_entities_are_refused_however_damaged(tmp_path):
    (tmp_path / "entities.xml").write_bytes(ENTITIES)
    with pytest.raises(BrokenSample, match="declares XML entities"):
        read_annotation(tmp_path / "entities.xml")
    survives(
        check_annotation,
        [ANNOTATION, ANNOTATION.replace(b"</name>", b"</name><!-- -->")],
        tmp_path / "a.xml",
        BrokenSample,
        seed=1,
    )

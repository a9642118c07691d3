from __future__ import annotations

import pytest

from maecli.errors import SpecError
from maecli.spec.layers import flatten
from maecli.spec.recipes import parse_sets, read_config, read_document


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-.5e+2", -50.0),
        ("2", 2),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("", None),
        ("[1, 2e-1]", [1, 0.2]),
        ("cat", "cat"),
        ("nan", "nan"),
        ("3 apples: e", {"3 apples": "e"}),
        ("a=b", "a=b"),
    ],
)
def test_values_of_set_are_read_as_yaml_with_all_numbers(text, expected):
    assert parse_sets([f"a.b={text}"]) == flatten({"a.b": expected})


def test_later_assignments_win():
    assert parse_sets(["a.b=1", "a.c=2", "a.b=3"]) == {"a.b": 3, "a.c": 2}


@pytest.mark.parametrize("assignment", ["a.b", "=3", " =3"])
def test_an_assignment_needs_a_key_and_a_value(assignment):
    with pytest.raises(SpecError) as caught:
        parse_sets([assignment])
    assert str(caught.value) == f"--set {assignment!r} is not of the form a.b=c"


def test_a_value_that_is_no_yaml_is_told():
    with pytest.raises(SpecError, match=r"--set a is not valid YAML: "):
        parse_sets(["a=[1"])


def test_a_value_cannot_be_a_section_too():
    with pytest.raises(SpecError, match=r"a\.b\.c: b is a value, not a section"):
        parse_sets(["a.b=1", "a.b.c=2"])


def test_strings_in_documents_stay_strings():
    text = "pretrain: {a: '3 apples: red', b: 1e-3, c: [2e2, x], d: '-e ['}"
    assert read_document(text, "pretrain", "x") == {"a": "3 apples: red", "b": 0.001, "c": [200.0, "x"], "d": "-e ["}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "x must be a YAML mapping"),
        ("- a", "x must be a YAML mapping"),
        ("a: [", "x is not valid YAML: "),
        ("finetune: {}", "x has no section for pretrain, only for finetune"),
        ("pretrain: {}\nseed: 1", "x: a recipe has sections per verb, not seed"),
        ("pretrain: 3", "x: pretrain must be a YAML mapping"),
        ("verb: finetune", "x is a spec of mae finetune, not of mae pretrain"),
    ],
)
def test_documents_that_do_not_fit_are_refused(text, words):
    with pytest.raises(SpecError) as caught:
        read_document(text, "pretrain", "x")
    assert str(caught.value).startswith(words)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"--config .*none\.yaml cannot be read: "):
        read_config(tmp_path / "none.yaml", "pretrain")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match=r"--config .*binary\.yaml is not text in UTF-8"):
        read_config(tmp_path / "binary.yaml", "pretrain")


def test_a_section_for_the_task_is_taken_instead_of_the_verbs_own():
    text = "finetune: {seed: 1}\nfinetune-segment: {seed: 2}"
    assert read_document(text, "finetune", "x", task="segment") == {"seed": 2}
    assert read_document(text, "finetune", "x", task="classify") == {"seed": 1}
    assert read_document(text, "finetune", "x") == {"seed": 1}
    assert read_document("finetune-segment: {seed: 2}", "finetune", "x", required=False, task="classify") == {}
    with pytest.raises(SpecError, match=r"^x has no section for finetune, only for finetune-segment$"):
        read_document("finetune-segment: {seed: 2}", "finetune", "x", task="classify")

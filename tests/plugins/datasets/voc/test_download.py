from __future__ import annotations

import hashlib
import shutil
import tarfile

import pytest
from torchvision.datasets import voc as torchvision_voc
from write_data import write_voc

from maecli import api


@pytest.mark.parametrize("below", ["", "VOCdevkit"])
def test_missing_data_are_named_with_the_folder_and_the_ways_out(tmp_path, voc, below):
    with pytest.raises(api.DataError) as caught:
        voc(tmp_path / below, year=2010).card()
    message = str(caught.value)
    assert f"VOC 2010 was not found in {tmp_path / below} and download is off" in message
    assert f"into {tmp_path / 'VOCdevkit'}, or" in message
    assert all(word in message for word in ["JPEGImages", "--root", "MAE_DATA"])


def test_all_faults_do_not_fail_where_there_is_nothing(tmp_path, voc):
    [fault] = voc(tmp_path).all_faults()
    assert fault.path == str(tmp_path)
    assert fault.reason.startswith(f"VOC 2012 was not found in {tmp_path} and download is off")


@pytest.mark.parametrize("below", ["", "VOCdevkit/VOC2007"])
def test_another_year_that_is_there_is_offered(tmp_path, voc, below):
    write_voc(tmp_path, year=2007)
    with pytest.raises(api.DataError, match=r"set dataset\.year=2007, which is there"):
        voc(tmp_path / below).card()


def test_a_year_is_not_downloaded_into_another_years_folder(tmp_path, voc):
    folder = write_voc(tmp_path, year=2007)
    with pytest.raises(api.DataError, match=r"the root is another year's folder; put .* into .*/VOCdevkit, or"):
        voc(folder, download=True).card()


@pytest.fixture
def mirror(tmp_path, served, monkeypatch):
    """Serve archives of baselines in the place of the official ones, which are checked by MD5."""
    folder, address = served
    year_2012 = write_voc(tmp_path / "made")
    year_2007 = write_voc(tmp_path / "made", year=2007, test=4)
    for key, year in {"2012": year_2012, "2007": year_2007, "2007-test": year_2007}.items():
        path = folder / f"{key}.tar"

        def keep(info: tarfile.TarInfo, key: str = key) -> tarfile.TarInfo | None:
            of_test = info.isfile() and info.name.endswith("test.txt")
            return info if key == "2012" or not info.name.endswith(".txt") or of_test == (key == "2007-test") else None

        with tarfile.open(path, "w") as tar:
            tar.add(year, f"VOCdevkit/{year.name}", filter=keep)
        facts = {
            "url": f"{address}/{path.name}",
            "filename": path.name,
            "md5": hashlib.md5(path.read_bytes()).hexdigest(),
            "base_dir": f"VOCdevkit/{year.name}",
        }
        monkeypatch.setitem(torchvision_voc.DATASET_YEAR_DICT, key, facts)
    return folder


@pytest.mark.parametrize(("year", "num_test"), [(2012, 6), (2007, 4)])
@pytest.mark.parametrize("below", ["data", "data/VOCdevkit", "data/VOCdevkit/VOC{}"])
def test_a_missing_year_is_downloaded_once_with_progress_on_stderr(
    tmp_path, voc, mirror, capsys, year, num_test, below
):
    root = tmp_path / below.format(year)
    data = voc(root, year=year, download=True)
    assert data.card(("image", "mask")).split_sizes["test"] == num_test
    assert [path.name for path in (tmp_path / "data/VOCdevkit").iterdir()] == [f"VOC{year}"]
    printed = capsys.readouterr()
    assert "100%" in printed.err
    assert printed.out == ""
    for file in mirror.iterdir():
        file.unlink()
    assert voc(root, year=year, download=True).card(("image", "mask")).split_sizes["test"] == num_test


def test_a_download_with_another_checksum_is_refused(tmp_path, voc, mirror):
    (mirror / "2012.tar").write_bytes(b"not the file")
    with pytest.raises(api.DataError, match=r"the download failed: .*File not found or corrupted"):
        voc(tmp_path / "data", download=True).card()


def test_a_damaged_devkit_is_never_downloaded_over(tmp_path, voc, mirror):
    folder = write_voc(tmp_path / "data")
    shutil.rmtree(folder / "ImageSets")
    before = sorted((tmp_path / "data").rglob("*"))
    with pytest.raises(api.DataError, match="ImageSets: is missing"):
        voc(tmp_path / "data", download=True).card()
    assert sorted((tmp_path / "data").rglob("*")) == before


def test_offline_the_error_names_what_is_missing_where_and_ways_out(tmp_path, voc, monkeypatch):
    facts = torchvision_voc.DATASET_YEAR_DICT["2012"]
    monkeypatch.setitem(torchvision_voc.DATASET_YEAR_DICT, "2012", facts | {"url": "http://127.0.0.1:9/voc.tar"})
    with pytest.raises(api.DataError) as caught:
        voc(tmp_path, download=True).card()
    message = str(caught.value)
    assert f"VOC 2012 was not found in {tmp_path} and the download failed:" in message
    assert "Connection refused" in message
    assert all(word in message for word in ["VOC2012", str(tmp_path / "VOCdevkit"), "--root", "MAE_DATA"])
    assert "\n" not in message

"""Tiny data in the layouts of real data sets, written by the tests that need them."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image


def noise(seed: int, *shape: int) -> np.ndarray:
    """Return uint8 noise, which no format compresses to nothing."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write uint8 in MNIST's format; gzipped if the name says so."""
    data = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def write_mnist(folder: Path, num_train: int = 120, num_test: int = 20, suffix: str = ".gz") -> None:
    """Write MNIST's four files: picture i of a file shows the digit i % 10 as a bright row in noise."""
    for seed, (prefix, num) in enumerate((("train", num_train), ("t10k", num_test))):
        labels = (np.arange(num) % 10).astype(np.uint8)
        images = noise(seed, num, 28, 28) // 4
        images[np.arange(num), 4 + 2 * labels] = 255
        write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", labels)


def write_cifar10(folder: Path, num_train: int = 100, num_test: int = 20, suffix: str = "") -> None:
    """Write CIFAR-10's six batches, pickled as numpy does it, or with `.bin` as plain records.

    Picture i of a batch shows class i % 10 as a bright row in noise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    batches = [(f"data_batch_{i}", num_train // 5) for i in range(1, 6)] + [("test_batch", num_test)]
    for seed, (name, num) in enumerate(batches):
        labels = np.arange(num) % 10
        images = noise(seed, num, 3, 32, 32) // 4
        images[np.arange(num), :, 4 + 2 * labels] = 255
        data = images.reshape(num, -1)
        if suffix == ".bin":
            (folder / f"{name}.bin").write_bytes(np.column_stack([labels.astype(np.uint8), data]).tobytes())
        else:
            batch = {"batch_label": name, "labels": labels.tolist(), "data": data, "filenames": ["x.png"] * num}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


def write_picture(path: Path, pixels: np.ndarray, **options: object) -> None:
    """Write (H, W) or (H, W, 3) as the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def write_pictures(folder: Path, num: int, size: tuple[int, int] = (8, 8), suffix: str = ".png") -> list[str]:
    """Write colour noise as 000.png, 001.png, …, and return these names."""
    names = [f"{i:03d}{suffix}" for i in range(num)]
    for i, name in enumerate(names):
        write_picture(folder / name, noise(i, *size, 3))
    return names


def write_class_folders(root: Path, classes: Sequence[str] = ("cat", "dog"), num: int = 20) -> None:
    """Write `num` pictures into a folder per class; each class has a brightness of its own."""
    for position, name in enumerate(classes):
        base = 255 * position // len(classes)
        for i in range(num):
            write_picture(root / name / f"{i:03d}.png", noise(i, 8, 8, 3) // 8 + np.uint8(base // 2))


def png_header(width: int, height: int) -> bytes:
    """Return a 1-bit grey PNG that claims a size and holds hardly any pixels."""
    return png(width, height, 1, b"\0")


def png(width: int, height: int, bits: int, rows: bytes, kind: int = 0) -> bytes:
    """Return a PNG of packed rows, each with its filter's byte before it: grey, or in colour (2)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rotated_jpeg(orientation: int) -> bytes:
    """Return a JPEG stored as (16, 32), left half red and right half blue, with an EXIF orientation."""
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16, 0] = pixels[:, 16:, 2] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(pixels), "JPEG", exif=exif, quality=95, subsampling=0)


@dataclass
class Mixed:
    """What `write_mixed_folder` wrote, by relative path."""

    readable: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """(C, H, W) of what reads as a picture of 1 or 3 channels."""
    arrays: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """(C, H, W) of what is readable, but does not go with colour pictures."""
    broken: dict[str, str] = field(default_factory=dict)
    """A word of the reason, of what the header or the lack of one tells."""
    truncated: dict[str, str] = field(default_factory=dict)
    """A word of the reason, of what shows only when it is decoded."""

    def __len__(self) -> int:
        return len(self.readable) + len(self.arrays) + len(self.broken) + len(self.truncated)


def write_mixed_folder(root: Path, num: int = 200) -> Mixed:
    """Write `num` files that are named as pictures: of all kinds, nested, and partly broken."""
    mixed = Mixed()
    colour, grey = Image.fromarray(noise(1, 12, 10, 3)), Image.fromarray(noise(2, 12, 10))
    clear = Image.fromarray(noise(3, 12, 10, 4))
    deep = Image.fromarray(noise(4, 12, 10).astype(np.uint16) * 257)
    large = Image.fromarray(noise(5, 64, 64, 3))
    pictures: dict[str, tuple[bytes, tuple[int, int, int]]] = {
        "kinds/one-pixel.png": (encoded(Image.new("RGB", (1, 1)), "PNG"), (3, 1, 1)),
        "kinds/wide.png": (encoded(Image.new("L", (20_000, 10)), "PNG"), (1, 10, 20_000)),
        "kinds/cmyk.jpg": (encoded(Image.new("CMYK", (10, 12), (0, 255, 255, 0)), "JPEG"), (3, 12, 10)),
        "kinds/rotated.jpg": (rotated_jpeg(6), (3, 32, 16)),
        "kinds/deep.png": (encoded(deep, "PNG"), (1, 12, 10)),
        "kinds/grey.JPG": (encoded(grey, "JPEG"), (1, 12, 10)),
        "kinds/palette.png": (encoded(colour.quantize(16), "PNG"), (3, 12, 10)),
        "kinds/bits.png": (encoded(grey.convert("1"), "PNG"), (1, 12, 10)),
        "kinds/rgba.png": (encoded(clear, "PNG"), (3, 12, 10)),
        "kinds/la.png": (encoded(clear.convert("LA"), "PNG"), (1, 12, 10)),
        "kinds/colour.webp": (encoded(colour, "WEBP", lossless=True), (3, 12, 10)),
        "kinds/colour.bmp": (encoded(colour, "BMP"), (3, 12, 10)),
        "kinds/colour.tif": (encoded(colour, "TIFF"), (3, 12, 10)),
        "kinds/a png in truth.jpeg": (encoded(colour, "PNG"), (3, 12, 10)),
    }
    broken = {
        "broken/empty.jpg": (b"", "empty"),
        "broken/renamed.png": (b"this is a text\n" * 20, "not a JPEG"),
        "broken/bomb.png": (png_header(30_000, 30_000), "max_pixels"),
        "broken/no header.png": (encoded(large, "PNG")[:12], "damaged"),
    }
    truncated = {
        "broken/half.jpg": (encoded(large, "JPEG"), "truncated"),
        "broken/half.png": (encoded(large, "PNG"), "truncated"),
    }
    for folder in ("kinds", "broken", "a", "b/deeper/still"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for key, (data, shape) in pictures.items():
        (root / key).write_bytes(data)
        mixed.readable[key] = shape
    for key, (data, word) in broken.items():
        (root / key).write_bytes(data)
        mixed.broken[key] = word
    for key, (data, word) in truncated.items():
        (root / key).write_bytes(data[: len(data) // 2])
        mixed.truncated[key] = word
    tifffile.imwrite(root / "kinds/five.tiff", noise(6, 5, 12, 10), photometric="minisblack")
    np.save(root / "kinds/five.npy", noise(7, 12, 10, 5))
    mixed.arrays |= {"kinds/five.tiff": (5, 12, 10), "kinds/five.npy": (5, 12, 10)}
    for i in range(num - len(mixed)):
        key = f"a/{i}.jpg" if i % 2 else f"b/deeper/still/{i}.png"
        write_picture(root / key, noise(i, 8, 8, 3))
        mixed.readable[key] = (3, 8, 8)
    return mixed


TINY_WNIDS = ("n03", "n01", "n02")
TINY_WORDS = {"n01": "goldfish, Carassius auratus", "n02": "crane", "n03": "crane", "n99": "something else"}


def write_tiny_imagenet(root: Path, per_class: int = 10, num_test: int = 6, side: int = 64) -> Path:
    """Write Tiny ImageNet's layout with three classes, two of which have one name, and return the folder.

    The first train picture of each class is grey; test picture i is of class i % 3.
    """
    root.mkdir(parents=True, exist_ok=True)
    (root / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid in TINY_WNIDS))
    (root / "words.txt").write_text("".join(f"{wnid}\t{words}\n" for wnid, words in TINY_WORDS.items()))
    for number, wnid in enumerate(TINY_WNIDS, start=1):
        for i in range(per_class):
            shape = (side, side) if i == 0 else (side, side, 3)
            write_picture(root / f"train/{wnid}/images/{wnid}_{i}.JPEG", noise(100 * number + i, *shape))
        (root / f"train/{wnid}/{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t0\t9\t9\n")
    for i in range(num_test):
        write_picture(root / f"val/images/val_{i}.JPEG", noise(i, side, side, 3))
    lines = [f"val_{i}.JPEG\t{TINY_WNIDS[i % 3]}\t0\t0\t62\t62\n" for i in range(num_test)]
    (root / "val/val_annotations.txt").write_text("".join(lines))
    return root


VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
VOC_SHOWN = ("cat", "dog", "person")


def write_voc(root: Path, year: int = 2012, train: int = 12, val: int = 6, test: int = 0, only_main: int = 4) -> Path:
    """Write a devkit below `root`, and return the folder of the year.

    Picture i, `<year>_<i>.jpg`, is (20 + i % 3, 30) and shows one of `VOC_SHOWN` as a bright box: xmin 4, ymin 3,
    xmax 15, ymax 12, with a border of void. Every fourth one shows a difficult chair too, xmin 20, ymin 14, xmax 28,
    ymax 18. The first `train` pictures are in the train lists, then come those of val and of test. `only_main` more
    have no mask; they, and the last one of `Segmentation/val`, are in `Main/train`.
    """
    folder = root / "VOCdevkit" / f"VOC{year}"
    for name in ("JPEGImages", "SegmentationClass", "Annotations", "ImageSets/Segmentation", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    ids = [f"{year}_{i:06d}" for i in range(train + val + test + only_main)]
    for i, key in enumerate(ids):
        _write_voc_picture(folder, key, i, masked=i < train + val + test)
    masked = {"train": ids[:train], "val": ids[train : train + val]}
    if test:
        masked["test"] = ids[train + val : train + val + test]
    rest = ids[train + val + test :]
    listed = masked | {"train": [*ids[:train], *rest, masked["val"][-1]], "val": masked["val"][:-1]}
    for name in masked:
        write_voc_list(folder / f"ImageSets/Segmentation/{name}.txt", masked[name])
        write_voc_list(folder / f"ImageSets/Main/{name}.txt", listed[name])
        for each in VOC_CLASSES:
            lines = [f"{key} {_voc_label(each, ids.index(key)):>2}" for key in listed[name]]
            write_voc_list(folder / f"ImageSets/Main/{each}_{name}.txt", lines)
    return folder


def write_voc_list(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


def _voc_label(name: str, i: int) -> int:
    if name == "chair" and i % 4 == 0:
        return 0
    return 1 if name == VOC_SHOWN[i % len(VOC_SHOWN)] else -1


def _write_voc_picture(folder: Path, key: str, i: int, masked: bool) -> None:
    height, width = 20 + i % 3, 30
    shown = VOC_SHOWN[i % len(VOC_SHOWN)]
    pixels, mask = noise(i, height, width, 3) // 8, np.zeros((height, width), np.uint8)
    pixels[2:12, 3:15, i % len(VOC_SHOWN)] += 200
    mask[2:12, 3:15] = 255
    mask[3:11, 4:14] = 1 + VOC_CLASSES.index(shown)
    objects = voc_object(shown, (4, 3, 15, 12))
    if i % 4 == 0:
        mask[13:18, 19:28] = 1 + VOC_CLASSES.index("chair")
        objects += voc_object("chair", (20, 14, 28, 18), difficult=1, truncated=1)
    write_picture(folder / f"JPEGImages/{key}.jpg", pixels, quality=95)
    if masked:
        write_palette(folder / f"SegmentationClass/{key}.png", mask)
    (folder / f"Annotations/{key}.xml").write_text(voc_annotation(objects, width, height))


def voc_object(name: str, box: tuple[float, float, float, float], difficult: int = 0, truncated: int = 0) -> str:
    """Return the XML of an object with the box xmin, ymin, xmax, ymax."""
    corners = "".join(f"<{tag}>{x}</{tag}>" for tag, x in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    return (
        f"<object><name>{name}</name><pose>Unspecified</pose><truncated>{truncated}</truncated>"
        f"<difficult>{difficult}</difficult><bndbox>{corners}</bndbox></object>"
    )


def voc_annotation(objects: str, width: int = 30, height: int = 20) -> str:
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><folder>VOC</folder>{size}<segmented>1</segmented>{objects}</annotation>\n"


def write_palette(path: Path, numbers: np.ndarray) -> None:
    """Write numbers (H, W) uint8 as a palette PNG whose colours mean nothing."""
    image = Image.fromarray(numbers).convert("P")
    image.putpalette([value for number in range(256) for value in (number, 255 - number, 7)])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write_mask_folder(root: Path, num: int = 20, classes: Sequence[str] = ("background", "cat", "dog")) -> list[str]:
    """Write images/000.png …, masks of the same names and classes.txt; return the names.

    Picture i, (8, 10), shows class 1 + i % (the number of classes - 1) as a bright box, which a void row ends.
    """
    names = write_pictures(root / "images", num, (8, 10))
    for i, name in enumerate(names):
        number, mask, pixels = 1 + i % max(1, len(classes) - 1), np.zeros((8, 10), np.uint8), noise(i, 8, 10, 3) // 4
        mask[2:6, 1:5], mask[6, 1:5] = number, 255
        pixels[2:7, 1:5, number % 3] = 255
        write_picture(root / "images" / name, pixels)
        write_palette(root / "masks" / name, mask)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in classes))
    return names


def ett_values(rows: int) -> np.ndarray:
    """Return the twin of ETT that `write_ett` writes (7, rows): of each column a day, a slope of its own and noise."""
    time, number = np.arange(rows), np.arange(1, 8)[:, None]
    wave = np.sin(2 * np.pi * time / 24 + number)
    noise = np.random.default_rng(0).normal(0, 0.1, (rows, 7)).T
    values = number * (10 + wave) + time * number / 1000 + noise
    return values.round(3).astype(np.float32)


def write_ett(folder: Path, file: str = "ETTh1", rows: int = 14_500) -> None:
    """Write one of ETT's files in the published layout: the date, six loads and the temperature of the oil."""
    minutes = 15 if file.startswith("ETTm") else 60
    dates = np.datetime64("2016-07-01T00:00:00") + np.arange(rows) * np.timedelta64(minutes, "m")
    lines = ["date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT"]
    cells = ett_values(rows).T.tolist()
    lines += [
        f"{str(date).replace('T', ' ')},{','.join(f'{cell:.3f}' for cell in row)}"
        for date, row in zip(dates, cells, strict=True)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{file}.csv").write_text("\n".join(lines) + "\n")


def write_table(root: Path, rows: int = 60, missing: str = "NA") -> Path:
    """Write houses.csv, a table of every type: every third garden and every fifth size is missing."""
    rng = np.random.default_rng(0)
    lines = ["size,rooms,garden,street,built,note,empty"]
    for i in range(rows):
        size = missing if i % 5 == 0 else f"{rng.normal(80, 20):.2f}"
        garden = "" if i % 3 == 0 else ("yes", "no")[i % 2]
        street = ("ring, inner", "park", "quay")[i % 3]
        lines.append(f'{size},{i % 7}.0,{garden},"{street}",19{i % 60 + 10}-03-0{i % 9 + 1},note {i} of many,')
    (root / "houses.csv").write_text("\n".join(lines) + "\n")
    return root / "houses.csv"


def write_california(root: Path, rows: int = 40) -> None:
    """Write districts of four of California's columns: every tenth lacks its bedrooms."""
    lines = ["longitude,latitude,total_bedrooms,ocean_proximity"]
    for i in range(rows):
        bedrooms = "" if i % 10 == 0 else float(i)
        lines.append(f"-12{i % 9}.{i},37.{i},{bedrooms},{('NEAR BAY', 'INLAND')[i % 2]}")
    (root / "california_housing.csv").write_text("\n".join(lines) + "\n")

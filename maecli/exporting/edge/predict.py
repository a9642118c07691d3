"""Say what pictures show, by the model.onnx beside this file: a row of a CSV for each.

    python predict.py FOLDER [--out predictions.csv] [--threads 2]

Needs numpy, pillow and onnxruntime, and nothing else. Resizing and normalising happen within the model.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"}


def read_picture(path: Path, channels: int, bits: int = 16) -> np.ndarray:
    """Return a picture (1, C, H, W) of 8 bits, upright; what is transparent lies on white.

    Pictures of 16 bits are scaled by the `bits` in use; raises ValueError for those that cannot be made 8 bits so.
    """
    with Image.open(path) as opened:
        deep = opened.format in ("PNG", "TIFF") and ";16" in str(opened.tile)
        image = ImageOps.exif_transpose(opened)
        if deep or image.mode[0] in "IF":
            most = 2**bits - 1
            if not (deep and image.mode[0] == "I") or image.has_transparency_data or np.asarray(image).max() > most:
                raise ValueError(f"its pixels ({image.mode}) are no grey of {bits} bits; save it with 8 bits")
            values = np.asarray(image).astype(np.uint32)  # what Pillow makes 8 bits of these is cut off at 255
            image = Image.fromarray(((values * 255 + most // 2) // most).astype(np.uint8))
        elif image.has_transparency_data:
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image.convert("RGBA"))
        pixels = np.asarray(image.convert("RGB" if channels == 3 else "L"))
    return np.ascontiguousarray(pixels[None, None] if channels == 1 else pixels.transpose(2, 0, 1)[None])


def open_model(threads: int) -> onnxruntime.InferenceSession:
    """Return the model; 0 threads: one per core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(HERE / "model.onnx"), options, providers=["CPUExecutionProvider"])


def answer(probabilities: np.ndarray, labels: list[str], several: bool) -> dict[str, str | float]:
    """Return the columns of a row: the likeliest class, or where a picture may have several, those above one half."""
    columns = {f"p_{name}": round(float(value), 6) for name, value in zip(labels, probabilities, strict=True)}
    if several:
        names = [name for name, value in zip(labels, probabilities, strict=True) if value > 0.5]
        return {"classes": ";".join(names), **columns}
    best = int(probabilities.argmax())
    return {"class": labels[best], "probability": round(float(probabilities[best]), 6), **columns}


def main() -> int:
    """Run the model on the pictures of a folder; return 3 where some cannot be read, as mae does."""
    parser = argparse.ArgumentParser(description="Say what pictures show, by the model.onnx beside this file.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("predictions.csv"))
    parser.add_argument("--threads", type=int, default=0, help="0: one per core")
    given = parser.parse_args()
    model = open_model(given.threads)
    labels = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines()
    card = json.loads(model.get_modelmeta().custom_metadata_map["mae"])["card"]
    several, bits = bool(card.get("multi_label")), int(card.get("files", {}).get("bits", 16))
    channels = model.get_inputs()[0].shape[1]
    paths = sorted(path for path in given.folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        print(f"there are no pictures in {given.folder}", file=sys.stderr)
        return 3
    skipped, done = 0, 0
    with given.out.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        for path in paths:
            try:
                samples = read_picture(path, channels, bits)
                [probabilities] = model.run(["probabilities"], {"samples": samples})
            except Exception as error:  # of a damaged file, or of a size that the model does not take
                print(f"left out: {path}: {' '.join(str(error).split())}", file=sys.stderr)
                skipped += 1
                continue
            row = {"path": path.relative_to(given.folder).as_posix(), **answer(probabilities[0], labels, several)}
            if not done:
                rows.writerow(row)
            rows.writerow(row.values())
            done += 1
    print(f"{done:,} predicted: {given.out}")
    return 3 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())

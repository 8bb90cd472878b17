"""Render the hiragana and Latin capitals of ``sparsebrain one-shot`` from font files.

The fonts for training supply hiragana, and those for testing supply hiragana and capitals. Every
character is centered, scaled to 20 pixels of an image of 28 x 28, and drawn several times with
small distortions. The images have 16 gray levels.

The README of this folder lists the fonts and the command for the images in the package. The same
font files, order of the arguments, and versions of Pillow and FreeType give the same images.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

HIRAGANA = (
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん"
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

SIDE, EXTENT = 28, 20
# Characters are drawn larger than the images, and their pixels are averaged.
_FACTOR = 4
_GRAY_LEVELS = 16


def draw(font: ImageFont.FreeTypeFont, character: str, random: np.random.Generator) -> np.ndarray:
    """Return a distorted character [28, 28], uint8 from 0 to 15.

    Args:
        font: The font, large enough to be scaled down.
        character: The character.
        random: The source of the distortion.

    Raises:
        ValueError: The font lacks the character.
    """
    left, top, right, bottom = font.getbbox(character)
    width, height = right - left, bottom - top
    # Fonts draw the same box in place of every character that they lack.
    if bytes(font.getmask(character)) == bytes(font.getmask("\U0010fffe")) or not width * height:
        raise ValueError(f"{font.path} has no {character}; leave it out")
    glyph = Image.new("L", (width, height))
    ImageDraw.Draw(glyph).text((-left, -top), character, fill=255, font=font)
    angle = np.deg2rad(random.uniform(-10, 10))
    stretch = np.exp(random.uniform(-0.15, 0.15, 2))
    slant = random.uniform(-0.2, 0.2)
    shift = random.uniform(-2, 2, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1, slant], [0, 1]]) @ np.diag(stretch)
    matrix *= EXTENT * _FACTOR / max(width, height)
    # Pillow maps pixels of the result to pixels of the source.
    back = np.linalg.inv(matrix)
    canvas = SIDE * _FACTOR
    moved = np.array([width, height]) / 2 - back @ (canvas / 2 + shift * _FACTOR)
    affine = (*back[0], moved[0], *back[1], moved[1])
    image = glyph.transform(
        (canvas, canvas), Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC
    )
    gray = np.asarray(image.reduce(_FACTOR), dtype=np.int64)
    return ((gray * (_GRAY_LEVELS - 1) + 127) // 255).astype(np.uint8)


def render(files: list[Path], characters: str, variants: int) -> dict[str, np.ndarray]:
    """Draw every character ``variants`` times with every font.

    Returns:
        "images" [n, 28, 28], uint8, and for each image "characters", an index into ``characters``,
        and "fonts", an index into ``files``, both uint8.
    """
    images, labels, fonts = [], [], []
    for number, file in enumerate(files):
        font = ImageFont.truetype(file, 160, layout_engine=ImageFont.Layout.BASIC)
        for label, character in enumerate(characters):
            for variant in range(variants):
                random = np.random.default_rng([number, ord(character), variant])
                images.append(draw(font, character, random))
                labels.append(label)
                fonts.append(number)
    return {
        "images": np.stack(images),
        "characters": np.array(labels, dtype=np.uint8),
        "fonts": np.array(fonts, dtype=np.uint8),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--train", type=Path, nargs="+", required=True, metavar="FONT")
    parser.add_argument("--test", type=Path, nargs="+", required=True, metavar="FONT")
    parser.add_argument("--variants", type=int, nargs=2, default=(3, 4), help="Of train and test.")
    parser.add_argument("--out", type=Path, default=Path("glyphs.npz"))
    options = parser.parse_args()
    arrays = {}
    for part, files, characters, variants in (
        ("train", options.train, HIRAGANA, options.variants[0]),
        ("test", options.test, HIRAGANA + LETTERS, options.variants[1]),
    ):
        rendered = render(files, characters, variants)
        arrays |= {f"{part}_{name}": array for name, array in rendered.items()}
        names = [" ".join(ImageFont.truetype(file).getname()) for file in files]
        arrays[f"{part}_font_names"] = np.array(names)
        for name, file in zip(names, files, strict=True):
            checksum = hashlib.sha256(file.read_bytes()).hexdigest()
            print(f"{part}: {name}, {file.name}, SHA-256 {checksum}")
    np.savez_compressed(options.out, **arrays)
    print(f"Wrote {options.out}, {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()

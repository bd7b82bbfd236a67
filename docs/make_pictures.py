"""Make the pictures of README.md and of the tutorial from the tutorial's own study.

Run ``python docs/make_pictures.py FOLDER``, with `chromium` installed. The study is computed in FOLDER (some minutes;
one that is there is not computed again) and its report and figures are photographed to docs/pictures/.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parent
TUTORIAL = DOCS / "tutorials" / "label-efficiency.md"
REPORT_SIZE = (1100, 1590)  # down to the end of the first figure
COLOURS = 200  # enough for drawings, and half the size
FIGURES = {"difference": "difference", "embedding_input": "map-measured", "embedding_swav": "map-encoder"}


def commands() -> list[list[str]]:
    """Return the words of the tutorial's commands that make its cohort and its study."""
    page = TUTORIAL.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^oligolearn (?:simulate|study) cohort\.h5ad .*$", page, flags=re.MULTILINE)
    return [shlex.split(line) for line in lines[:2]]


def photograph(page: Path, size: tuple[int, int], picture: Path) -> None:
    """Write what headless Chromium shows of `page` in a window of `size` pixels."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("the pictures need Chromium; on Debian or Ubuntu: apt-get install chromium")
    window = f"--window-size={size[0]},{size[1]}"
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", window, f"--screenshot={picture}")
    subprocess.run([browser, *flags, page.resolve().as_uri()], check=True, capture_output=True)
    with Image.open(picture) as seen:
        few = seen.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(picture, optimize=True)


def size_of(drawing: Path) -> tuple[int, int]:
    """Return width and height of an SVG in pixels, of which there are 4 to 3 points."""
    found = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', drawing.read_text(encoding="utf-8"))
    if found is None:
        sys.exit(f"{drawing} does not say how large it is")
    return round(float(found[1]) * 4 / 3), round(float(found[2]) * 4 / 3)


def main(folder: Path) -> None:
    """Compute the study in `folder` and make all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for command in commands():
        subprocess.run(
            [sys.executable, "-c", "from oligolearn.cli import main; main()", *command[1:]], check=True, cwd=folder
        )
    study, pictures = folder / "study", DOCS / "pictures"
    photograph(study / "report.html", REPORT_SIZE, pictures / "report.png")
    for figure, name in FIGURES.items():
        drawing = study / "figures" / f"{figure}.svg"
        photograph(drawing, size_of(drawing), pictures / f"{name}.png")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("which folder for the study? python docs/make_pictures.py FOLDER")
    main(Path(sys.argv[1]))

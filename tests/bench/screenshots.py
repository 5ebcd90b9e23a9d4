"""Pictures of every page and state, from a running studio with real results.

`python -m tests.bench.screenshots ADDRESS RUN [NAME=PLACE …]` writes into assets/screenshots: every page in light and
dark, wide and as on a phone, and as on a phone in Chinese. RUN is a finished run. Each NAME=PLACE is one more page or
state, such as `failed=run?run=5` or `compare=compare?runs=1,3`. A contact sheet of all is beside them.
"""

import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.server import CHROMIUM, CHROMIUM_ARGUMENTS, READY, ROOT

FOLDER = ROOT / "assets" / "screenshots"
WIDTHS, LEAST, MOST = {"": 1280, "-phone": 360}, 720, 1500
VIEWS = [(scheme, narrow, "en-US") for scheme in ("light", "dark") for narrow in WIDTHS] + [
    ("light", "-phone", "zh-CN")
]
PAGES = {
    "home": "",
    "data": "data",
    "new_run": "new_run",
    "runs": "runs",
    "live": "run?run={run}",
    "results": "results?run={run}",
    "playground": "playground?run={run}",
    "compare": "compare",
    "settings": "settings",
    "disk": "settings?part=disk",
    "guide": "guide",
}
NO_TOUR = "localStorage.setItem('studio-tour-seen', '1')"
PATIENCE, SETTLED = 120_000, 2_000
"""Milliseconds that a page may take on a busy machine; and until charts are drawn and what is worked out beside the
page has come."""
ESTIMATED = "!document.querySelector('.st-key-ready').innerText.includes('…')"
COLOURS, SHEET, TILE, ACROSS = 128, "contact-sheet.png", (200, 240), 10


def take(page: Page, file: Path, width: int) -> None:
    """The page as it is, as tall as its content; in few colours, which keeps the file small, but those of thin lines
    and of the ground as they are."""
    page.wait_for_selector(f"{READY} h1")
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
    page.wait_for_timeout(SETTLED)
    height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
    page.set_viewport_size({"width": width, "height": max(LEAST, min(MOST, int(height) + 60))})
    page.wait_for_timeout(800)
    page.screenshot(path=file)
    page.set_viewport_size({"width": width, "height": LEAST})
    with Image.open(file) as image:
        few = image.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    few.save(file, optimize=True)


def contact_sheet(folder: Path) -> None:
    """All of them on one picture, to be looked over."""
    files = sorted(file for file in folder.glob("*.png") if file.name != SHEET)
    wide, tall = TILE
    sheet = Image.new("RGB", (ACROSS * wide, -(-len(files) // ACROSS) * tall), "#7c8794")
    for number, file in enumerate(files):
        with Image.open(file) as image:
            small = image.convert("RGB")
        small.thumbnail((wide - 8, tall - 8))
        sheet.paste(small, (number % ACROSS * wide + 4, number // ACROSS * tall + 4))
    sheet.quantize(COLOURS).save(folder / SHEET, optimize=True)


def main(address: str, run: str, more: dict[str, str], folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGUMENTS)
        for scheme, narrow, locale in VIEWS:
            context = browser.new_context(
                viewport={"width": WIDTHS[narrow], "height": LEAST},
                color_scheme="dark" if scheme == "dark" else "light",
                locale=locale,
            )
            context.set_default_timeout(PATIENCE)
            context.add_init_script(NO_TOUR)
            page = context.new_page()
            ending = f"{narrow}{'-dark' if scheme == 'dark' else ''}{'-zh' if locale == 'zh-CN' else ''}"
            for name, place in (PAGES | more).items():
                page.goto(f"{address}/{place.format(run=run)}")
                if name == "new_run":
                    page.wait_for_selector(".st-key-start")  # the models are counted then
                    page.wait_for_function(ESTIMATED)
                take(page, folder / f"{name}{ending}.png", WIDTHS[narrow])
            context.close()
        browser.close()
    contact_sheet(folder)


if __name__ == "__main__":
    if len(sys.argv) < 3 or not FOLDER.parent.is_dir() or not all("=" in one for one in sys.argv[3:]):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], dict(one.split("=", 1) for one in sys.argv[3:]))

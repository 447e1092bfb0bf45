"""Make the pictures in docs: `python -m tests.browser.pictures --url http://127.0.0.1:8000`."""

import argparse
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import FloatRect, Page

from tests.browser.chromium import launched, opened_page

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
_COLOURS: Final = 256  # of a picture, so that it is small
_SIZES: Final = {"desktop": (1280, 900), "phone": (390, 844)}


def main() -> None:
    """The finished example of the README: desktop and phone, light and dark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of a gateway")
    url = f"{parser.parse_args().url}/#example=harper"
    FOLDER.mkdir(exist_ok=True)
    with launched() as browser:
        for device, (width, height) in _SIZES.items():
            for scheme in ("light", "dark"):
                size = {"width": width, "height": height}
                how: dict[str, Any] = {
                    "viewport": size,
                    "color_scheme": scheme,
                    "reduced_motion": "reduce",
                }
                with opened_page(browser, url, **how) as page:
                    page.wait_for_selector(".timeline")
                    save(page.screenshot(full_page=True), f"page-{device}-{scheme}")
                    if (device, scheme) == ("desktop", "light"):
                        save(page.screenshot(full_page=True, clip=story_of(page)), "page-story")


def story_of(page: Page) -> FloatRect:
    """The part from the answer to the refinements, with a margin."""
    first = page.locator("#slot-answer").bounding_box()
    last = page.locator("#slot-refinements").bounding_box()
    if first is None or last is None:
        message = "the page shows no refinement"
        raise ValueError(message)
    height = last["y"] + last["height"] - first["y"]
    margin = 16
    return {
        "x": first["x"] - margin,
        "y": first["y"] - margin,
        "width": first["width"] + 2 * margin,
        "height": height + 2 * margin,
    }


def save(picture: bytes, name: str) -> None:
    """A PNG of few colours."""
    image = Image.open(BytesIO(picture)).convert("RGB")
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()

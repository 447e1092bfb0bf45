"""The pages of docs/reference are what the code says now."""

import pytest

from tests.docs.markdown import COMMAND
from tests.docs.reference import FOLDER, PAGES
from tests.service.conftest import clean_environment

__all__ = ["clean_environment"]  # no setting of the shell gets into a page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), f"write it again: {COMMAND}"


def test_there_is_no_other_page() -> None:
    assert {page.name for page in FOLDER.glob("*.md")} == set(PAGES)

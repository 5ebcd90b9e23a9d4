"""A report in a browser: it asks nobody, its slides turn, it prints."""

import pytest

from pages import _report
from tests.pages.conftest import filled  # noqa: F401  a finished run

pytestmark = pytest.mark.e2e


def test_a_report_asks_no_host_its_slides_turn_and_it_prints(filled, page, tmp_path):  # noqa: F811
    for name, write in (("report", _report.report), ("slides", _report.slides)):
        (tmp_path / f"{name}.html").write_text(write(filled, 1), encoding="utf-8")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{tmp_path}/report.html")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.goto(f"file://{tmp_path}/slides.html")
    assert page.locator(".slide:visible").count() == 1
    page.keyboard.press("ArrowRight")
    assert page.url.endswith("#2")
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    page.reload()
    assert page.locator(".slide:visible").get_by_text("How it was done").is_visible()
    assert [url for url in asked if not url.startswith((f"file://{tmp_path}/", "data:"))] == []

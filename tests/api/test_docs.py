"""Swagger UI, ReDoc and AsyncAPI: they work in a browser that can reach nothing but us."""

import re

import pytest
from playwright.sync_api import Page, sync_playwright

from adapters.whatsapp_web.browser import find_chromium
from adapters.whatsapp_web.driver import use_bundled_node
from tests.api.house import House


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/asyncapi"])
def test_the_pages_name_no_address_outside(house: House, path: str) -> None:
    response = house.http.get(house.url + path)
    assert response.status_code == 200
    assert not re.findall(r"https?://[^\"' ]+", response.text)
    assert "default-src 'none'" in response.headers["content-security-policy"]
    for asset in re.findall(r"(?:src|href)=\"([^\"]+)\"", response.text):
        assert house.http.get(house.url + asset).status_code == 200, asset


SHOWN = {
    "/docs": "#operations-jobs-submit_job_v1_jobs_post",
    "/redoc": "h2",
    "/asyncapi": "#take\\.job\\.submit",
}


def test_the_pages_work_without_the_outside(house: House) -> None:
    use_bundled_node()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(find_chromium().path),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for path, shown in SHOWN.items():
            context = browser.new_context()  # nothing of the other pages
            works_without_the_outside(context.new_page(), house.url, path, shown)
            context.close()
        browser.close()


def works_without_the_outside(page: Page, url: str, path: str, shown: str) -> None:
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto(url + path)
    page.locator(shown).first.wait_for(timeout=30_000)
    assert "drumline" in page.content(), path
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    assert [one for one in asked if not one.startswith((url, "data:", "blob:"))] == []
    assert said == [], path

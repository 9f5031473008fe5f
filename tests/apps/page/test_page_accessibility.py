"""axe-core on the page: at a desk and on a phone, as a map and as a picture, with and without a place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.apps.page.conftest import Visit
from tests.apps.page.test_page import NO_WEBGL

pytestmark = pytest.mark.slow

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async (tags) => {
  for (const part of document.querySelectorAll('details:not([hidden])')) part.open = true;
  const found = await axe.run(document, { runOnly: { type: 'tag', values: tags } });
  const where = (one) => one.nodes.map((node) => node.target.join(' '));
  return [found.passes.length, found.violations.map((one) => `${one.impact} ${one.id}: ${where(one)}`)];
}"""


@pytest.mark.parametrize("kind", ["map", "picture"])
def test_axe_finds_nothing(visit: Callable[..., Visit], axe: Path, kind: str) -> None:
    there = visit(
        NO_WEBGL if kind == "picture" else "",
        bypass_csp=True,  # the page allows no script that is not its own, not even this one
    )
    there.open("#area=bay&day=2024-08-28&station=Pier&show=exceedance")
    there.page.wait_for_selector("#series-body svg")
    there.page.fill("#at", "nowhere")
    there.page.press("#at", "Enter")
    there.page.add_script_tag(path=axe)
    for width in (1280, 390):
        there.page.set_viewport_size({"width": width, "height": 900})
        passes, violations = there.page.evaluate(RUN, TAGS)
        assert violations == [], width
        assert passes > 25


def test_axe_finds_nothing_where_all_went_wrong(visit: Callable[..., Visit], axe: Path) -> None:
    there = visit(bypass_csp=True)
    there.page.route("**/api/v1/**", lambda route: route.abort())
    there.page.goto(there.root)
    there.page.wait_for_selector("#page-problem .problem")
    there.page.add_script_tag(path=axe)
    _, violations = there.page.evaluate(RUN, TAGS)
    assert violations == []
    assert there.page.is_visible("#banner")

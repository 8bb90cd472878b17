"""Reports in a browser: nothing is loaded, and everything fits, also on a phone."""

import pytest

import graphs
from sparsebrain.experiments import compare
from tests.graphs.plots.browser import EXECUTABLE, Browser, Page

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium is on the path")

INK = """(() => {
    const style = getComputedStyle(document.body);
    return [style.color, style.backgroundColor];
})()"""


def test_a_report(tmp_path):
    compare(
        topologies={
            "<b>mine</b> <script>document.title = 'bad'</script>": graphs.grid_local((4, 4), 1),
            "none": "none",
        },
        **{"epochs": 1, "seeds": 2, "loops": 1, "jobs": 1, "report": True, "out": tmp_path / "out"},
    )
    browser = Browser(tmp_path)
    page = Page(browser, tmp_path / "out" / "report.html")
    page.wait("document.readyState === 'complete'")
    page.find("document.querySelectorAll('details').forEach((each) => each.open = true)")
    inks = set()
    for width, scheme in ((1200, "light"), (1200, "dark"), (360, "light")):
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        page.call("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.call("Emulation.setEmulatedMedia", features=features)
        page.wait("true")
        assert page.find("document.documentElement.scrollWidth") <= width
        inks.add(tuple(page.find(INK)))
        assert (page.picture().mean() > 0.5) == (scheme == "light")
    assert len(inks) == 2
    assert page.find("document.title") == "Comparison on digits"
    assert page.find("document.images[0].naturalWidth") > 500
    assert "<b>mine</b> <script>" in page.find("document.body.textContent")
    urls = [each["request"]["url"] for each in page.told("Network.requestWillBeSent")]
    assert [url.partition(":")[0] for url in urls] == ["file", "data"]
    assert page.told("Log.entryAdded") + page.told("Runtime.exceptionThrown") == []
    page.close()
    browser.close()

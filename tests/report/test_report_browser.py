"""The report in a real browser: silent, self-contained and legible on a telephone and on a desk."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

import pytest
import websocket

from oligolearn.report import fragment, write_report

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)

# Text that is visible, with its size on the screen: inside a drawing the drawing's scale counts.
TEXT_SIZES = """
(() => {
  document.querySelectorAll('details').forEach(element => element.open = true);
  const sizes = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.textContent.trim() || element.closest('style, title, desc, .unseen')) continue;
    const range = document.createRange(); range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    const svg = element.closest('svg');
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    sizes.push([parseFloat(getComputedStyle(element).fontSize) * scale, node.textContent.trim().slice(0, 40)]);
  }
  return sizes;
})()
"""


class Browser:
    """One tab of a headless Chromium, spoken to over the DevTools protocol."""

    def __init__(self, program, profile):
        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        port = next(match[1] for line in self.process.stderr if (match := re.search(r"ws://127\.0\.0\.1:(\d+)/", line)))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=30) as reply:
            tab = next(entry for entry in json.load(reply) if entry["type"] == "page")
        self.socket = websocket.create_connection(tab["webSocketDebuggerUrl"], timeout=60)
        self.number, self.events = 0, []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while (message := json.loads(self.socket.recv())).get("id") != self.number:
            self.events.append(message)
        assert "error" not in message, message
        return message["result"]

    def evaluate(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def open(self, path, width):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + 30
        while self.evaluate(f"document.readyState === 'complete' && location.href === {path.as_uri()!r}") is not True:
            assert time.monotonic() < deadline, "the page did not finish loading"
            time.sleep(0.05)
        time.sleep(0.3)  # a late request or a late message would still count
        self.evaluate("1")

    def complaints(self):
        """Console messages, exceptions and log entries since the page was opened."""
        named = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event for event in self.events if event.get("method") in named]

    def requests(self):
        asked = [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith("data:")]

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process.stderr.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("OLIGOLEARN_REQUIRE_DATA") == "1":
            pytest.fail("OLIGOLEARN_REQUIRE_DATA=1 but there is no chromium on PATH")
        pytest.skip("no chromium on this machine")
    tab = Browser(program, tmp_path_factory.mktemp("profile"))
    yield tab
    tab.close()


def usual(build):
    return build()


def many_classes(build):
    return build(
        classes=[f"Carcinoma number {i} of the left upper quadrant, not otherwise specified" for i in range(30)]
    )


def hostile(build):
    attack = "<script>console.error(1)</script><img src='http://192.0.2.1/x' onerror=console.error(2)>"
    summary = build(classes=[f"{attack}{i}" for i in range(3)], n_embedded=40)
    summary.update(title=attack * 3, command=attack, warnings=[attack], settings={attack: "x" * 300})
    summary["data"]["file"] = "no-space-in-this-name" * 12
    return summary


def one_number(build):
    return build(numbers=[22], methods={"scratch": "MLP from scratch", "swav": "SwAV pretraining"})


@pytest.mark.slow
@pytest.mark.parametrize("study", [usual, many_classes, hostile, one_number])
def test_silent_self_contained_and_legible(browser, build, tmp_path, study):
    path = write_report(study(build), tmp_path / "report.html")
    for width in (400, 1400):
        browser.open(path, width)
        assert browser.complaints() == []
        assert browser.requests() == [path.as_uri()]
        sizes = browser.evaluate(TEXT_SIZES)
        assert len(sizes) > 200
        assert min(sizes) >= [11], min(sizes)
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"the page is wider than {width}"


@pytest.mark.slow
def test_a_transfer_study_is_silent_self_contained_and_legible(browser, build_transfer, tmp_path):
    attack = "<script>console.error(1)</script><img src='http://192.0.2.1/x' onerror=console.error(2)>"
    summary = build_transfer(classes=[f"{attack}{i}" for i in range(12)])
    summary.update(title=attack * 3, command=attack, warnings=[attack])
    summary["shift"]["methods"][0]["notes"] = [attack]
    path = write_report(summary, tmp_path / "report.html")
    for width in (400, 1400):
        browser.open(path, width)
        assert browser.complaints() == []
        assert browser.requests() == [path.as_uri()]
        assert min(browser.evaluate(TEXT_SIZES)) >= [11]
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"the page is wider than {width}"


@pytest.mark.slow
def test_fragment_in_a_page(browser, pristine, tmp_path):
    path = tmp_path / "notebook.html"
    path.write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><link rel=icon href='data:,'><body>{fragment(pristine)}"
    )
    browser.open(path, 400)
    assert browser.complaints() == []
    assert browser.requests() == [path.as_uri()]
    assert min(browser.evaluate(TEXT_SIZES)) >= [11]

"""A headless Chromium that is controlled through its DevTools pipe."""

import base64
import io
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time

import matplotlib.image
import numpy as np

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
EXECUTABLE = next(filter(None, map(shutil.which, NAMES)), None)
SIZE = {"width": 600, "height": 450}
OPTIONS = (
    *("--headless", "--no-first-run", "--no-sandbox", "--disable-dev-shm-usage"),
    *("--disable-quic", "--disable-sync", "--disable-background-networking"),
    *("--disable-component-update", "--remote-debugging-pipe"),
    # WebGL without a graphics card.
    *("--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
)
# Chromium reads commands from descriptor 3 and answers on 4. Both pipes are first copied to higher
# numbers, because either may have the number that the other needs.
LAUNCH = """import fcntl, os, sys
heard, spoken = (fcntl.fcntl(int(each), fcntl.F_DUPFD_CLOEXEC, 5) for each in sys.argv[1:3])
os.dup2(heard, 3)
os.dup2(spoken, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
DRAWN = """new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(() => done())))"""
PATIENCE = 60.0


class Browser:
    def __init__(self, folder):
        self.numbers, self.unread, self.events = itertools.count(), b"", []
        heard, self.commands = os.pipe()
        self.answers, spoken = os.pipe()

        launcher = [sys.executable, "-ISc", LAUNCH, str(heard), str(spoken)]
        profile = f"--user-data-dir={folder / 'profile'}"
        with (folder / "browser.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*launcher, EXECUTABLE, *OPTIONS, profile],
                stdout=log,
                stderr=log,
                pass_fds=(heard, spoken),
            )
        os.close(heard)
        os.close(spoken)

    def call(self, method, session=None, **params):
        """Return the answer to a command, and keep the events before it in ``events``."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self):
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.unread:
            ready, _, _ = select.select([self.answers], [], [], end - time.monotonic())
            assert ready, "the browser does not answer"
            some = os.read(self.answers, 1 << 20)
            assert some, "the browser has gone"
            self.unread += some
        message, self.unread = self.unread.split(b"\0", 1)
        return json.loads(message)

    def close(self):
        self.call("Browser.close")
        self.process.wait(PATIENCE)
        os.close(self.commands)
        os.close(self.answers)


class Page:
    """A page with the actions of a visitor."""

    def __init__(self, browser, path):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", **SIZE, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=path.as_uri())

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)

    def find(self, expression):
        """Return the value of a JavaScript expression, once its promise is settled."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, condition):
        """Wait until a JavaScript condition holds and the page is redrawn."""
        end = time.monotonic() + PATIENCE
        while not self.find(condition):
            assert time.monotonic() < end, f"never came true: {condition}"
            time.sleep(0.02)
        self.find(DRAWN)

    def told(self, *kinds):
        """Return the events of these kinds from this page."""
        return [
            event["params"]
            for event in self.browser.events
            if event.get("sessionId") == self.session and event["method"] in kinds
        ]

    def mouse(self, kind, place, **more):
        x, y = (float(each) for each in place)
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def press(self, place):
        self.mouse("mousePressed", place, button="left", clickCount=1)

    def release(self, place):
        self.mouse("mouseReleased", place, button="left", clickCount=1)

    def picture(self):
        """Return the screen as [height, width, 3] from 0 to 1."""
        png = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        return matplotlib.image.imread(io.BytesIO(png))[..., :3].astype(np.float64)

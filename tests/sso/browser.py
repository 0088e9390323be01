"""A person's browser: Debian's Chromium, without a window, driven by its own driver."""
import contextlib
import os
import tempfile
from pathlib import Path

from look import look
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

SHOTS = Path(os.environ.get("PEERGATE_SHOTS", "build/logs/shots"))


class Browser:
    def __init__(self, driver):
        self.driver = driver

    def open(self, url):
        self.driver.get(url)

    def forget(self):
        """Everybody that this browser is signed in as, and what it shows."""
        self.open("about:blank")
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.driver.get_log("browser")

    @property
    def text(self):
        """What a person reads."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    @property
    def url(self):
        return self.driver.current_url

    def fill(self, **fields):
        for name, value in fields.items():
            field = self.driver.find_element(By.NAME, name)
            field.clear()
            field.send_keys(value)

    def press(self, label):
        """The button or link with that text; returns when another page is there."""
        page = self.driver.find_element(By.TAG_NAME, "html")
        found = self.driver.find_elements(By.XPATH, f"//button[normalize-space()='{label}'] | //a[normalize-space()='{label}']")
        assert len(found) == 1, f"{len(found)} times {label!r} on this page:\n{self.text}"
        found[0].click()
        self.wait(lambda _: page != self.driver.find_element(By.TAG_NAME, "html"), f"{label!r} leads to another page")

    def wait(self, condition, what, timeout=30):
        # A page may go while it is looked at.
        waiter = WebDriverWait(self.driver, timeout, 0.1, [StaleElementReferenceException, NoSuchElementException])
        try:
            waiter.until(condition)
        except TimeoutException:
            raise AssertionError(f"not within {timeout} s: {what}; the page:\n{self.text}") from None

    def unfold(self, label):
        self.driver.find_element(By.XPATH, f"//summary[normalize-space()='{label}']").click()

    def look(self, name, title=None):
        """The page has this title, and nothing is wrong with it; pictures of it are test artefacts."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        if title:
            assert self.driver.find_element(By.TAG_NAME, "h1").text == title, f"{name}: another page:\n{self.text}"
        problems = look(self.driver, SHOTS, name)
        assert not problems, f"{name}: {problems}; pictures in {SHOTS}"


@contextlib.contextmanager
def browser(resolve=""):
    """A browser of its own: nothing of another one's cookies. resolve: "MAP NAME:PORT ADDRESS:PORT"."""
    with tempfile.TemporaryDirectory(prefix="peergate-browser-") as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        # The tests run as root, which Chromium's own sandbox does not do.
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                         # The coordinator's certificate is its own; who checks that is tested elsewhere.
                         "--ignore-certificate-errors", f"--host-resolver-rules={resolve}", f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        try:
            yield Browser(driver)
        finally:
            driver.quit()

"""curl as a browser: for pages that need no more. Nothing here knows pytest: contrib/demo uses it, too."""
import html
import re


class Browser:
    """On a host. Keeps cookies; fills in the forms of the page that it has."""

    def __init__(self, host, ca, jar="/root/jar"):
        self.host, self.page = host, ""
        self.curl = ["curl", "-sS", "--cacert", ca, "-b", jar, "-c", jar, "-w", "\n%{http_code} %{redirect_url}"]
        host.run(["rm", "-f", jar])

    def _ask(self, *args):
        said = self.host.run([*self.curl, *args], check=True, timeout=60).stdout
        self.page, _, tail = said.rpartition("\n")
        status, _, where = tail.partition(" ")
        if status == "303":
            return self.open(where)
        return int(status)

    def open(self, url):
        return self._ask(url)

    def submit(self, url, path, **fields):
        """Send the form of the page that posts to the path."""
        form = re.search(rf'<form method="post" action="{re.escape(path)}">(.*?)</form>', self.page, re.S)[1]
        for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
            fields.setdefault(name, html.unescape(value))
        return self.post(url + path, **fields)

    def post(self, url, **fields):
        """Just these, from no page."""
        data = [arg for name, value in fields.items() for arg in ("--data-urlencode", f"{name}={value}")]
        return self._ask(*data, url)

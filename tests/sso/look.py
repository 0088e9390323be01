"""What every page has to be, as far as a program can tell: for a phone, a screen reader, weak eyes."""
from urllib.parse import urljoin

# The views that a page is looked at in: the picture's suffix, width, colours. 320 is the narrowest phone.
VIEWS = (("", 1280, "light"), ("-phone", 390, "dark"), ("-narrow", 320, "light"))

# Says what is wrong. Contrast of text, and the size of what is pressed: WCAG 2.2, 1.4.3 and 2.5.8.
SCRIPT = r"""
const wrong = [];
const seen = e => e.getClientRects().length > 0;
const pressed = 'button, a.button, input:not([type=hidden])';
for (const e of document.querySelectorAll('input:not([type=hidden])'))
    if (seen(e) && !e.labels.length) wrong.push('no label: ' + e.name);
for (const e of document.querySelectorAll('img'))
    if (!e.alt) wrong.push('no alt: ' + e.src.slice(0, 40));
if (!document.documentElement.lang) wrong.push('no lang');
for (const tag of ['h1', 'main'])
    if (document.querySelectorAll(tag).length != 1) wrong.push('not one ' + tag);
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
if (new Set(ids).size != ids.length) wrong.push('ids are not unique');
const over = document.documentElement.scrollWidth - window.innerWidth;
if (over > 0) wrong.push('wider than the window by ' + over);
const rgb = t => { const m = t.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const luminance = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const behind = e => {
    for (; e; e = e.parentElement) {
        const c = rgb(getComputedStyle(e).backgroundColor);
        if (c[3] > 0) return c;
    }
    return [255, 255, 255, 1];
};
for (const e of document.querySelectorAll('body *')) {
    if (!seen(e) || e.classList.contains('skip')) continue;
    if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())) continue;
    const a = luminance(rgb(getComputedStyle(e).color)), b = luminance(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) wrong.push('contrast ' + ratio.toFixed(2) + ': ' + e.textContent.trim().slice(0, 40));
}
for (const e of document.querySelectorAll(pressed))
    if (seen(e) && e.getBoundingClientRect().height < 24) wrong.push('too small: ' + (e.textContent || e.name));
return wrong;
"""


def look(driver, folder, name):
    """Pictures of the page in the folder. Return: what is wrong with it."""
    problems = []
    for suffix, width, colours in VIEWS:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": colours}]})
        for height in (800, None):
            height = height or max(800, driver.execute_script("return document.documentElement.scrollHeight"))
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                   {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
        driver.save_screenshot(str(folder / f"{name}{suffix}.png"))
        problems += [f"{width} wide, {colours}: {problem}" for problem in driver.execute_script(SCRIPT)]
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    # What the page's own policy blocked, for one. Answers of 4xx, which some pages are, are logged as well;
    # what other sites' pages said before is theirs.
    here = urljoin(driver.current_url, "/")
    said = [entry["message"] for entry in driver.get_log("browser") if "Failed to load resource" not in entry["message"]]
    return problems + [message for message in said if message.startswith(here) or not message.startswith("http")]

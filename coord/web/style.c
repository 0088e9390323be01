/*
 * The style sheet: dark or light as the browser wants it, from a phone's width on, with contrasts
 * of 4.5:1 and more (WCAG 2.2, AA) and a focus that is seen.
 */
#include <errno.h>
#include <string.h>

#include "coord/web/internal.h"

static const char style[] =
	":root{color-scheme:light dark;--back:#fff;--card:#f5f6f8;--text:#1a1d21;--soft:#535b64;"
	"--line:#c4cad1;--link:#0a58a8;--on-link:#fff;--bad:#a4161a;--good:#146c2e;--field:#fff}\n"
	"@media (prefers-color-scheme:dark){:root{--back:#14171a;--card:#1e2226;--text:#e8eaed;"
	"--soft:#a9b1ba;--line:#4a525b;--link:#82b8ff;--on-link:#0b1420;--bad:#ff9d97;"
	"--good:#7bd88f;--field:#0f1214}}\n"
	"*{box-sizing:border-box}\n[hidden]{display:none!important}\n"
	"html{font:100%/1.5 system-ui,sans-serif;background:var(--back);color:var(--text)}\n"
	"body{margin:0 auto;max-width:60rem;padding:0 1rem 3rem;overflow-wrap:break-word}\n"
	"header{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;align-items:center;padding:.75rem 0;"
	"border-bottom:1px solid var(--line)}\n"
	".brand{margin:0;font-weight:700}\n"
	"nav ul{display:flex;flex-wrap:wrap;gap:0 1rem;list-style:none;margin:0;padding:0}\n"
	"nav a{display:inline-block;padding:.5rem 0}\n"
	".who{display:flex;flex-wrap:wrap;gap:0 .75rem;align-items:center;margin-left:auto;"
	"min-width:0;color:var(--soft)}\n"
	".skip{position:absolute;left:-100rem}\n"
	".skip:focus{left:1rem;top:.5rem;background:var(--back);padding:.5rem}\n"
	"main{max-width:44rem}\nmain:focus{outline:none}\nmain:has(table,pre){max-width:none}\n"
	"h1{font-size:1.6rem;line-height:1.25;margin:1.5rem 0 1rem}\n"
	"h2{font-size:1.2rem;margin:2rem 0 .5rem}\nh3{font-size:1rem;margin:0 0 .5rem}\n"
	"a{color:var(--link)}\n"
	":focus-visible{outline:3px solid var(--link);outline-offset:2px}\n"
	"dl{margin:1rem 0;border-top:1px solid var(--line)}\n"
	"dl>div{display:flex;flex-wrap:wrap;gap:0 1rem;padding:.4rem 0;"
	"border-bottom:1px solid var(--line)}\n"
	"dt{flex:0 0 11rem;color:var(--soft)}\ndd{flex:1 1 15rem;margin:0;min-width:0;"
	"overflow-wrap:anywhere}\n"
	".code{font-family:ui-monospace,monospace;font-size:1.75rem;font-weight:700;"
	"letter-spacing:.08em}\n"
	"code,pre{font-family:ui-monospace,monospace;font-size:.9em}\n"
	"pre{background:var(--card);padding:.75rem;overflow-x:auto;white-space:pre;tab-size:4}\n"
	"form{margin:1rem 0}\n.who form,td form{margin:0}\n"
	"label{display:block;margin:.75rem 0;font-weight:600}\n"
	"label small{display:block;font-weight:400;color:var(--soft)}\n"
	"input:not([type=hidden]){display:block;width:100%;max-width:24rem;margin-top:.25rem;"
	"padding:.6rem;font:inherit;color:var(--text);background:var(--field);"
	"border:1px solid var(--soft);border-radius:.4rem}\n"
	"button,.button{display:inline-block;min-height:2.75rem;padding:.55rem 1.2rem;font:inherit;"
	"font-weight:600;border:1px solid var(--link);border-radius:.4rem;background:var(--link);"
	"color:var(--on-link);cursor:pointer;text-decoration:none}\n"
	"button.second,.button.second{background:transparent;color:var(--link)}\n"
	"button.bad{background:transparent;border-color:var(--bad);color:var(--bad)}\n"
	"button.plain{background:none;border:0;padding:.5rem 0;color:var(--link);font-weight:400;"
	"text-decoration:underline}\n"
	".buttons{display:flex;flex-wrap:wrap;gap:.75rem;margin:1rem 0}\n"
	".problem{padding:.6rem .8rem;border-left:.3rem solid var(--bad);background:var(--card);"
	"color:var(--bad);font-weight:600}\n"
	".done{padding:.6rem .8rem;border-left:.3rem solid var(--good);background:var(--card)}\n"
	".soft{color:var(--soft)}\n"
	"ul.cards{list-style:none;padding:0;margin:1rem 0}\n"
	"ul.bare{list-style:none;margin:0;padding:0}\n"
	"ul.lines{list-style:none;margin:1rem 0;padding:0}\n"
	".lines>li{padding:.4rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}\n"
	".lines small{display:block;color:var(--soft)}\n"
	".cards>li{padding:.9rem 1rem;margin:0 0 .75rem;background:var(--card);"
	"border-radius:.5rem}\n.cards p{margin:.2rem 0}\n"
	"summary{cursor:pointer;color:var(--link);padding:.4rem 0}\n"
	".scroll{overflow-x:auto}\n"
	"table{border-collapse:collapse;width:100%}\n"
	"th,td{text-align:left;vertical-align:top;padding:.4rem .8rem .4rem 0;"
	"border-bottom:1px solid var(--line)}\ntd "
	"time{white-space:nowrap}\nth{color:var(--soft);font-weight:600}\n"
	"img.qr{width:12rem;max-width:100%;height:auto;background:#fff;padding:.5rem}\n"
	"@media (forced-colors:active){button,.button{border:2px solid}}\n";

int web_handle_style(struct http_request *req, void *userdata)
{
	_cleanup_(http_buf_unrefp) struct http_buf *body = http_buf_new(style, strlen(style));
	int r;

	if (!body)
		return -ENOMEM;
	r = web_respond(req, userdata, "text/css; charset=utf-8", body);
	return r == -ENOTCONN ? 0 : r;
}

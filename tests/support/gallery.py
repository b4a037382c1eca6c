"""Every page as a picture: the samples of all contexts, in both languages, on a phone and on a desk.

`python -m tests.support.gallery [--only text] [--dark] [--lang ja,en] [--width 360,1280]` renders each sample,
serves the result with the real headers on a free loopback port and photographs it with Chromium into
tests/browser/shots/.
"""

import argparse
import importlib
import pkgutil
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from portal import contexts, i18n, web
from portal.contexts import Sample

SHOTS = Path(__file__).parents[1] / "browser" / "shots"
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)


def samples() -> Iterator[Sample]:
    """The samples of every contexts module that offers some."""
    for module in sorted(pkgutil.iter_modules(contexts.__path__), key=lambda m: m.name):
        offered = importlib.import_module(f"portal.contexts.{module.name}")
        if hasattr(offered, "samples"):
            yield from offered.samples()


def frame(sample: Sample, code: str) -> web.Frame:
    """The frame a viewer of the sample would get."""
    staff = sample.viewer not in ("", "resident")
    return web.Frame(
        lang=code,
        path=sample.path,
        languages=tuple(
            web.LanguageLink(key, name, f"?lang={key}", key == code) for key, name in i18n.LANGUAGES.items()
        ),
        signed_in=bool(sample.viewer),
        staff=staff,
        roles=frozenset({sample.viewer}) if staff else frozenset(),
        notice=web._NOTICES.get(sample.notice),
        notice_code=sample.notice,
    )


def picture_text(sample: Sample, code: str) -> str:
    """The HTML of a sample in a language."""
    with i18n.speaking(i18n.language(code)):
        return web.compose(sample.template, sample.context, frame(sample, code))


def name_of(sample: Sample) -> str:
    """A file name for a sample."""
    return f"{sample.template.removesuffix('.html').replace('/', '-')}--{sample.name}"


def serve_samples(found: list[Sample]) -> tuple[str, threading.Thread, object]:
    """Serve all samples under /<lang>/<name> and the static files; returns the address."""
    import uvicorn
    from fastapi import FastAPI
    from starlette.responses import HTMLResponse

    from portal.static_files import router

    app = FastAPI(docs_url=None, openapi_url=None)
    app.include_router(router())
    by_name = {name_of(sample): sample for sample in found}

    @app.get("/{code}/{name}")
    async def page(code: str, name: str) -> HTMLResponse:
        return HTMLResponse(picture_text(by_name[name], code), headers=web.page_headers())

    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    return f"http://127.0.0.1:{sock.getsockname()[1]}", thread, server


def main() -> None:
    """Photograph."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--lang", default="ja,en")
    parser.add_argument("--width", default="360,1280")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--out", type=Path, default=SHOTS)
    options = parser.parse_args()
    found = [sample for sample in samples() if options.only in name_of(sample)]
    options.out.mkdir(parents=True, exist_ok=True)
    address, thread, server = serve_samples(found)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(CHROMIUM_ARGS))
        for width in map(int, options.width.split(",")):
            view = browser.new_context(
                viewport={"width": width, "height": 800}, color_scheme="dark" if options.dark else "light"
            )
            tab = view.new_page()
            tab.on("console", lambda message: sys.stderr.write(f"console: {message.text}\n"))
            for code in options.lang.split(","):
                for sample in found:
                    tab.goto(f"{address}/{code}/{name_of(sample)}")
                    too_wide = tab.evaluate("document.documentElement.scrollWidth > window.innerWidth")
                    file = options.out / f"{name_of(sample)}.{code}.{width}{'.dark' if options.dark else ''}.png"
                    tab.screenshot(path=file, full_page=True)
                    sys.stdout.write(f"{file}{'  TOO WIDE' if too_wide else ''}\n")
            view.close()
        browser.close()
    server.should_exit = True  # type: ignore[attr-defined]
    thread.join(5)


if __name__ == "__main__":
    main()

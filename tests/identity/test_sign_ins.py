"""Every way in ends at one door, which knows the browser and writes the trace that detection reads."""

import re

from tests.support.source import ROOT

WORDS = re.compile(r'"identity\.signin\.failed",$|"identity\.signin\.succeeded",$|browsers\.recognise\(', re.MULTILINE)


def test_no_way_in_begins_a_session_past_the_door() -> None:
    """One that does would be a way in with a new browser that nobody is told of, or one that detection can't see."""
    writes = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "identity").rglob("*.py")
        if WORDS.search(path.read_text(encoding="utf-8"))
    }
    assert writes == {"identity/sign_ins.py"}

r"""What a text says apart from blanks that mean nothing, for languages of which it is known where they do.

A text is read from its beginning by one expression for each language, which finds as a whole whatever keeps
its blanks: texts in quotes, comments, lines for a preprocessor. Blanks between these are one mark, and none
where a line begins or ends. Where it cannot be told what begins, the reading ends: nothing behind is told.

That is no parser, and need not be one: it asks only where a text ends that has begun. It errs to one side.
A comment that moved, a text that begins as it would in another dialect, are taken for more than they are.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from approvals.matching import Allowance

_BLANK, _WITHIN = "\x1f", "\x1e"  # neither is in a text that is read
_BLANKS = re.compile("[ \t]+")
# Steps of an allowance a token and a line take, and how many characters are one: as measured, at worst.
_TOKEN, _LINE, _CHARACTERS = 8, 3, 8
# Nowhere in what is told: what ends lines for some and not for others, what only looks like the end of one
# that goes on, and a mark of the order of bytes.
_NEVER = "[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\ufeff]|\\\\[ \t]+$"

# Texts that end on their line, or go on where a backslash ends it.
_DOUBLE, _SINGLE = r'"(?:[^"\\\n]|\\[^\n])*+"', r"'(?:[^'\\\n]|\\[^\n])*+'"
_DOUBLE_ON, _SINGLE_ON = r'"(?:[^"\\\n]|\\.)*+"', r"'(?:[^'\\\n]|\\.)*+'"
_TRIPLE = r'"""(?:[^"\\]|\\.|"(?!""))*+"""'
# A comment that says something to a tool has no blank before it, and may have to begin the line.
_NOTE = r"^[ \t]*+//(?=[^ \t\n/])[^\n]*|//[^\n]*"
_BLOCK = r"(?:^[ \t]*+)?/\*.*?\*/"
_BLOCK_ALONE = r"(?:^[ \t]*+)?/\*(?:(?!/\*|\*/).)*+\*/"  # where one within another is one, too
_OPENS = r"[\"'`]|/\*"

_GO = (_NOTE, _BLOCK, _DOUBLE, _SINGLE, "`[^`]*`")
_JAVA = (_NOTE, _BLOCK, _TRIPLE, '(?!""")' + _DOUBLE, _SINGLE)
_PROTO = (_NOTE, _BLOCK, _DOUBLE, _SINGLE)
_HOLES = r"\$\{[^{}\"'`/\\\n]*\}"
_KOTLIN = (
    _NOTE,
    _BLOCK_ALONE,
    r'"""(?:[^"$]|\$(?!\{)|"(?!""))*+"""+',
    r'(?!""")"(?:[^"\\\n$]|\\[^\n]|\$(?!\{)|' + _HOLES + ')*+"',
    _SINGLE,
    "`[^`\n]*`",
)
_C_SHARP = (
    # Of what depends on a condition, any text may be left out.
    r"^[ \t]*+#[ \t]*+(?:define|endregion|line|nullable|pragma|region|undef)\b[^\n]*",
    _NOTE,
    _BLOCK,
    r'(?<!\$)@"(?:[^"]|"")*+"',
    r'(?<!@)\$"(?!"")(?:[^"\\\n{}]|\\[^\n]|\{\{|\}\}|\{[^{}"\'\n\\/]*\})*+"',
    r'(?<![@$])(?!""")' + _DOUBLE,
    _SINGLE,
)
_C_NOTE = r"//(?:[^\n]|(?<=\\)\n)*+"  # goes on where a backslash ends the line
_C_CHARACTER = r"(?:(?<!\w)|(?<=\b[uUL])|(?<=\bu8))" + _SINGLE_ON
_C = (
    r"^[ \t]*+#[ \t]*+(?:include|import)[ \t]*+<[^<>\n\\]*>",
    (
        r"^[ \t]*+#(?:[^\n\\/\"']|\\\n|/(?![/*])|"
        rf"{_C_NOTE}|/\*.*?\*/|(?<!R){_DOUBLE_ON}|{_C_CHARACTER})*+$"
    ),
    r"^[ \t]*+" + _C_NOTE.replace("//", "//(?=[^ \t\n/])"),
    _C_NOTE,
    _BLOCK,
    "(?<!R)" + _DOUBLE_ON,
    _C_CHARACTER,
    r"(?<![\w'])\d(?:[\w.]|'\w)*+",
)
# Trigraphs, an end of a comment in two lines, a directive behind one.
_C_ODD = r"\?\?|\*(?:\\\n)+/|\*/[ \t]*+(?:#|%:)"
_RUST = (
    _NOTE,
    _BLOCK_ALONE,
    r'(?<!\w)[bc]?r(?P<fence>#*)".*?"(?P=fence)',
    r'(?:(?<![\w#])|(?<=\b[bc]))"(?:[^"\\]|\\.)*+"',
    r"(?:(?<!\w)|(?<=\bb))'(?:[^'\\\n]|\\(?:u\{\w*\}|x\w\w|[^\n]))'",
    r"(?<!\w)'[^\W\d]\w*+(?!')",  # a lifetime
)
# What is before a slash, or an angle bracket, and not a value: a regular expression may begin, or JSX.
_NO_VALUE = (
    r"(?<![\w$])(?:async|await|break|case|catch|class|const|continue|debugger|default|delete|do|else|"
    r"enum|export|extends|finally|for|function|get|if|implements|import|in|instanceof|interface|let|"
    r"new|of|package|private|protected|public|return|set|static|super|switch|this|throw|try|typeof|"
    r"var|void|while|with|yield)[ \t]*+"
)
_SCRIPT = (
    r"\A#![^\n]*",
    _NOTE,
    _BLOCK,
    _DOUBLE_ON,
    _SINGLE_ON,
    r"`(?:[^`\\$]|\\.|\$(?!\{)|\$\{(?:[^{}`\"'/\\]|\"[^\"\\\n]*\"|'[^'\\\n]*')*+\})*+`",
    (
        r"(?:=>|[(,=:\[&|?;])\s*+!?/(?![*/])"  # a regular expression
        r"(?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*+\])++/"
    ),
    r"[\w$\]][ \t]*+/(?![*/])",  # divides
    r"/(?![*/])(?=[^/\n]*+$)",  # so does one that nothing ends
)
_SCRIPT_OPENS = rf"{_OPENS}|/|<!--|-->|{_NO_VALUE}/(?![*/])"
_JAVASCRIPT = (*_SCRIPT, r"[\w$\]][ \t]*+<(?!!)[<=]*+", "<[<=]")
_URL = r"(?<![\w-])(?i:url\()[ \t]*+[^ \t\n()\"'\\][^\n()\"'\\]*\)"
_CSS_DOUBLE, _CSS_SINGLE = (rf"{quote}(?:[^{quote}\\\n#]|\\.|#(?!\{{))*+{quote}" for quote in "\"'")
_CSS = (
    r"^[ \t]*+@charset[^\n]*",
    _BLOCK,
    _CSS_DOUBLE,
    _CSS_SINGLE,
    # A script may read what a property of one's own holds.
    (
        rf"(?<![\w-])--[\w-]+\s*+:(?:{_URL}|(?!(?i:url\()[ \t]*+[^ \t\"'])[^;{{}}\"'/\\]|"
        rf"{_CSS_DOUBLE}|{_CSS_SINGLE}|/(?![/*]))*+(?=[;}}])"
    ),
    _URL,
    r"\\[^\n0-9a-fA-F]",
)
_CSS_OPENS = rf"{_OPENS}|\\|(?<![\w-])--[\w-]*+\s*+(?:/\*|\\|[^\x00-\x7f])|(?<![\w-])--[\w-]+\s*+:|"
_CSS_OPENS += r"(?<![\w-])(?i:url\()[ \t]*+(?![\"'])"
_FILLED = r"(?<!\w)(?i:[ft]r?|r[ft])"
# A backslash does not keep a brace from being one.
_HOLED = r"\\(?=[{}])|\\[^{}]|\{\{|\}\}|\{[^{}\"'\n\\#]*\}"
# In another encoding other bytes are quotes.
_ENCODED = r"\A(?:[^\n]*\n)?[ \t]*#[^\n]*coding[:=][ \t]*+(?!(?i:utf-?8)\b)"
_PYTHON = (
    r"^[ \t]++",
    r"#[^\n]*",
    rf"{_FILLED}\"(?!\"\")(?:[^\"\\\n{{}}]|{_HOLED})*+\"",
    rf"{_FILLED}'(?!'')(?:[^'\\\n{{}}]|{_HOLED})*+'",
    _TRIPLE,
    _TRIPLE.replace('"', "'"),
    '(?!""")' + _DOUBLE_ON,
    "(?!''')" + _SINGLE_ON,
    r"\\\n",
)


class Language:
    """Finds what keeps its blanks in one language, and what cannot be told."""

    def __init__(self, whole: Sequence[str], opens: str = _OPENS, never: str = "") -> None:
        flags = re.DOTALL | re.MULTILINE
        self.tokens = re.compile("|".join([*whole, f"(?P<open>{opens})"]), flags)
        self.never = re.compile(f"{_NEVER}|{never}" if never else _NEVER, re.MULTILINE)


_LANGUAGES = {
    suffix: language
    for suffixes, language in (
        (".json", Language((_DOUBLE,), r"[\"'`#]|/")),
        (".proto", Language(_PROTO)),
        (".go", Language(_GO)),
        (".java", Language(_JAVA, never=r"\\u+00[0-7]|\\\{")),
        (".kt", Language(_KOTLIN)),
        (".cs", Language(_C_SHARP, _OPENS + r"|^[ \t]*+#")),
        (
            ".c .h .cc .cpp .cxx .hh .hpp .hxx",
            Language(_C, _OPENS + r"|\\|^[ \t]*+(?:#|%:)", never=_C_ODD),
        ),
        (".rs", Language(_RUST, _OPENS + r"|\w!\s*+\{")),
        (".ts .mts .cts", Language(_SCRIPT, _SCRIPT_OPENS)),
        (".js .mjs .cjs", Language(_JAVASCRIPT, rf"{_SCRIPT_OPENS}|<|{_NO_VALUE}<")),
        (".css", Language(_CSS, _CSS_OPENS)),
        (".scss .less", Language((_NOTE, *_CSS), _CSS_OPENS)),
        (".py .pyi", Language(_PYTHON, rf"[\"'`\\]|{_FILLED}[\"']", never=_ENCODED)),
    )
    for suffix in suffixes.split()
}
_DATA = re.compile(
    r"(?:^|/)(?:testdata|fixtures?|goldens?|snapshots?|__snapshots__)/", re.IGNORECASE
)


@lru_cache(maxsize=1_024)
def of(path: str) -> Language | None:
    """Return what reads a file; None where spaces may mean anything, as in what tests compare with."""
    return None if _DATA.search(path) else _LANGUAGES.get(PurePosixPath(path).suffix)


def told(language: Language, lines: Sequence[str], allowance: Allowance) -> list[str]:
    """Return what the first lines of a file say; fewer where one cannot be told, none past the allowance."""
    text = "\n".join(lines)
    if not allowance.takes(len(text) // _CHARACTERS + len(lines) * _LINE):
        return []
    odd = language.never.search(text)
    pieces, whole = _read(language, text, odd.start() if odd else len(text), allowance)
    said = "".join(pieces).split("\n")
    return [line.strip(_BLANK) for line in (said if whole and not odd else said[:-1])]


def _read(language: Language, text: str, end: int, allowance: Allowance) -> tuple[list[str], bool]:
    """Return the pieces of a text as they are compared, and whether all of them were told."""
    pieces, at = [], 0
    for found in language.tokens.finditer(text, 0, end):
        pieces.append(_BLANKS.sub(_BLANK, text[at : found.start()]))
        if found["open"] is not None or not allowance.takes(_TOKEN):
            return pieces, False
        # A line that begins or ends within a text is another than one that does not.
        pieces.append(found[0].replace("\n", f"{_WITHIN}\n{_WITHIN}"))
        at = found.end()
    pieces.append(_BLANKS.sub(_BLANK, text[at:end]))
    return pieces, True

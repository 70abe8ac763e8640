"""Words that name a phase, as radiographers of several languages write them. A table: a line is a test case.

Matched on lower case with punctuation turned into blanks; "c+" and "c-" read "cplus" and "cminus".
"""

from __future__ import annotations

import re
from typing import Literal

from hepar.record import PhaseLabel

ArterialWord = Literal["early", "late"]

_PLAIN: tuple[tuple[PhaseLabel, str], ...] = (
    # English
    ("native", r"(non|no|without|w o|wo|pre|un) ?(contrast\w*|enhanced|iv)|w ?o"),
    ("native", r"ncct|nect|cminus|plain|unenhanced|precontrast|noncontrast|non con|pre con|nc"),
    ("arterial", r"art|arterial\w*|artery|hap|aph|ap"),
    ("portal_venous", r"(porto ?)?(venous|ven|veno)|portal\w*|porto|pvp|pv|hvp|ppv"),
    ("delayed", r"delay\w*|equilib\w*|late venous|venous late|late phase|del|excretory"),
    # German
    ("native", r"nativ\w*|ohne km|ohne kontrast\w*|km frei"),
    ("arterial", r"(sp(ä|a|ae)t|fr(ü|u|ue)h)?arteriell\w*"),
    ("portal_venous", r"portalven\w*|portven\w*|ven(ö|o|oe)s\w*|pv phase"),
    ("delayed", r"sp(ä|a|ae)t(?! ?arter)\w*|verz(ö|o|oe)gert\w*"),
    # French
    ("native", r"sans (injection|iv|contraste|pdc|produit)|(non|avant) inject\w*|spontan[eé]"),
    ("arterial", r"art[eé]riel\w*"),
    ("portal_venous", r"port(al|ale|aux)|veineux|veineuse|tps portal"),
    ("delayed", r"tardi(f|ve|fs)"),
    # Spanish, Portuguese
    ("native", r"sin (contraste|civ|cte|medio)|simple|sem (contraste|cte)|basal"),
    ("portal_venous", r"venos[ao]\w*"),
    ("delayed", r"tard[ií][ao]s?|retardad[ao]|equilibrio"),
    # Italian
    ("native", r"senza (mdc|mezzo|contrasto)|basale|diretta"),
    ("arterial", r"arterios[ao]"),
    ("portal_venous", r"portale"),
    ("delayed", r"tardiv[ao]"),
    # Chinese, in characters and pinyin
    ("native", r"平扫|ping\s?sao"),
    ("arterial", r"动脉|(?<!men)dong\s?mai(\s?qi)?"),
    ("portal_venous", r"门脉|门静脉|静脉期|men\s?(jing\s?)?mai(\s?qi)?|jing\s?mai(\s?qi)?"),
    ("delayed", r"延迟|平衡期|yan\s?chi(\s?qi)?|ping\s?heng(\s?qi)?"),
)

# What each word makes likelier or less likely: native, arterial, portal venous, delayed; in units of a weak word.
_WEAK: tuple[tuple[str, tuple[float, float, float, float]], ...] = (
    (r"cplus|ce|cect|with contrast|post contrast|post con|mit km|avec injection|km|con contraste|con mdc|enhanced",
     (-1.0, 0.0, 0.0, 0.0)),
    (r"late", (-0.5, 0.0, 0.0, 0.5)),
    (r"zeng\s?qiang|增强", (-1.0, 0.0, 0.0, 0.0)),
    (r"cta|angio\w*", (-0.5, 1.0, 0.0, 0.0)),
)  # fmt: skip

_EARLY = r"early|fr(?:ü|u|ue)h\w*|pr[eé]coce|precoz|precoce|temprana|zao"
_LATE = r"late|sp(?:ä|a|ae)t\w*|tardi\w*|tard[ií]a|wan"


def _word(pattern: str) -> re.Pattern[str]:
    # A digit may follow a word directly ("art35s"); Chinese characters have no word boundary.
    return re.compile(rf"(?<![a-zà-ÿ])(?:{pattern})(?![a-zà-ÿ])")


class _Sparing:
    """A pattern that looks past words that turn its meaning: "late arterial" is no late phase."""

    def __init__(self, label: PhaseLabel, pattern: str) -> None:
        self._label = label
        self._pattern = _word(pattern)

    def search(self, text: str) -> bool:
        """Whether the text names the phase."""
        return bool(self._pattern.search(_reduced(text, self._label)))


_TIMED_ARTERIAL = re.compile(
    rf"(?<![a-zà-ÿ])(?:(?:{_EARLY}|{_LATE}|\d+)\s*)?(?:art\w*|hap)(?:\s*(?:phase|fase|phas))?(?:\s*(?:{_EARLY}|{_LATE}))?(?![a-zà-ÿ])"
)
# "With and without contrast" names a protocol; an anteroposterior pelvis is no arterial phase.
_NOT_A_PHASE = re.compile(
    r"hepatic (artery|vein)|portal hypert\w*|(abd|abdomen|liver|thorax|chest|ap) ?pelvis|pre ?monitoring"
    r"|w (and |& )?(w ?o|without)( |$)(contrast\w*)?|w ?o (and |& )?w( contrast\w*|$)"
    r"|with(out)? and with(out)? contrast\w*"
)

_LATE_VENOUS = re.compile(
    rf"(?<![a-zà-ÿ])(?:{_LATE}|delay\w*) ?(?:porto ?)?ven\w*|(?<![a-zà-ÿ])ven\w* (?:delay\w*|{_LATE})"
)


def _reduced(text: str, label: PhaseLabel) -> str:
    text = _NOT_A_PHASE.sub(" ", text)
    if label == "portal_venous":
        text = _LATE_VENOUS.sub(" ", text)
    return text if label == "arterial" else _TIMED_ARTERIAL.sub(" arterial ", text)


PLAIN: tuple[tuple[_Sparing, PhaseLabel], ...] = tuple((_Sparing(label, pattern), label) for label, pattern in _PLAIN)
WEAK: tuple[tuple[re.Pattern[str], tuple[float, float, float, float]], ...] = tuple(
    (_word(pattern), factors) for pattern, factors in _WEAK
)
_EARLY_WORD, _LATE_WORD = _word(_EARLY), _word(_LATE)


def timing_word(text: str) -> ArterialWord | None:
    """Early or late, when an arterial phase is called so; None otherwise or when both."""
    early, late = bool(_EARLY_WORD.search(text)), bool(_LATE_WORD.search(text))
    return None if early == late else "early" if early else "late"

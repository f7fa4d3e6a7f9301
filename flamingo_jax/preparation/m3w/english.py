"""Tells English from other languages by its function words, without a model or a network.

The paper does not say how it does it. The commonest words of a language make up a third to a half
of any running text in it and are rare in others, so on pages of at least `min_words` words
(config.py) counting them is enough. Short headings and lists of names are not recognised.
"""

from __future__ import annotations

import re
from collections import Counter

_WORD = re.compile(r"[^\W\d_]+")
ENGLISH = "english"

# The commonest words of running text. A word may stand in several lists: what counts is which
# language explains most words of the page.
_COMMON_WORDS = {
    ENGLISH: "the of and to a in is that it for was on are with as this be at have from or by not"
    " you we they his her which can will has an but if your i he she there their all more when"
    " what who would so up out about one do my our no its than then them been were had how into"
    " also any some these other only just over after use",
    "german": "der die das und in zu den ist von mit nicht ein eine sich auf für im dem des auch"
    " es an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über so zum"
    " war haben nur oder aber vor zur bis mehr durch man sein wir ich jeder recht",
    "dutch": "de het een van en in is dat op te zijn met voor niet aan er die om ook als maar dan"
    " bij of uit nog naar heeft hij door over ze wordt worden hebben was deze wel geen ik je we"
    " kan dit veel meer moet zich tot ieder alle heb zo",
    "french": "le la les de des du et à un une en est que qui dans pour pas sur au avec ce il par"
    " plus ne se son sont cette aux ou mais comme on nous vous elle leur être tout fait ses ces"
    " ont même d l qu n s j je tous",
    "spanish": "el la los las de del y a un una en es que por con no se para su al lo como más o"
    " pero sus le ya este sí porque esta entre cuando muy sin sobre también me hasta hay donde"
    " son todo todos fue ha ser",
    "portuguese": "o a os as de do da dos das e um uma em no na nos nas é que por com não se para"
    " seu sua ao mais ou mas como foi à pelo pela são tem quando muito já também só está ser"
    " todo todos eu isso",
    "italian": "il lo la i gli le di del della dei delle e un una in è che per con non si da al"
    " alla nel nella più ma come anche sono o ha suo sua dal dalla questo questa se ci essere"
    " tutti ogni mi ho sul sulla l d dell all",
    "swedish": "och i att det som en på är av för med till den har de inte om ett han var jag men"
    " från vi så kan hon nu där eller vara ska också efter alla sig vid när man mycket in utan",
    "danish": "og i at det er en til på de som med for den ikke af et har der var jeg fra kan men"
    " om vil så eller ved skal han være efter blev også vi man sig alle hun over meget når",
    "norwegian": "og i at det er en til på de som med for den ikke av et har var jeg fra kan men"
    " om vil så eller ved skal han være etter ble også vi man seg alle hun over mye når jeg",
    "finnish": "ja on ei se että oli hän mutta ovat kun niin myös joka kuin tai mitä vain nyt sen"
    " jos ole mukaan sekä voi hänen tämä olla ne kaikki jotka sitä minä me vielä",
    "polish": "i w nie na się z do to że jest o a jak za po co od tak ale przez dla czy są tym"
    " był ma oraz tego może już jego być lub który która ze wszyscy ich jako tylko",
    "czech": "a se v na je že to s z do i o k ale jako za by jsem pro tak po od co už jsou které"
    " který jeho nebo ve být než také jen když podle aby však ze své mají všichni",
    "hungarian": "a az és hogy nem is egy van ez meg de ha csak már volt el vagy minden mint azt"
    " még ki kell lehet után pedig szerint amely között során ezt nagyon fel be",
    "romanian": "și de a în la cu pe o nu că din este un să care pentru sunt mai se al ce fi au"
    " ca sau dar prin le lui după între toate am fost i l fie cel",
    "turkish": "ve bir bu da de için ile çok ne o gibi daha olarak en kadar olan var sonra ama ya"
    " her mi değil ben ki olduğu biz ise şey veya bütün iki göre kendi tüm",
    "indonesian": "yang dan di untuk dengan dari ini itu tidak dalam pada akan ada adalah juga"
    " atau ke oleh dia mereka saya bisa telah kami sebagai karena lebih sudah seperti anda kita"
    " orang semua",
    "vietnamese": "và của là có cho các được không trong một người với những đã này để khi đến"
    " về như từ ra cũng nhiều đó vào sẽ lại tôi anh nhưng mọi quyền",
    "catalan": "el la els les de del i a un una en és que per amb no es als al com més o però seu"
    " seva són ha aquest aquesta si pel també tot tots dels entre va l d hi",
    "afrikaans": "die van en in is het n om te vir met op dat nie wat aan hy as was sy by ook deur"
    " maar hulle daar word kan een sal my uit ons moet alle",
    "tagalog": "ang ng sa na mga at ay ni si para hindi may kung nang ito ako siya niya sila mo ko"
    " ka pa lang din rin kaya lahat bawat isang",
    "esperanto": "la kaj de en estas al ne por kiu ke li kun mi el sed ili pri ĝi kiel pli aŭ tiu"
    " da sur per ŝi vi ni havas esti ĉiuj oni",
    "latin": "et in est non ad ut cum sed qui quae quod ex de si per aut ab hoc atque nec enim"
    " esse sunt etiam quam ac eius nam tamen autem",
}
_LANGUAGES_OF_WORD: dict[str, tuple[str, ...]] = {}
for _language, _words in _COMMON_WORDS.items():
    for _word in _words.split():
        if _language not in _LANGUAGES_OF_WORD.get(_word, ()):
            _LANGUAGES_OF_WORD[_word] = (*_LANGUAGES_OF_WORD.get(_word, ()), _language)


def is_english(text: str, min_share: float) -> bool:
    """Whether a text is in English.

    Args:
        text: of a page.
        min_share: least share of its words that are English function words.

    Returns:
        True if they are, and no other language explains more of the words.
    """
    shares = common_word_shares(text)
    english = shares.pop(ENGLISH)
    return english >= min_share and english > max(shares.values())


def common_word_shares(text: str) -> dict[str, float]:
    """{language: share of the text's words that are among its commonest}."""
    words = Counter(_WORD.findall(text.lower()))
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for language in _LANGUAGES_OF_WORD.get(word, ()):
            counts[language] += count
    total = max(1, words.total())
    return {language: counts[language] / total for language in _COMMON_WORDS}

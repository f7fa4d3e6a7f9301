"""Words that the Penn Treebank tokenizer knows by themselves, sorted by what it does with them.

Each was checked with the Java tokenizer in lower case, with a capital and in capitals, before a
lowercase word, a capital, a digit and a comma. A letter in brackets counts in that case alone.
"""

from __future__ import annotations


def any_of(words: str, apostrophe: str = "'") -> str:
    """A pattern of any of some words.

    Args:
      words: with spaces between; full stops and apostrophes stand for themselves.
      apostrophe: the pattern of an apostrophe.
    """
    patterns = (word.replace(".", r"\.").replace("'", apostrophe) for word in words.split())
    return f"({'|'.join(patterns)})"


def capitalised(words: str) -> str:
    """The words with a capital that must be one: "Mass" becomes "[M]ass"."""
    return " ".join(f"[{word[0].upper()}]{word[1:]}" for word in words.split())


# The full stop belongs to the word; before a capital it ends the sentence as well.
STOP_MAY_END_SENTENCE = (
    # Months, days, states of the U.S.
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri "
    "ala ariz calif colo conn ct dak fla ga ind kan kans ky md mich minn mo mont neb nev okla penn "
    "tenn va vt wis wisc wyo "
    + capitalised("az ark del ill la mass miss ore pa tex wash")
    # Companies, degrees, places, the rest.
    + " inc co cos corp ltd plc rt bancorp bhd assn univ intl sys bros esq ed.d ph.d jr sr "
    "pt[y] pt[y]s pt[e] pt[e]s ppt[y] ppt[y]s ppt[e] ppt[e]s blvd rd bldg tel est ext sq etc al seq"
)

# The full stop belongs to the word and ends no sentence.
STOP_ENDS_NOTHING = (
    # Before names of people.
    "mr mrs ms dr drs prof profs rev hon messrs mlle mme msgr sen sens rep reps gov govs pres atty "
    "attys adm brig capt cmdr comdr col cpl gen lieut lt maj pfc pvt sfc sgt spc adj adv asst "
    "assoc det ens insp supt supts alex jos wm cie "
    # Before names of places, and the rest.
    "st ste ave mt ft dept elec invt natl m[f]g m[t]g a.k.a cf ph treas vs"
)

# The full stop belongs to the word before a number.
STOP_BEFORE_NUMBER = "no nos fig figs art bldg ca op pp prop"

# Behind initials with a full stop ("the U.S. The"), these begin a sentence.
SENTENCE_BEGINNINGS = capitalised(
    "a an the this that these there then their they he her here she it we you our one once "
    "in if as at after about according additionally but earlier however last many more now other "
    "since so some such what when while yet mr. ms."
)

# Words with an apostrophe of any kind, which would fall apart by the rules.
WITH_APOSTROPHE = "'n 'n' 'em 'til 'till 'cause l' d' j' ol' dunkin' somethin'"

# The same, with the straight apostrophe alone.
WITH_STRAIGHT_APOSTROPHE = "c'mon cont'd cont'd. e'er ev'ry li'l nat'l nor'easter s'mores"

# Endings of names of files.
FILE_ENDINGS = (
    "bat bmp c class cgi cpp dll doc docx exe gif gz h htm html jar java jpeg jpg mov mp3 pdf php "
    "pl png ppt ps py sql tar txt wav x xml zip"
)

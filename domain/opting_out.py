"""Which words, written to us, mean that a person wants to hear no more: the usual ones of several languages."""

import unicodedata

WORDS = """
stop | stop all | stopall | unsubscribe | opt out | optout | cancel | end | quit | remove me | no more messages
stopp | abmelden | abbestellen | austragen | keine nachrichten mehr
arret | arreter | desabonner | me desabonner | se desabonner | desinscription
baja | alto | darme de baja | dar de baja | cancelar | parar | detener
sair | descadastrar | cancelar inscricao
fermati | cancellami | disiscrivimi | basta
stoppen | afmelden | uitschrijven
avsluta | avregistrera | avmeld | afmeld | lopeta
wypisz | rezygnuje | odhlasit | zrusit | leiratkozas
dur | iptal | ayril
стоп | отписаться | отписка | отмена | відписатися
στοπ | διαγραφη
توقف | إيقاف | الغاء | إلغاء | لغو
הסר | הסירו אותי | הפסק
रोकें | बंद करें
退订 | 退訂 | 停止 | 取消 | 配信停止 | 수신거부 | 중지
berhenti | henti | dừng | huỷ
"""
LONGEST = 40  # characters: nothing longer is folded to find out


def folded(text: str) -> str:
    """A text without case, accents, punctuation and needless spaces."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(kept(character) for character in plain).split())


def kept(character: str) -> str:
    """What folding leaves of a character: letters and digits; marks and what is unseen vanish, the rest parts words."""
    kind = "Z" if character.isspace() else unicodedata.category(character)[0]
    return character if kind in "LN" else "" if kind in "MC" else " "


OPT_OUT = frozenset(folded(word) for line in WORDS.strip().splitlines() for word in line.split("|"))


def opts_out(text: str) -> bool:
    """Whether a message as a whole says that the person wants no more: `Stop!` does, `stop by at five` does not."""
    return len(text) <= LONGEST and folded(text) in OPT_OUT

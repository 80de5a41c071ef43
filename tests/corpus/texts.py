"""Texts that several tests share, made up here."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from chargen.corpus.prepared import PreparedCorpus

CHINESE = (
    "清晨的渔村还没有完全醒来，雾气贴着水面慢慢地走。老人把船推下浅滩，回头望了一眼山坡上的灯。\n"
    "孩子们在学校门口等着钟声，手里拿着昨天写好的作业。有人说今天会下雨，有人说不会。\n"
    "“你看，云从那边过来了。”她指着远处的山。大家都不说话，只听见风在树叶中间响。\n"
) * 8
TRADITIONAL = (
    "清晨的漁村還沒有完全醒來，霧氣貼著水面慢慢地走。老人把船推下淺灘，回頭望了一眼山坡上的燈。\n"
    "孩子們在學校門口等著鐘聲，手裡拿著昨天寫好的作業。有人說今天會下雨，有人說不會。\n"
) * 10
JAPANESE = (
    "朝の村はまだ静かで、霧が水の上をゆっくりと流れていた。老人は舟を押し出し、山の灯りを見上げた。\n"
    "子どもたちは学校の前で鐘の音を待っている。今日は雨が降るだろうと誰かが言った。\n"
) * 10
KOREAN = (
    "이른 아침의 마을은 아직 조용했고 안개가 물 위를 천천히 지나갔다. 노인은 배를 밀어냈다.\n"
    "아이들은 학교 앞에서 종소리를 기다리고 있었다. 오늘은 비가 올 것이라고 누군가 말했다.\n"
) * 10
ENGLISH = "The village was not yet awake, and a thin fog went slowly over the water.\n" * 20

# What has tripped tokenizers up: marks of its own, look-alikes of pieces, odd spaces and planes.
ODD = (
    "a\0b\u2581c\u2585d\te\x1ff <unk></s><s><0x41> ▁▁ \x85\u2028\u2029\x0c\x0b\ufeff\ufffd "
    "\U0001f468\u200d\U0001f469 e\u0301 \U00020000\U0010ffff \u00a0\u3000\n  \n\n"
)

# Anything that UTF-8 can encode.
any_text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(ODD), max_size=80)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def text_of(corpus: PreparedCorpus) -> str:
    return corpus.tokenizer.decode(corpus.train) + corpus.tokenizer.decode(corpus.val)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }

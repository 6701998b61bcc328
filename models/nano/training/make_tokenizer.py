"""Writes models/nano/tokenizer.json and tokenizer_config.json. Plain Python, no packages, no input: run it twice, get the same bytes.

Byte-level BPE in Hugging Face's tokenizer.json format with Llama-3's split regex and `ignore_merges`: a piece of the
split that is a vocabulary entry is one token; any other piece falls apart into its UTF-8 bytes (there are no merges).

    0 ..  255  one per byte, id = byte (so the digits 0-9 are 48 ... 57)
  256 ..  501  the integers 10 ... 255, id = 246 + n
  502 ..  751  words and punctuation groups as the split yields them (a leading space belongs to the word)
  752 .. 1007  action ids <action_0> ... <action_255>; bin k = 1 ... 256 of an action is id V - k, V = 1008
 1008 .. 1015  special tokens

The names <action_n> are never pieces of the split, so no text can spell an action id.
"""

import json
from pathlib import Path

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

FIRST_WORD, FIRST_ACTION, FIRST_SPECIAL = 502, 752, 1008

SPECIALS = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<pad>",
    "<image>",
    "<image_start>",
    "<image_end>",
    "<|reserved_0|>",
    "<|reserved_1|>",
]

# Punctuation of the trace grammar, then words that stand at the start of a line or after a quote.
GROUPS = ["],[", "],", '"[[', ' "[[', "[[", "]]", ']]"', ']]"\n\n', '":', " [", ":\n\n", ".\n", "?\n", "\n\n", '"Mark']
LINE_STARTS = ["Mark", "No", "What", "The", "To"]

# Every one of these gets a leading space.
PROMPT_WORDS = """
Mark To The at should be moved and their future positions are mark action robot take to image is labeled with numeric
marks how move the for next steps step split into grids doing finish task numerical in speed
""".split()
COLOURS = """
red green blue yellow purple teal orange white black pink brown grey gray cyan magenta dark light
""".split()
VERBS = """
pick put push place pull lift lower raise stack unstack reach grasp grab hold release drop open close turn rotate twist
flip slide drag press pour wipe sweep fold unfold insert remove bring carry hand give touch point sort align swap cover
uncover plug unplug switch tilt fill empty clean start stop get keep return
""".split()
THINGS = """
block blocks cube cubes pad pads box bowl cup mug plate pot pan lid can bottle jar tray basket bin drawer door cabinet
shelf table counter sink stove oven microwave fridge button handle knob lever switch spoon fork knife spatula sponge cloth
towel paper book pen ball cylinder ring peg hole tower pile toy apple banana carrot corn egg eggplant bread object objects
gripper arm side edge corner end top bottom middle center front back
""".split()
RELATIONS = """
up down on onto off over under above below between behind beside near next out from of by left right forward backward
away it its them then a an this that other both all one two three four big small large little first second last upright
""".split()


def byte_symbols():
    """GPT-2's printable stand-in for every byte: byte -> one character."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (byte for byte in range(256) if byte not in printable)
    symbols = {byte: chr(byte) for byte in printable}
    symbols.update({byte: chr(256 + n) for n, byte in enumerate(others)})
    return symbols


def vocabulary():
    """Token text in byte symbols -> id, ids 0 ... 1007 without gaps."""
    symbols = byte_symbols()
    spell = lambda text: "".join(symbols[byte] for byte in text.encode("utf-8"))
    words = GROUPS + LINE_STARTS
    words += [" " + word for word in PROMPT_WORDS + COLOURS + VERBS + THINGS + RELATIONS]
    words = list(dict.fromkeys(words))  # "switch" is a verb and a thing
    room = FIRST_ACTION - FIRST_WORD
    if len(words) > room:
        raise SystemExit(f"{len(words)} words, room for {room}")
    spare = [f"<unused_{n}>" for n in range(room - len(words))]
    tokens = [symbols[byte] for byte in range(256)]
    tokens += [str(n) for n in range(10, 256)]
    tokens += [spell(word) for word in words] + spare
    tokens += [f"<action_{n}>" for n in range(256)]
    if len(tokens) != FIRST_SPECIAL or len(set(tokens)) != len(tokens):
        raise SystemExit(f"{len(tokens)} ordinary tokens, {len(set(tokens))} different ones, expected {FIRST_SPECIAL}")
    return {token: index for index, token in enumerate(tokens)}, len(spare)


def tokenizer(vocab):
    bos = SPECIALS[0]
    sequence = lambda name, type_id: {"Sequence": {"id": name, "type_id": type_id}}
    special = lambda type_id: {"SpecialToken": {"id": bos, "type_id": type_id}}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": FIRST_SPECIAL + n,
                "content": content,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for n, content in enumerate(SPECIALS)
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": LLAMA3_SPLIT}, "behavior": "Isolated", "invert": False},
                byte_level,
            ],
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special(0), sequence("A", 0)],
            "pair": [special(0), sequence("A", 0), special(1), sequence("B", 1)],
            "special_tokens": {bos: {"id": bos, "ids": [FIRST_SPECIAL], "tokens": [bos]}},
        },
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": vocab,
            "merges": [],
        },
    }


def tokenizer_config():
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIALS[0],
        "eos_token": SPECIALS[1],
        "pad_token": SPECIALS[2],
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1024,
    }


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    folder = Path(__file__).resolve().parent.parent
    vocab, unused = vocabulary()
    write(folder / "tokenizer.json", tokenizer(vocab))
    write(folder / "tokenizer_config.json", tokenizer_config())
    print(f"{folder / 'tokenizer.json'}: {len(vocab)} ordinary ids ({unused} unused), {len(SPECIALS)} special")

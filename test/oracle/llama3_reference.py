"""What Hugging Face's tokenizers make of Magma's prompts and of difficult texts with Llama 3's vocabulary.

Writes test/golden/llama3_reference.json: texts, ids and versions; numbers and our own texts only, nothing of the
vocabulary. The vocabulary and merges come from npm llama3-tokenizer-js (a development dependency); how Llama 3 splits
text, its special tokens and its chat template, and the five tokens that Magma adds, are written out here.

Run, with tokenizers and transformers: python test/oracle/llama3_reference.py node_modules/llama3-tokenizer-js
"""

import json
import os
import subprocess
import sys

import tokenizers
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

FILE = os.path.join(os.path.dirname(__file__), "..", "golden", "llama3_reference.json")
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
SYSTEM = "You are agent that can see, talk and act."
MAGMA = ["<pad>", "<image>", "<action>", "<image_start>", "<image_end>"]  # from 128256 on

# What a user says, as the public programs write it (see magma_reference.py), before <image> is bracketed.
PROMPTS = {
    "action": "<image>\nWhat action should the robot take to {}?".format("pick coke can"),
    "trace": "<image>\nThe image is split into 256x256 grids and is labeled with numeric marks {}.\n"
    "The robot is doing: {}. To finish the task, how to move the numerical marks in the image with speed {} for the "
    "next {} steps?\n".format([1, 2, 3, 4, 5, 6, 7, 8, 9], "Pick up the chip bag.", 8, 8),
    "question": "<image>\nWhat is the letter on the robot?",
    "interface": '<image>\nIn this view I need to click a button to "{}"? Provide the coordinates and the mark index of '
    "the containing bounding box if applicable.".format("Settings"),
    "video": "".join(["<image>\n"] * 3) + "What is the robot doing?",
    "location": "<image>\n\nThe image is split into 256x256 grids, and labeled with numeric marks.\nPlease locate all the "
    "numerical marks in the image.\n",
}
TEXTS = [
    "",
    " ",
    "   ",
    "a",
    "Hello, world!",
    " leading and trailing ",
    "tabs\tand\t\ttabs",
    "one\ntwo\n\nthree\n\n\nfour",
    "windows\r\nlines\r\n\r\nend",
    "spaces before newline   \n   after",
    "I'm, you're, he's, we've, they'd, she'll, can't, DON'T, I'LL, o'clock, 'tis",
    "0 1 12 123 1234 12345 123456789 3.14159 -273.15 1e-9 1,000,000 256x256",
    "[104,139],[111,137],[120,131]",
    '"Mark 1": "[[104,139],[111,137]]"\n\n"Mark 3": "[[201,70]]"\n\n',
    "Coordinate: (0.17, 0.43). Mark: 3.",
    "naïve café, Zürich, Ærøskøbing, İstanbul, ﬁne print, ß and ẞ",
    "e\u0301 against \u00e9; o\u0308\u0304",
    "Возьми красный кубик и положи его на стол.",
    "赤いブロックを青い皿に置いてください。机の上のコーヒーカップ",
    "把红色方块放到盘子里，然后关上抽屉。",
    "빨간 블록을 집어 주세요",
    "ضع المكعب الأحمر في الصندوق",
    "लाल डिब्बा उठाओ",
    "🤖 picks 🥤; family 👨‍👩‍👧‍👦; flag 🇮🇹; tone 👍🏽",
    "zero\u200bwidth, no\u00a0break, em\u2003space, line\u2028separator, bom\ufeff",
    "x² + y₂ = ½ Ⅷ ①②③ ٣٤٥ १२३",
    "snake_case camelCase kebab-case SCREAMING_CASE __dunder__",
    "for (let i = 0; i < n; i++) { sum += a[i]; } // ok",
    "https://example.org/a?b=c&d=%20#e",
    "!!!???...;;;---___***///\\\\\\",
    "\x00\x01\x7f control",
    "a" * 70,
    " " * 20 + "x" + "\n" * 9 + "y" + "\t" * 5,
]


def vocabulary(package):
    """[vocabulary by id, merges by rank] of the npm package, through node."""
    script = (
        "const { default: t } = await import(process.argv[1]);"
        "process.stdout.write(JSON.stringify([t.vocabById.slice(0, 128000), [...t.merges.keys()]]));"
    )
    file = os.path.abspath(os.path.join(package, "bundle", "llama3-tokenizer-with-baked-data.js"))
    run = subprocess.run(["node", "--input-type=module", "-e", script, "file://" + file], capture_output=True, check=True)
    by_id, merges = json.loads(run.stdout)
    return {token: id for id, token in enumerate(by_id)}, [tuple(merge.split(" ")) for merge in merges]


def llama3_special_tokens():
    """The 256 of Meta-Llama-3-8B-Instruct."""
    named = {0: "begin_of_text", 1: "end_of_text", 6: "start_header_id", 7: "end_header_id", 9: "eot_id"}
    reserved = iter(range(256))
    return [f"<|{named[n]}|>" if n in named else f"<|reserved_special_token_{next(reserved)}|>" for n in range(256)]


def make_tokenizer(package):
    vocab, merges = vocabulary(package)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=True))
    split = pre_tokenizers.Split(pattern=Regex(SPLIT), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = llama3_special_tokens() + MAGMA
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
    bos = special[0]
    template = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))])
    tokenizer.post_processor = template
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token="<|eot_id|>", pad_token="<pad>",
        chat_template=CHAT_TEMPLATE, clean_up_tokenization_spaces=False,
    )


def main():
    tokenizer = make_tokenizer(sys.argv[1])
    assert tokenizer.vocab_size == 128000
    prompts = {}
    for name, user in PROMPTS.items():
        user = user.replace("<image>", "<image_start><image><image_end>")
        conversation = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
        prompt = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
        prompts[name] = tokenizer(prompt)["input_ids"]
    texts = [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False)} for text in TEXTS]
    with open(os.path.join(sys.argv[1], "package.json")) as file:
        version = json.load(file)["version"]
    versions = {
        "llama3-tokenizer-js": version, "tokenizers": tokenizers.__version__, "transformers": transformers.__version__,
    }
    with open(FILE, "w") as file:
        json.dump({"versions": versions, "prompts": prompts, "texts": texts}, file, ensure_ascii=True)
        file.write("\n")


if __name__ == "__main__":
    main()

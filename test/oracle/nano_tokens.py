"""Golden data for test/model: how Hugging Face's own tokenizers library reads models/nano/tokenizer.json.

    pip install tokenizers
    python test/oracle/nano_tokens.py models/nano/tokenizer.json test/golden/nano_tokens.json

Added tokens are taken out first: in this project text is only ever text, also where it spells a special token.
"""

import json
import sys

import tokenizers

TEXTS = [
    "",
    " ",
    "\nWhat action should the robot take to pick the red block?",
    "\nWhat action should the robot take to put the teal block on the orange pad?",
    "\nThe image is labeled with numeric marks 3, 5. To push the blue block left, how to move the marks for the next 8 steps?",
    'Mark 3 at [12,200], Mark 5 at [0,255] should be moved, and their future positions are:\n\n"Mark 3": "[[1,2],[3,4]]"\n\n"Mark 5": "[[9,10]]"\n\n',
    "No mark should be moved.\n",
    "<image> <|end_of_text|><action_3>",
    "zürich, 漢字 and 🦾 don't FIT",
    "  two  spaces \t tab \r\n line\n\n\n end  ",
    "256 1234567 007 3.14",
    '"[["Mark ]]"\n\n],[[[',
    "ﬁ ſ İ I'LL we'Re ½ ٣",
]

with open(sys.argv[1], encoding="utf-8") as file:
    spec = json.load(file)
spec["added_tokens"] = []
spec["post_processor"] = None
tokenizer = tokenizers.Tokenizer.from_str(json.dumps(spec))
cases = [{"text": text, "ids": tokenizer.encode(text).ids} for text in TEXTS]
for case in cases:
    assert tokenizer.decode(case["ids"], skip_special_tokens=False) == case["text"], case
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump({"tokenizers": tokenizers.__version__, "cases": cases}, file, ensure_ascii=False, indent=1)
    file.write("\n")

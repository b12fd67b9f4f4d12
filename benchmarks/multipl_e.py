"""MultiPL-E: HumanEval in 20 languages, each function with tests beside it (arXiv 2208.08227)."""

import re
import tomllib
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.multipl_e import continued, qwen_base, qwen_instruct, qwen_instruct_later
from qwencoder_eval.scoring.programs import ProgramScorer
from qwencoder_eval.types import Chat, Continue, Message, Problem, Sampling

LANGUAGES = {
    "cs": "csharp", "jl": "julia", "js": "javascript", "pl": "perl", "rb": "ruby", "rkt": "racket", "rs": "rust",
    "sh": "bash", "ts": "typescript",
}  # fmt: skip
STOPS = {
    "cpp": ["\n}"], "cs": ["\n    }\n"], "d": ["\n\n", "\nvoid", "\nbool", "\nint"],
    "go": ["\nfunc", "struct", "\n// "], "java": ["\n    }\n"], "jl": ["\nfunction", "\nmacro", "\n\n"],
    "js": ["\nfunction ", "\n/*", "\n//", "\nconsole.log"], "lua": ["\nlocal", "\nfunction", "\n--", "\n\n"],
    "ocaml": ["\n\n", "\n(*", "\ntype", "\nlet"], "php": ["\nfunction", "\n?>", "\n//", "\n#"],
    "pl": ["\nsub", "\n#", "\n\n"], "python": ["\ndef", "\n#", "\nif", "\nclass"], "r": ["\n#", "\n```"],
    "rb": ["\nclass", "\ndef", "\n#", "\n\n"], "rkt": ["\n(define ", "\n#|", "\n;", "\n("], "rs": ["\n}"],
    "scala": ["\n    }\n"], "sh": ["\n}"], "swift": ["\n}"], "ts": ["\nfunction ", "\n/*", "\n//", "\nclass"],
}  # fmt: skip
END_OF_TEXT = ("<|endoftext|>", "<|endofmask|>", "</s>")  # all that stops Qwen's evaluation while it generates

# Behind the last test: where its end is not the end of the text, what follows it there.
BEHIND = {
    "cpp": r"\}\s*\Z", "cs": r"\}\s*\}\s*\Z", "d": r"\}\s*void main\(\)\s*\{\s*\}\s*\Z", "java": r"\}\s*\}\s*\Z",
    "lua": r"os\.exit\(lu\.LuaUnit\.run\(\)\)\s*\Z", "rs": r"\}\s*\Z", "scala": r"\}\s*\}\s*\Z",
}  # fmt: skip
# Tests that run after the text, by the language's own runner: what runs them here, and what follows.
RUNNERS = {
    "go": ("func TestQceval(t *testing.T) {\n", "}\n"),
    "lua": ("local failures = lu.LuaUnit.run()\nif failures ~= 0 then os.exit(failures) end\n", ""),
    "ocaml": ("let () =\n", "()\n"),
    "rb": (
        "require 'test/unit/ui/console/testrunner'\nTest::Unit::AutoRunner.need_auto_run = false\n"
        "exit(1) unless Test::Unit::UI::Console::TestRunner.run(TestHumanEval.suite).passed?\n",
        "",
    ),
}
# Seconds for compiling and for running, in MultiPL-E's evaluators and in those of Qwen for chat models.
SECONDS = {"cs": (15, 10), "go": (30, 30), "jl": (15, 5), "js": (15, 5), "r": (15, 5), "rb": (15, 5), "rs": (15, 5)}
SECONDS |= {"scala": (45, 15), "swift": (45, 5)}
FLAGS = {"cs": ("-r:System.Numerics.dll",), "ts": ("--target", "esnext")}

# fmt: off
ROWS = {
    "cpp": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-cpp.jsonl", count=161,
        sha256="4742ca969274bae24dc8d22a51852e9e4f1eb2a2651e3590404c228f0710b3c7",
    ),
    "cs": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-cs.jsonl", count=158,
        sha256="76043c91ad9b56881ac4d2f7e64253d9d08cb0a975d2d3a86232f722ce8b85f9",
    ),
    "d": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-d.jsonl", count=156,
        sha256="a4e89cfe75ad852bd2f06881777dceb3da2bdefbeb7acf2cd77e7973c33715fb",
    ),
    "go": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-go.jsonl", count=154,
        sha256="2984ed8c39a223660b30cec6f5651848da3ddee652c87279ba5d062a1785df61",
    ),
    "java": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-java.jsonl", count=158,
        sha256="5ca14cafd479eef2a5d4afb79327bfa301cd4236dfc7989beacb6ff3b4c9a9ee",
    ),
    "jl": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-jl.jsonl", count=159,
        sha256="09e46fd52b88d397ec0add34c72ab4aa9641e6c9125a23059046b9e524c29b76",
    ),
    "js": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-js.jsonl", count=161,
        sha256="bcce2c72a17d3c31782cae908e181d9d0389db2a3716e81ffe0cac4df0f88706",
    ),
    "lua": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-lua.jsonl", count=161,
        sha256="0074a7adc5fc7622df698c33a2d3540de68abf49f0730c09839b7ccbc2247c2e",
    ),
    "ocaml": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-ocaml.jsonl", count=155,
        sha256="e8f3107f4e820fac2b8941d676b106700c02508e4e4b9c96679d9cf1f55ec674",
    ),
    "php": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-php.jsonl", count=161,
        sha256="c08c3101cb7b21fe19338f1dcf067b39d050a05087573e86dbf29b0878bc6fcd",
    ),
    "pl": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-pl.jsonl", count=161,
        sha256="40dd33685f4e6f8824bcd0a97d43479b93e5ff2852e4ffdce71ffd1929c7896d",
    ),
    "python": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-python.jsonl", count=164,
        sha256="b62d7f05df298598d20bfc31e4b3d7f476bf5697f3aea4a8d593c2d3096c7a9e",
    ),
    "r": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-r.jsonl", count=161,
        sha256="bc27ece84ce7e2fff9abfa47ea32fa54e3da08f45f39ca037e2a6046a8b8420e",
    ),
    "rb": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-rb.jsonl", count=161,
        sha256="ec3ea26d0844c2f1fe06a2cd351824b78ad5ab3552bca09172b6b5911a2de0a4",
    ),
    "rkt": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-rkt.jsonl", count=161,
        sha256="cb13a9500e109ead6043decd09785e7b1934d56d565aed1f6c9393092b4d0109",
    ),
    "rs": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-rs.jsonl", count=156,
        sha256="79ba6f41b74f2f42a6aa48db5fc284664722d294d4abce263af91f83f3ed1b96",
    ),
    "scala": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-scala.jsonl", count=160,
        sha256="ea17def0a4795768380f41079b3e3c5160ad9025db53f8246ce02ec66a766506",
    ),
    "sh": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-sh.jsonl", count=158,
        sha256="c7e5e8d609061a56686695187e7fdafa48a6e2981d2327ff08c856e9bfd5d2af",
    ),
    "swift": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-swift.jsonl", count=158,
        sha256="7408bf9a9af0cf7634d6001f6c165cf80d8b4fb71a7eb0a682be5040b01cf680",
    ),
    "ts": Rows(
        version="reworded", file="multipl_e/qwen_deepseek_completion/humaneval-ts.jsonl", count=159,
        sha256="d9e819957f872a09745cddf73f74bb46396e6cfed733be7440d3af31c18c48c4",
    ),
}
# fmt: on


def stripped(problem):
    return Continue(problem.stub.strip())


def stripped_with_newline(problem):
    return Continue(problem.stub.strip() + "\n")


def in_a_fence(problem):
    asked = "Please continue to complete the function and return all completed code in a codeblock. "
    asked += "Here is the given code to do completion:"
    return Chat((Message("user", f"{asked}\n```{problem.fields['code']}\n{problem.stub.strip()}\n```"),))


class MultiPLE(Benchmark):
    name = "multipl-e"
    version = "1"
    reference = "https://github.com/nuprl/MultiPL-E/tree/360c344/evaluation/src"
    parts = (
        "cpp", "cs", "d", "go", "java", "jl", "js", "lua", "ocaml", "php", "pl", "python", "r", "rb", "rkt", "rs",
        "scala", "sh", "swift", "ts",
    )  # fmt: skip
    apart = {"python": "the Qwen2.5-Coder report's Python column is the HumanEval score; MultiPL-E has no Python"}
    profiles = {
        "multipl-e": ("multipl-e", "multipl-e"),
        "qwen-base": ("qwen-base", "qwen-base"),
        "qwen-instruct": ("qwen-instruct", "qwen-instruct"),
        "qwen-instruct-later": ("qwen-instruct", "qwen-instruct-later"),
    }
    decontaminate = ("prompt", "tests")

    @cached_property
    def asking(self):
        rows, stop = ROWS[self.part], tuple(STOPS[self.part])
        return {
            "multipl-e": Asking(rows, stripped, Sampling(20, 0.2, 0.95, 1024, stop)),
            "qwen-base": Asking(rows, stripped_with_newline, Sampling(top_p=0.95, max_tokens=500, stop=END_OF_TEXT)),
            "qwen-instruct": Asking(rows, in_a_fence, Sampling(top_p=0.95, max_tokens=4096)),
        }

    @cached_property
    def scoring(self):
        compile_s, run_s = SECONDS.get(self.part, (15, 15))
        said = r"\S" if self.part in ("rkt", "scala") else None  # there anything on the standard error is a failure
        today = ProgramScorer(self.name, run_s, compile_s, attempts=(FLAGS.get(self.part, ()),), fails_on=said)
        of_chat = self.of_qwens_chat_models(today)
        return {
            "multipl-e": Scoring(continued, today),
            "qwen-base": Scoring(qwen_base, self.of_qwens_base_models()),
            "qwen-instruct": Scoring(qwen_instruct, of_chat),
            "qwen-instruct-later": Scoring(qwen_instruct_later, of_chat),
        }

    def of_qwens_chat_models(self, today):
        """What differs in QwenLM/Qwen3-Coder at 287d46c, evaluation/multipl_e/chat/multiple_metrics.

        Its Java is 11 (install.sh), and its programs run without the tuples that they were compiled with.
        """
        if self.part == "java":
            return replace(today, attempts=(("--release", "11"),), environment=(("CLASSPATH", "."),))
        return today

    def of_qwens_base_models(self):
        """Rules of QwenLM/Qwen3-Coder at 0ae30f5, base/benchmarks/multiple-eval/human_eval/execution.py."""
        match self.part:
            case "cpp":
                return ProgramScorer(self.name, 10, 10, linked=(("162", ("-lcrypto", "-lssl")),))
            case "cs":
                return ProgramScorer(self.name, 10, 10, fails_on="Fail", lenient=True)
            case "java":
                return ProgramScorer(self.name, 10, 60)
            case "js":
                return ProgramScorer(self.name, 10, 10, silent=True)
            case "ts":
                return ProgramScorer(self.name, 10, 10, attempts=(("--target", "ES2015", "--lib", "ES2015,DOM"), ()))
        return ProgramScorer(self.name, 10, 10)

    @cached_property
    def golden(self):
        table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())[self.part]
        row = {"task_id": "HumanEval_0_double", "prompt": table["prompt"], "tests": table["tests"]}
        return [
            Golden(row, table["passes"], {self.name: "passed"}),
            Golden(row, table["fails"], {self.name: "wrong"}),
        ]

    def problem(self, row):
        tests = row.get("tests") or row["test"]
        end = re.search(BEHIND[self.part], tests).start() if self.part in BEHIND else len(tests)
        before, after = RUNNERS.get(self.part, ("", ""))
        before = f"{tests[:end].rstrip(' ')}\n{before}" if end == len(tests) or before else tests[:end]
        after += "" if self.part == "lua" else tests[end:]
        fields = {"name": row["task_id"], "code": self.part, "stop": tuple(STOPS[self.part]), "tests": tests}
        return Problem(
            row["task_id"], fields, {"before": before, "after": after}, stub=row["prompt"],
            reference=row.get("canonical_solution"), language=LANGUAGES.get(self.part, self.part),
        )  # fmt: skip

"""BIRD's mini-dev on MySQL and PostgreSQL: its questions and queries in these dialects (arXiv 2305.03111)."""

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.databases import brief, quoted
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.sql import BASE_STOPS, CHAT_STOPS, answered_query, continued_query, tagged_query
from qwencoder_eval.scoring.sql_servers import ServerScorer
from qwencoder_eval.text_to_sql import answered, asked_to_think, continued
from qwencoder_eval.types import Problem, Sampling

# The release has the schemas in dev_tables.json, by SQLite's names and types.
MYSQL = Rows(
    version="mini-dev", file="bird/mini_dev_mysql.json", join=("bird/dev_tables.json", "db_id"), unseen=True, count=500
)
POSTGRESQL = Rows(
    version="mini-dev", file="bird/mini_dev_postgresql.json", join=("bird/dev_tables.json", "db_id"), unseen=True,
    count=500,
)  # fmt: skip
REFERENCE = "https://github.com/bird-bench/mini_dev/blob/4d970a9/evaluation/evaluation_utils.py"
INSTRUCTION = (
    "-- External Knowledge: {}\n\n"
    "-- Using valid {} and understanding External Knowledge, answer the following questions for the tables provided "
    "above.\n\n"
)
ROW = {
    "question_id": 0, "db_id": "none", "question": "How many are a pair?", "evidence": "a pair refers to 1 + 1",
    "SQL": "SELECT 1 + 1", "difficulty": "simple", "table_names_original": ["pair"], "foreign_keys": [],
    "column_names_original": [[-1, "*"], [0, "id"]], "column_types": ["text", "integer"], "primary_keys": [1],
}  # fmt: skip


def statements(row, quote):
    """CREATE TABLE statements of what dev_tables.json knows; names that need it are in quotes."""
    names = [(table, quoted(name, quote)) for table, name in row["column_names_original"]]
    tables = [quoted(name, quote) for name in row["table_names_original"]]
    rows = [[] for _ in tables]
    for (table, name), kind in zip(names, row["column_types"], strict=True):
        if table >= 0:  # the first is *
            rows[table].append(f"{name} {kind}")
    for key in row["primary_keys"]:
        keys = key if isinstance(key, list) else [key]
        rows[names[keys[0]][0]].append(f"PRIMARY KEY ({', '.join(names[each][1] for each in keys)})")
    for one, other in row["foreign_keys"]:
        target = f"{tables[names[other][0]]} ({names[other][1]})"
        rows[names[one][0]].append(f"FOREIGN KEY ({names[one][1]}) REFERENCES {target}")
    inside = (",\n    ".join(each) for each in rows)
    return [
        {
            "name": name,
            "create": f"CREATE TABLE {name} (\n    {text}\n)",
            "brief": brief(name, (column for table, column in names if table == at)),
        }
        for at, (name, text) in enumerate(zip(tables, inside, strict=True))
    ]


def askings(rows):
    return {
        "base": Asking(rows, continued, Sampling(max_tokens=512, stop=BASE_STOPS)),
        "chat": Asking(rows, answered, Sampling(max_tokens=1024, stop=CHAT_STOPS)),
        "cot": Asking(rows, asked_to_think, Sampling(max_tokens=1024)),
    }


def scorings(name, dialect):
    scorer = ServerScorer(name, dialect)
    return {
        "base": Scoring(continued_query, scorer),
        "chat": Scoring(answered_query, scorer),
        "cot": Scoring(tagged_query, scorer),
    }


def vectors(name):
    """Without a server nothing else can be shown: what is no query never reaches one."""
    error = {name: "runtime_error"}
    return (
        Golden(ROW, "I cannot tell from these tables.", error, profile="bird-chat"),
        Golden(ROW, "All of them. [SQL]DROP TABLE pair[/SQL]", error, profile="bird-cot"),
        Golden(ROW, "That cannot be said: [SQL][/SQL]", {name: "no_code"}, profile="bird-cot"),
    )


def problem_of(row, dialect, quote):
    fields = {
        "tables": statements(row, quote),
        "examples": 0,
        "question": row["question"],
        "instruction": INSTRUCTION.format(row["evidence"], dialect),
    }
    query = row["SQL"].strip().rstrip(";")
    behind = query[len("SELECT ") :] if query.startswith("SELECT ") else f"* FROM ({query}) AS gold"
    return Problem(
        f"bird/{row['question_id']}", fields, {"query": query}, stub="SELECT ", reference=behind,
        groups={"difficulty": row["difficulty"]},
    )  # fmt: skip


class BirdMysql(Benchmark):
    name = "bird-mysql"
    version = "1"
    languages = ("mysql",)
    reference = REFERENCE
    asking = askings(MYSQL)
    scoring = scorings("bird-mysql", "mysql")
    profiles = {"bird": ("base", "base"), "bird-chat": ("chat", "chat"), "bird-cot": ("cot", "cot")}
    decontaminate = ("question", "SQL")
    golden = vectors("bird-mysql")

    def problem(self, row):
        return problem_of(row, "MySQL", "`")


class BirdPostgresql(Benchmark):
    name = "bird-postgresql"
    version = "1"
    languages = ("postgresql",)
    reference = REFERENCE
    asking = askings(POSTGRESQL)
    scoring = scorings("bird-postgresql", "postgresql")
    profiles = {"bird": ("base", "base"), "bird-chat": ("chat", "chat"), "bird-cot": ("cot", "cot")}
    decontaminate = ("question", "SQL")
    golden = vectors("bird-postgresql")

    def problem(self, row):
        return problem_of(row, "PostgreSQL", '"')

"""A small database in the form of Spider's ``tables.json``, for tests."""

from __future__ import annotations

from qwencoder_eval.scoring.spider_sql import Schema

# Columns: 1 id, 2 name, 3 people; 4 id, 5 town_id, 6 name, 7 age, 8 height, 9 value; 10 owner_id, 11 town_id, 12 kind.
ROW = {
    "db_id": "town_life",
    "table_names_original": ["Town", "Person", "Pet"],
    "column_names_original": [
        [-1, "*"],
        [0, "ID"], [0, "Name"], [0, "People"],
        [1, "ID"], [1, "Town_ID"], [1, "Name"], [1, "Age"], [1, "Height"], [1, "Value"],
        [2, "Owner_ID"], [2, "Town_ID"], [2, "Kind"],
    ],
    "foreign_keys": [[5, 1], [10, 4], [11, 1]],
}  # fmt: skip
TOWN = Schema.of(ROW)

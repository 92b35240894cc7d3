"""Write practice rows: python -m practice --rows 60000 --seed 7 --out FILE.jsonl"""

import argparse
import json

from .rows import rows


def main():
    """Write the rows as JSON lines."""
    parser = argparse.ArgumentParser(prog="practice", description="Write practice chats as JSON lines.")
    parser.add_argument("--rows", type=int, default=60000, help="how many rows (default 60000)")
    parser.add_argument("--seed", type=int, default=7, help="the seed (default 7)")
    parser.add_argument("--out", required=True, help="the JSON lines file to write")
    options = parser.parse_args()
    with open(options.out, "w", encoding="utf-8", newline="\n") as file:
        for entry in rows(options.rows, options.seed):
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
    print(f"{options.rows} rows in {options.out}")


if __name__ == "__main__":
    main()

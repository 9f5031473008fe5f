"""Prints what a tour says to type, as a script: `tools/tour.py docs/tours/agency.md | bash`.

`spectm serve` goes on until it is ended; here it is asked once and ended.
"""

import re
import sys
from pathlib import Path

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVE = re.compile(r"^(spectm serve .*)$", re.MULTILINE)
# The server says its address in its first line. What asks is Python, as not everybody has curl.
ASKED = r"""\1 --port 0 > served 2>&1 & server=$!
trap 'kill "$server" || true' EXIT
address=
for _ in $(seq 100); do
    address=$(grep -o -m 1 'http://[0-9.:]*' served) && break
    sleep 0.5
done
python -c "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read())" "$address/api/v1/health"
"""


def script(page: Path) -> str:
    """What the page says to type, each line shown as it is run; the first error ends it."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    return "set -euo pipefail\n" + "\n".join(SERVE.sub(ASKED, block) for block in blocks)


if __name__ == "__main__":
    sys.stdout.write(script(Path(sys.argv[1])))

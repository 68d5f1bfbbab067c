"""`python -m targets.virtual.board`: the virtual MPS3 board as a process."""

import sys

from targets.virtual.board.board import main

sys.exit(main(sys.argv[1:]))

#!/bin/sh
# Short: 300 kills. `tests/fault/long-replay-kill` has 5000.
exec "$(dirname "$0")/replay-kill" $(shuf -i 1-4294967295 -n 1) 300

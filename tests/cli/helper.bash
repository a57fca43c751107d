# Every test runs in a fresh folder with a state folder of its own.
bats_require_minimum_version 1.5.0

setup() {
	export TZ=UTC LC_ALL=C.UTF-8 NO_COLOR=1
	unset LEDGERBOX_CONFIG LEDGER_NODE_ID LEDGER_DB_PATH LEDGER_HMAC_KEY NATS_PRIMARY_URL NATS_SECONDARY_URL
	WORK=$(mktemp -d "${BATS_TEST_TMPDIR:-/tmp}/ledger.XXXXXX")
	export WORK XDG_STATE_HOME="$WORK.state"
	mkdir -p "$XDG_STATE_HOME" "$WORK/bin.$$"
	ln -s "$(realpath "${LEDGERBOX_BIN:-build/ledgerbox}")" "$WORK/bin.$$/ledgerbox"
	export PATH="$WORK/bin.$$:$PATH"
	cd "$WORK" || return 1
	if declare -F prepare > /dev/null; then prepare; fi
}

teardown() {
	cd / && chmod -R u+rwX "$WORK" 2> /dev/null
	rm -rf "$WORK" "$XDG_STATE_HOME"
}

# A ledger of node store-a in the current folder.
a_ledger() {
	ledgerbox init --node store-a -q
}

# N events in one stream: a_few 3
a_few() {
	local i
	for i in $(seq "${1:-3}"); do
		printf '{"domain":"inventory","type":"stock_adjusted","stream":"product/sku-1","tags":["product:sku-1"],"payload":{"n":%d}}\n' "$i"
	done | ledgerbox append > /dev/null
}

# fails CODE command…: the exit code is just that; output is in $output, stderr in $stderr.
fails() {
	local code=$1
	shift
	run --separate-stderr "$@"
	[ "$status" -eq "$code" ] || {
		echo "exit code $status instead of $code: $*"
		echo "stdout: $output"
		echo "stderr: $stderr"
		return 1
	}
}

works() {
	fails 0 "$@"
}

# Waits until a command succeeds, at most a minute.
until_true() {
	local end=$((SECONDS + 60))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.02
	done
}

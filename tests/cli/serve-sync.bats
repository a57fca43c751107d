# What serve-sync says without a server; tests/sync lets nodes converge.

load helper

prepare() {
	a_ledger
	a_few 3
	cat > nodes.yaml <<- 'END'
		node: store-a
		database: ledger.db
		keys: {sign: ledger.key}
		clusters: {shop: {urls: ["nats://127.0.0.1:9"]}}
	END
}

@test "without a cluster there is nothing to do" {
	fails 2 ledgerbox serve-sync
	[[ "$stderr" == *'no cluster is configured'*'NATS_PRIMARY_URL'* ]]
}

@test "--check reads the config and starts nothing" {
	works ledgerbox serve-sync --config nodes.yaml --check
	[ ! -e ledger.db.sync ]
	echo 'nonsense: 1' >> nodes.yaml
	fails 2 ledgerbox serve-sync --config nodes.yaml --check
	[[ "$stderr" == *"unknown key 'nonsense'"* ]]
}

@test "--once without a server gives up in time and says what is missing" {
	fails 21 ledgerbox serve-sync --config nodes.yaml --once --within 300ms
	[[ "$stderr" == *'event=disconnected cluster=shop'*'not level yet: 3 events of domain inventory are not published'* ]]
}

@test "with --format json every line of the log is an object" {
	fails 21 ledgerbox serve-sync --config nodes.yaml --once --within 300ms --format json
	printf '%s\n' "$stderr" | python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]'
	[[ "$stderr" == *'"event":"disconnected","cluster":"shop"'* ]]
}

@test "libnats is opened by serve-sync alone, and where it is missing its name is said" {
	ldd "$LEDGERBOX_BIN" > linked
	! grep -q libnats linked
	library=$(ldconfig -p | sed -n 's/.*libnats\.so\.[0-9.]* .*=> //p' | head -n 1)
	unshare -m true 2> /dev/null || skip "no mounts here"
	# shellcheck disable=SC2016 # for the inner shell
	fails 23 unshare -m sh -c 'mount --bind /dev/null "$1"; exec ledgerbox serve-sync --config nodes.yaml --once' sh "$library"
	[[ "$stderr" == *'cannot open libnats: '*'apt install libnats'* ]]
	# shellcheck disable=SC2016
	works unshare -m sh -c 'mount --bind /dev/null "$1"; exec ledgerbox tail --config nodes.yaml' sh "$library"
}

@test "a copied ledger is refused" {
	cp ledger.db copy.db
	fails 14 ledgerbox serve-sync --config nodes.yaml --database copy.db --once --within 300ms
	[[ "$stderr" == *'recover'* ]]
}

@test "the service manager is told when it is ready, and when it ends" {
	cat > manager.py <<- 'END'
		import os, signal, socket, subprocess, sys
		manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		manager.bind("notify")
		manager.settimeout(20)
		daemon = subprocess.Popen(["ledgerbox", "serve-sync", "--config", "nodes.yaml"],
		    env=dict(os.environ, NOTIFY_SOCKET=os.path.abspath("notify"), WATCHDOG_USEC="200000"))
		seen = []
		while "WATCHDOG=1" not in seen:
		    seen.append(manager.recv(100).decode())
		daemon.send_signal(signal.SIGTERM)
		while seen[-1] != "STOPPING=1":
		    seen.append(manager.recv(100).decode())
		assert "READY=1" in seen
		sys.exit(daemon.wait(20))
	END
	works python3 manager.py
}

# init: makes three files or none.
load helper

# nothing_here FILE…: only these files are in the folder.
only() {
	local got
	got=$(find . -mindepth 1 -maxdepth 1 ! -name 'bin.*' -printf '%f\n' | sort | tr '\n' ' ')
	[ "$got" = "${*:+$* }" ] || {
		echo "found: $got"
		return 1
	}
}

mode() {
	stat -c %a "$1"
}

@test "makes ledger, key, config and state folder, and says so" {
	works ledgerbox init --node store-a
	[[ "$output" == *"ledger.db "*"node store-a"* ]]
	[[ "$output" == *"ledger.key "*"hs256-"* ]]
	[[ "$output" == *"ledger.yaml "* && "$output" == *"$XDG_STATE_HOME/ledgerbox "* ]]
	[ "$(mode ledger.key)" = 600 ]
	grep -qxE '[0-9a-f]{64}' ledger.key
	[ "$(wc -c < ledger.key)" -eq 65 ]
	[ "$(mode "$XDG_STATE_HOME/ledgerbox")" = 700 ]
	[ "$(head -c 15 ledger.db)" = "SQLite format 3" ]
}

@test "what it wrote is a config in which everything is said" {
	works ledgerbox init --node store-a
	works ledgerbox config check
	works ledgerbox config show --format json
	[[ "$output" == *'"node":{"value":"store-a","source":"ledger.yaml:'* ]]
	[[ "$output" == *'"database":{"value":"ledger.db","source":"ledger.yaml:'* ]]
	[[ "$output" == *'"keys.sign":{"value":"ledger.key","source":"ledger.yaml:'* ]]
	[[ "$output" == *'"state_dir":{"value":"'"$XDG_STATE_HOME"'/ledgerbox","source":"ledger.yaml:'* ]]
}

@test "its examples can be uncommented as they stand" {
	works ledgerbox init --node store-a
	sed -E -i 's/^( *)#([a-z"]|  )/\1\2/' ledger.yaml
	(umask 077 && touch store-a.creds ca.pem store-a.pem store-a-tls.key store-a.nk store-a.password lab.token)
	sed -i "s,/usr/local/bin/[a-z-]*,/bin/true," ledger.yaml
	works ledgerbox config check
	works ledgerbox config show
	local key
	for key in group timeout keys.verify domains.inventory.tags_from.product domains.inventory.max_bytes \
		'domains.\*' stream_types.product.owned clusters.shop.urls clusters.shop.tls.hostname sync.claims \
		reducers.product.initial projections.stock.database handlers.low-stock.exec commands.0.command; do
		printf '%s\n' "$output" | grep -q "^$key " || {
			echo "no example of $key"
			return 1
		}
	done
}

@test "records no event, and is ready for the first" {
	a_ledger
	works ledgerbox tail -n all
	[ -z "$output" ]
	a_few 1
	works ledgerbox tail -n all --format json
	[[ "$output" == *'"origin":"store-a"'* ]]
	works ledgerbox verify
}

@test "-q is silent, --format json is one object" {
	works ledgerbox init --node store-a -q
	[ -z "$output$stderr" ]
	mkdir other && cd other
	works ledgerbox init --node store-b --format json
	printf '%s' "$output" | python3 -c '
import json, sys
o = json.load(sys.stdin)
assert o["node"] == "store-b" and o["database"] == "ledger.db" and o["config"] == "ledger.yaml", o
assert o["key_file"] == "ledger.key" and o["key_made"] is True and o["key"].startswith("hs256-"), o
assert o["state_dir"].startswith("/") and o["group"] is None, o'
}

@test "none of the files is overwritten, and none is made then" {
	local file
	for file in ledger.db ledger.db-wal ledger.key ledger.yaml; do
		printf 'mine' > "$file"
		fails 14 ledgerbox init --node store-a
		[[ "$stderr" == *"$file exists"* ]]
		[ "$(cat "$file")" = mine ]
		only "$file"
		rm "$file"
		ln -s nowhere "$file"
		fails 14 ledgerbox init --node store-a
		only "$file"
		rm "$file"
	done
	[ ! -e "$XDG_STATE_HOME/ledgerbox" ]
	a_ledger
	local before
	before=$(cat ledger.key ledger.yaml ledger.db | sha256sum)
	fails 14 ledgerbox init --node store-a
	[ "$(cat ledger.key ledger.yaml ledger.db | sha256sum)" = "$before" ]
}

@test "a step that fails leaves nothing behind" {
	printf 'no key\n' > bad.key
	chmod 600 bad.key
	run ledgerbox init --node store-a --key-file bad.key
	[ "$status" -ne 0 ]
	only bad.key
	[ ! -e "$XDG_STATE_HOME/ledgerbox" ]
	[ "$(cat bad.key)" = "no key" ]
	# The state folder cannot be made: a file is in its place.
	: > file
	run ledgerbox init --node store-a --state-dir file/state
	[ "$status" -ne 0 ]
	only bad.key file
	# One name for two things.
	run ledgerbox init --node store-a --config x --database x
	[ "$status" -ne 0 ]
	only bad.key file
}

@test "the node is the short host name, but never localhost" {
	local host
	host=$(hostname)
	host=${host%%.*}
	if [[ "$host" =~ ^[A-Za-z0-9_-]{1,64}$ && "${host,,}" != localhost ]]; then
		works ledgerbox init
		grep -qx "node: $host" ledger.yaml
	else
		fails 2 ledgerbox init
		[[ "$stderr" == *"--node"* ]]
		only
	fi
	mkdir other && cd other
	if unshare -u true 2> /dev/null; then
		local name
		for name in localhost LOCALHOST localhost.example.org 'my_host!' ''; do
			fails 2 unshare -u sh -c 'hostname "$1" 2> /dev/null || sysctl -qw kernel.hostname="$1"; exec ledgerbox init' sh "$name"
			[[ "$stderr" == *"ledgerbox init --node"* ]]
			only
		done
		works unshare -u sh -c 'hostname store-c.example.org; exec ledgerbox init'
		grep -qx 'node: store-c' ledger.yaml
	fi
}

@test "a name that is no node name is refused" {
	local name
	for name in localhost LocalHost 'a b' a.b '' '../x' $'a\nb' "$(printf 'x%.0s' $(seq 65))" ä; do
		fails 2 ledgerbox init --node "$name"
		[[ "$stderr" == *"--node: "* ]]
		only
	done
	works ledgerbox init --node null
	works ledgerbox config check
	[ "$(ledgerbox config show | awk '$1 == "node" { print $2 }')" = null ]
}

@test "an existing key is used and left as it is" {
	mkdir a b
	(cd a && ledgerbox init --node store-a -q)
	cp -p a/ledger.key b/shared.key
	cd b
	works ledgerbox init --node store-b --key-file shared.key
	[[ "$output" == *"shared.key "*"was there"* ]]
	cmp shared.key ../a/ledger.key
	[ ! -e ledger.key ]
	works ledgerbox config check
	[ "$(ledgerbox config show | awk '$1 == "keys.sign" { print $2 }')" = shared.key ]
}

@test "a key file that is not there is made there" {
	mkdir keys
	works ledgerbox init --node store-a --key-file keys/s.key
	[ "$(mode keys/s.key)" = 600 ]
	[ "$(ledgerbox config show | awk '$1 == "keys.sign" { print $2 }')" = "$PWD/keys/s.key" ]
	works ledgerbox tail -n all
}

@test "other names and folders: the config names what it finds again" {
	mkdir conf 'data dir'
	works ledgerbox init --node store-a --config conf/my.yaml --database 'data dir/a: b.db' --key-file conf/k --state-dir 'st ate' -q
	[ -e conf/my.yaml ] && [ -e 'data dir/a: b.db' ] && [ -e conf/k ] && [ -d 'st ate' ]
	works ledgerbox config show --config conf/my.yaml
	[[ "$output" == *"$PWD/data dir/a: b.db "* && "$output" == *" conf/k "* && "$output" == *"$PWD/st ate "* ]]
	cd /
	works ledgerbox tail -n all --config "$WORK/conf/my.yaml"
	fails 2 ledgerbox init --node store-a --config "$WORK/nowhere/l.yaml"
	[[ "$stderr" == *"no folder"* ]]
}

@test "no home, no state folder: it asks for one" {
	[ "$(id -u)" -ne 0 ] || skip "root has /var/lib/ledgerbox"
	unset XDG_STATE_HOME
	HOME='' fails 2 ledgerbox init --node store-a
	[[ "$stderr" == *"--state-dir"* ]]
	only
}

@test "a group shares key, ledger, config and state" {
	local group
	group=$(id -Gn | tr ' ' '\n' | tail -n 1)
	works ledgerbox init --node store-a --group "$group" --state-dir state
	[ "$(stat -c '%a %G' ledger.key)" = "640 $group" ]
	[ "$(stat -c '%a %G' ledger.db)" = "660 $group" ]
	[ "$(stat -c '%a %G' ledger.yaml)" = "640 $group" ]
	[ "$(stat -c '%a %G' state)" = "2770 $group" ]
	[ "$(ledgerbox config show | awk '$1 == "group" { print $2 }')" = "$group" ]
	works ledgerbox tail -n all
}

@test "a group works whatever the umask is" {
	local group
	group=$(id -gn)
	works sh -c 'umask 0077; exec ledgerbox init --node store-a --group "$1" --state-dir state' sh "$group"
	[ "$(mode ledger.key) $(mode ledger.db) $(mode ledger.yaml) $(mode state)" = "640 660 640 2770" ]
}

@test "a group that is not there, a state folder that does not fit" {
	fails 2 ledgerbox init --node store-a --group no-such-group
	[[ "$stderr" == *"no group 'no-such-group'"* ]]
	fails 2 ledgerbox init --node store-a --group 'a b'
	mkdir -m 700 state
	fails 14 ledgerbox init --node store-a --group "$(id -gn)" --state-dir state
	[[ "$stderr" == *"chmod 2770"* ]]
	only state
	[ "$(mode state)" = 700 ]
}

@test "a folder that cannot be written is refused" {
	[ "$(id -u)" -ne 0 ] || skip "root writes everywhere"
	mkdir ro && chmod 555 ro && cd ro
	fails 14 ledgerbox init --node store-a
	[[ "$stderr" == *"Permission denied"* ]]
}

@test "an environment that goes before the new config is warned about" {
	LEDGER_NODE_ID=store-b works ledgerbox init --node store-a
	[[ "$stderr" == *"LEDGER_NODE_ID is set"* ]]
	mkdir other && cd other
	LEDGER_NODE_ID=store-a works ledgerbox init --node store-a
	[ -z "$stderr" ]
}

@test "stdout that is full is an error, but the ledger is there" {
	run --separate-stderr sh -c 'ledgerbox init --node store-a > /dev/full'
	[ "$status" -eq 24 ]
	works ledgerbox config check
	[ -e ledger.db ]
}

@test "usage" {
	fails 2 ledgerbox init extra
	fails 2 ledgerbox init --nod x
	[[ "$stderr" == *"--node"* ]]
	works ledgerbox init --help
	[[ "$output" == *"--group"* ]]
	only
}

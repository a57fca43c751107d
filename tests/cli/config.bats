# config: what is read, from where, and what is refused at its place.
load helper

# The value and the source of one key: shown KEY
shown() {
	ledgerbox config show --format json "${@:2}" |
		jq -r --arg key "$1" '.[$key] | "\(if .value == null then "None" else .value end) | \(.source)"'
}

shows() {
	local got
	got=$(shown "$1" "${@:3}")
	[ "$got" = "$2" ] || {
		echo "$1: '$got' instead of '$2'"
		return 1
	}
}

# refuses TEXT MESSAGE [HINT]: a ledger.yaml of that text ends with 2 and says so.
refuses() {
	printf '%b' "$1" > ledger.yaml
	fails 2 ledgerbox config check
	[[ "$stderr" == *"ledger.yaml:$2"* && "$stderr" == *"${3-}"* && -z "$output" ]] || {
		echo "$1"
		echo "$stderr"
		return 1
	}
	[[ "$stderr" != *$'\e'* ]]
}

accepts() {
	printf '%b' "$1" > ledger.yaml
	works ledgerbox config check
	[ "$output" = "ledger.yaml: ok" ]
}

@test "check says ok on one line, nothing with -q" {
	accepts 'node: store-a\n'
	works ledgerbox config check -q
	[ -z "$output" ]
	works ledgerbox config check --format json
	[ "$output" = '{"config":"ledger.yaml","ok":true}' ]
}

@test "no config at all is no error for show, and 1 for check" {
	[ ! -e /etc/ledgerbox/ledger.yaml ] || skip "this machine has a config"
	fails 1 ledgerbox config check
	[[ "$stderr" == *"ledgerbox init"* ]]
	shows config "None | default"
	shows database "ledger.db | default"
	shows keys.sign "ledger.key | default"
	shows timeout "5s | default"
	shows node "None | default"
	shows state_dir "$XDG_STATE_HOME/ledgerbox | default"
}

@test "an empty config and one of comments are fine" {
	accepts ''
	accepts '# nothing\n\n---\n'
	accepts 'domains:\nkeys:\n'
}

@test "an unknown key is refused with its place and the nearest key" {
	refuses 'node: a\ndatabse: x\n' "2:1: unknown key 'databse'" "did you mean 'database'?"
	refuses 'zzzzzz: 1\n' "1:1: unknown key 'zzzzzz'" 'ledgerbox-config(5)'
	refuses 'keys: {sgin: x}\n' "1:8: unknown key 'sgin' in keys" "did you mean 'sign'?"
	refuses 'domains:\n  shop:\n    max_ages: 3d\n' "3:5: unknown key 'max_ages' in shop" "did you mean 'max_age'?"
	refuses 'clusters: {c: {tls: {hostnam: x}}}\n' "1:22: unknown key 'hostnam' in tls"
	refuses '"a\\x5cb": 1\n' '1:1: unknown key'
}

@test "what is not the part of YAML that is taken is refused with its place" {
	refuses 'node: a\nnode: b\n' "2:1: key 'node' stands here a second time, after line 1"
	refuses 'node: &x a\n' '1:7: an anchor'
	refuses 'node: *x\n' '1:7: an alias'
	refuses 'node: !!str a\n' '1:7: a tag'
	refuses 'node: a\n---\nnode: b\n' '2:1: a second document'
	refuses 'node: [a\n' '2:1: not valid YAML'
	refuses 'node: a\x00\n' '1:8: byte 0x00'
	refuses 'node: \xff\n' '1:7: byte 0xff'
	refuses 'node: "\\e[31m"\n' '1:7: the text holds a control character'
	refuses '- node\n' '1:1: expected a mapping, found a list'
	refuses 'node\n' '1:1: expected a mapping, found a text'
	head -c 70000 /dev/zero | tr '\0' '#' > ledger.yaml
	fails 2 ledgerbox config check
	[[ "$stderr" == *"ledger.yaml: larger than 64 KiB"* ]]
	head -c 60000 /dev/zero | tr '\0' '[' > ledger.yaml
	fails 2 ledgerbox config check
	[[ "$stderr" == *"ledger.yaml:1:17: nested deeper than 16 levels"* ]]
}

@test "yes, no, on and off are not taken for booleans" {
	local word
	for word in yes no on off Yes TRUE 1 '"yes"'; do
		refuses "domains: {shop: {propagate: $word}}\n" '1:29: propagate: ' 'write true or false'
	done
	accepts 'domains: {shop: {propagate: true, subscribe: false}}\n'
}

@test "values have their forms and ranges" {
	refuses 'node: localhost\n' "1:7: node: 'localhost'" 'a name of its own'
	refuses 'node: store a\n' "1:7: node: 'store a' is not a name"
	refuses 'node:\n' '1:6: node: no value'
	refuses 'node: ~\n' '1:7: node: no value'
	refuses 'node: [a]\n' '1:7: node: expected a text, found a list'
	refuses 'database: ""\n' "1:11: database: '' is not a path"
	refuses 'group: a b\n' "1:8: group: 'a b' is not a group"
	refuses 'timeout: 5\n' "1:10: timeout: '5' is not a duration" '250ms'
	refuses 'timeout: 0\n' "1:10: timeout: '0' is out of range" '1ms to 1h'
	refuses 'timeout: 2h\n' "1:10: timeout: '2h' is out of range" '1ms to 1h'
	refuses 'keys: {verify: b.key}\n' '1:16: verify: expected a list, found a text' 'brackets'
	refuses 'keys: ledger.key\n' '1:7: keys: expected a mapping, found a text'
	refuses 'domains: {"a b": {}}\n' "1:11: domains: 'a b' is not a domain"
	refuses 'domains: {a.b: {}}\n' "1:11: domains: 'a.b' is not a domain"
	refuses 'domains: {a: {max_age: 30}}\n' "1:24: max_age: '30' is not a duration"
	refuses 'domains: {a: {max_bytes: 1GB}}\n' "1:26: max_bytes: '1GB' is not a size" 'MiB'
	refuses 'domains: {a: {max_bytes: 99999999999999999999GiB}}\n' '1:26: max_bytes: '
	refuses 'domains: {a: {max_bytes: 1KiB}}\n' "1:26: max_bytes: '1KiB' is out of range"
	refuses 'stream_types: {"*": {}}\n' "1:16: stream_types: '*' is not a name"
	refuses 'stream_types: {p: {snapshot_every: 0}}\n' "1:36: snapshot_every: '0' is out of range"
	refuses 'stream_types: {p: {snapshot_every: -1}}\n' "1:36: snapshot_every: '-1' is not a whole number"
	refuses 'sync: {claims: both}\n' "1:16: claims: 'both' is not a choice" 'local or strict'
	refuses 'sync: {prefix: a.b}\n' "1:16: prefix: 'a.b' is not a name"
	refuses 'commands: {a: 1}\n' '1:11: commands: expected a list'
	refuses 'commands: [a]\n' '1:12: expected a mapping'
	refuses 'reducers: [a]\n' '1:11: reducers: expected a mapping'
	refuses 'reducers: {a: b}\n' "1:15: a: 'b' is not a choice" 'merge or last or count'
	refuses 'reducers: {a: }\n' '1:15: a: no value'
	refuses 'reducers: {a: {}}\n' "1:15: a: a reducer needs 'apply'"
	refuses 'reducers: {a: {apply: {}}}\n' "1:15: a: a reducer needs 'apply'"
	refuses 'reducers: {a/b: last}\n' "1:12: reducers: 'a/b' is not a domain"
	refuses 'reducers: {a: {apply: {"b c": "1"}}}\n' "1:24: apply: 'b c' is not an event type"
	refuses 'reducers: {a: {initial: "{", apply: {b: "1"}}}\n' "1:25: initial: '{' is not JSON"
	refuses 'reducers: {a: {sql: x}}\n' "1:16: unknown key 'sql' in a"
	refuses 'upcast: {a: {0: "1"}}\n' '1:17: 0: the schema to cast up from is a whole number from 1'
	refuses 'upcast: {a: {x: "1"}}\n' '1:17: x: the schema to cast up from is a whole number from 1'
	refuses 'upcast: {a: {1: [b]}}\n' '1:17: 1: expected an SQL expression'
	refuses 'upcast: {a: b}\n' '1:13: a: expected a mapping'
}

@test "a tag path begins with \$. and names members" {
	local path
	for path in id '$' '$.' '$id' '$.a..b' '$.a.' '$..a' '$.a[0]' '$.a b' '$.*' metadata.id payload.\$.a \
		'$.a.b.c.d.e.f.g.h.i'; do
		refuses "domains: {a: {tags_from: {t: '$path'}}}\n" '1:30: t: ' 'metadata.$.actor'
	done
	refuses 'domains: {a: {tags_from: {"t:x": $.a}}}\n' "1:27: tags_from: 't:x' is not a name"
	accepts 'domains: {a: {tags_from: {t: $.a, u: $.order.line-id, v: metadata.$.actor}}}\n'
}

@test "a URL names scheme and host, and its password is never printed" {
	local url
	for url in http://h ws://h wss://hunter2@h nats:// nats://h:0 nats://h:99999 nats://h:x 'nats://u:hunter2@' \
		'nats://u:hunter2@h/x' 'nats://u:hunter2@h x' 'nats://u:hun ter2@h' 'nats://u:hunter2@h,nats://h' \
		'nats://u:hunter2/@h' 'nats://u:hunter2@@h' 'http://u:hunter2@h'; do
		refuses "clusters: {c: {urls: [\"$url\"]}}\n" '1:23: ' 'nats://host:4222'
		[[ "$stderr" != *hunter* ]]
	done
	chmod 600 ledger.yaml
	accepts 'clusters: {c: {urls: ["nats://u:hunter2@h:4222", "tls://[::1]:4222", "tls://hunter2@h"]}}\n'
	shows clusters.c.urls '[nats://u:***@h:4222, tls://[::1]:4222, tls://***@h] | ledger.yaml:1'
	accepts 'handlers: {h: {domain: d, start: now, exec: [/bin/true, "nats://u:hunter2@h/path"]}}\n'
	! ledgerbox config show | grep hunter
	! ledgerbox config show --format json | grep hunter
}

@test "a password in an address is only taken from a config that nobody else may read" {
	local text='clusters:\n  c:\n    urls: ["nats://h", "nats://u:hunter2@h"]\n'
	for mode in 640 604; do
		: > ledger.yaml
		chmod $mode ledger.yaml
		refuses "$text" '3:24: an address with a password' 'password_file'
		[[ "$stderr" != *hunter* ]]
	done
	chmod 600 ledger.yaml
	accepts "$text"
}

@test "what a cluster needs goes together" {
	refuses 'clusters: {c: {}}\n' '1:15: c: a cluster without addresses' 'nats://host:4222'
	refuses 'clusters: {c: {priority: 3}}\n' '1:15: c: a cluster without addresses'
	local c='clusters: {c: {urls: ["nats://h"], '
	refuses "${c}credentials: a, nkey: b}}\n" '1:58: nkey: a second kind of credentials' 'one of credentials'
	refuses "${c}token_file: a, user: u, password_file: b}}\n" '1:48: token_file: a second kind of credentials'
	refuses "${c}user: u}}\n" '1:42: user: a user without password_file'
	refuses "${c}password_file: u}}\n" '1:51: password_file: a password file without user'
	refuses "${c}tls: {cert: a}}}\n" '1:48: cert: a certificate without its key'
	refuses "${c}tls: {key: a}}}\n" '1:47: key: a key without its certificate'
	chmod 600 ledger.yaml
	refuses 'clusters: {c: {urls: ["nats://a@h"], nkey: b}}\n' '1:44: nkey: a second kind of credentials'
	refuses "clusters: {c: {urls: [$(printf 'nats://h,%.0s' {1..65})]}}\n" '1:22: urls: more than 64 addresses'
	accepts 'clusters: {primary: {priority: 3}}\n'
}

@test "check looks for the files of a cluster, and that secrets are private" {
	local key form
	for key in credentials nkey token_file password_file; do
		form="$key: s"
		[ $key != password_file ] || form='user: u, password_file: s'
		rm -f s
		refuses "clusters:\n  c: {urls: [\"nats://h\"], $form}\n" '2:' 'cannot open s: No such file'
		[[ "$stderr" == *": $key: cannot"* ]]
		mkdir s
		fails 2 ledgerbox config check
		[[ "$stderr" == *"s is not a file"* ]]
		rmdir s
		: > s
		chmod 600 s
		works ledgerbox config check
		for mode in 604 640; do
			chmod $mode s
			fails 14 ledgerbox config check
			[[ "$stderr" == *"ledger.yaml:2:"*"others than the owner may read s"*"chmod 600 s"* ]]
		done
	done
	printf 'group: %s\nclusters: {c: {urls: ["nats://h"], nkey: s}}\n' "$(id -gn)" > ledger.yaml
	works ledgerbox config check
	: > ca && chmod 644 ca
	accepts 'clusters: {c: {urls: ["nats://h"], tls: {ca: ca}}}\n'
	refuses 'clusters: {c: {urls: ["nats://h"], tls: {ca: no}}}\n' '1:46: ca: cannot open no'
	# Who only appends does not need them.
	works ledgerbox config show
}

@test "check looks for the programs of handlers and commands, and that others cannot write them" {
	local text
	for text in 'handlers: {h: {domain: d, start: now, exec: [./p]}}' \
		'commands: [{stream_type: t, command: h, exec: [./p]}]'; do
		rm -f p
		echo "$text" > ledger.yaml
		fails 2 ledgerbox config check
		[[ "$stderr" == *" h: cannot run ./p: No such file"*"see exec in ledger.yaml"* ]]
		: > p
		chmod 777 p
		fails 14 ledgerbox config check
		[[ "$stderr" == *" h: no program is run: ./p can be written by others"* ]]
		chmod 755 p
		works ledgerbox config check
		# Who only reads does not need them.
		rm p
		works ledgerbox config show
	done
}

@test "where a domain goes must make sense" {
	local c='clusters: {x: {urls: ["nats://h"]}, y: {urls: ["nats://i"]}}\n'
	refuses "${c}domains: {a: {mode: both}}\n" "2:21: mode: 'both' is not a choice" 'failover or dual'
	refuses "${c}domains: {a: {replicas: 6}}\n" '2:25: replicas: ' '1 to 5'
	refuses "${c}domains: {a: {stream: a.b}}\n" "2:23: stream: 'a.b' is not a name"
	refuses "${c}domains: {\"*\": {stream: s}}\n" '2:25: stream: each of these domains'
	refuses "${c}domains: {a: {stream: s}, b: {stream: s}}\n" '2:39: stream: another domain has this stream'
	refuses "${c}domains: {a: {mode: dual, clusters: [x]}}\n" '2:21: mode: to write to two clusters'
	refuses "${c}domains: {a: {clusters: [x, x]}}\n" '2:29: this cluster stands here twice'
	local long
	long=$(printf 'd%.0s' {1..64})
	refuses "domains: {$long: {propagate: true}}\n" '1:77: ' 'stream: NAME'
	accepts "domains: {$long: {propagate: true, stream: d}}\n"
	accepts "domains: {$long: {}}\n"
	accepts "${c}domains: {a: {mode: dual}, b: {mode: dual, clusters: [y, x]}}\n"
}

@test "the sync settings have defaults" {
	shows sync.prefix 'ledger | default'
	shows sync.create_streams 'false | default'
	shows sync.claims 'local | default'
	printf 'sync: {create_streams: true}\n' > ledger.yaml
	shows sync.create_streams 'true | ledger.yaml:1'
}

@test "names that refer to others must be listed" {
	refuses 'domains: {inventory: {}}\nstream_types: {p: {domain: inventroy}}\n' \
		"2:28: domain: 'inventroy' is not listed under domains" "did you mean 'inventory'?"
	refuses 'clusters: {shop: {}}\ndomains: {a: {clusters: [shp]}}\n' \
		"2:26: 'shp' is not listed under clusters" "did you mean 'shop'?"
	accepts 'domains: {"*": {}}\nstream_types: {p: {domain: inventory}}\n'
	accepts 'stream_types: {p: {domain: inventory}}\n'
}

@test "show says where every value came from" {
	cat > ledger.yaml <<-'END'
		node: store-a
		timeout: 2s
		keys: {sign: a.key, verify: [b.key, /k/c.key]}
		domains:
		  inventory:
		    tags_from: {product: $.product_id}
		    max_age: 30d
		reducers:
		  product:
		    initial: '{"n":0}'
		    apply:
		      "*": |
		        select 1
		        -- and no more
		commands:
		  - {stream_type: product, command: go, exec: [/bin/go, now]}
	END
	shows config 'ledger.yaml | default'
	shows node 'store-a | ledger.yaml:1'
	shows timeout '2s | ledger.yaml:2'
	shows keys.verify '[b.key, /k/c.key] | ledger.yaml:3'
	shows domains.inventory.tags_from.product '$.product_id | ledger.yaml:6'
	shows domains.inventory.max_age '30d | ledger.yaml:7'
	shows reducers.product.initial '{"n":0} | ledger.yaml:10'
	shows commands.0.exec '[/bin/go, now] | ledger.yaml:16'
	works ledgerbox config show
	# Each setting is one line, a text of several lines too.
	[ "$(printf '%s\n' "$output" | grep -c 'ledger.yaml:\|default')" -eq "$(printf '%s\n' "$output" | wc -l)" ]
	[[ "$output" == *'select 1\x0A'* ]]
}

@test "paths in the config are relative to it, those of flags and environment to here" {
	mkdir conf
	printf 'database: a.db\nkeys: {sign: /k/s.key, verify: [v.key]}\nstate_dir: st\n' > conf/ledger.yaml
	shows database 'conf/a.db | conf/ledger.yaml:1' --config conf/ledger.yaml
	shows keys.sign '/k/s.key | conf/ledger.yaml:2' --config conf/ledger.yaml
	shows keys.verify '[conf/v.key] | conf/ledger.yaml:2' --config conf/ledger.yaml
	shows state_dir 'conf/st | conf/ledger.yaml:3' --config conf/ledger.yaml
	shows database 'b.db | --database' --config conf/ledger.yaml --database b.db
	shows keys.sign 'b.key | --key-file' --config conf/ledger.yaml --key-file b.key
	: > conf/empty.yaml
	shows database 'conf/ledger.db | default' --config conf/empty.yaml
	LEDGERBOX_CONFIG=conf/ledger.yaml LEDGER_DB_PATH=c.db shows database 'c.db | environment LEDGER_DB_PATH'
}

@test "precedence: defaults, config, environment, flags" {
	shows database 'ledger.db | default'
	printf 'database: y.db\nnode: y\ntimeout: 3s\n' > ledger.yaml
	shows database 'y.db | ledger.yaml:1'
	export LEDGER_DB_PATH=e.db LEDGER_NODE_ID=e
	shows database 'e.db | environment LEDGER_DB_PATH'
	shows node 'e | environment LEDGER_NODE_ID'
	shows database 'f.db | --database' --database f.db
	shows timeout '250ms | --timeout' --timeout 250ms
	# Named by hand, the config stands alone.
	shows database 'y.db | ledger.yaml:1' --config ledger.yaml
	shows node 'y | ledger.yaml:2' --config ./ledger.yaml
	LEDGER_DB_PATH='' shows database 'y.db | ledger.yaml:1'
}

@test "the config is --config, then LEDGERBOX_CONFIG, then ledger.yaml" {
	printf 'node: here\n' > ledger.yaml
	printf 'node: env\n' > env.yaml
	printf 'node: flag\n' > flag.yaml
	shows node 'here | ledger.yaml:1'
	export LEDGERBOX_CONFIG=env.yaml
	shows node 'env | env.yaml:1'
	shows config 'env.yaml | environment LEDGERBOX_CONFIG'
	shows node 'flag | flag.yaml:1' --config flag.yaml
	LEDGERBOX_CONFIG=nowhere.yaml fails 2 ledgerbox config check
	[[ "$stderr" == *"nowhere.yaml (environment LEDGERBOX_CONFIG)"* ]]
	fails 2 ledgerbox config check --config nowhere.yaml
	[[ "$stderr" == *"nowhere.yaml (--config)"* ]]
	fails 2 ledgerbox config check --config .
}

@test "a config that may not be read is refused, not passed over" {
	[ "$(id -u)" -ne 0 ] || skip "root reads everything"
	printf 'node: a\n' > ledger.yaml
	chmod 0 ledger.yaml
	fails 14 ledgerbox config check
	[[ "$stderr" == *"Permission denied"* ]]
}

@test "another database drops the config's node, unless --config is given" {
	printf 'node: a\ndatabase: a.db\n' > ledger.yaml
	: > a.db
	ln a.db same.db
	shows node 'None | default' --database other.db
	shows node 'a | ledger.yaml:1' --database a.db
	shows node 'a | ledger.yaml:1' --database ./same.db
	shows node 'a | ledger.yaml:1' --config ledger.yaml --database other.db
	LEDGER_DB_PATH=other.db shows node 'None | default'
	LEDGER_NODE_ID=e shows node 'e | environment LEDGER_NODE_ID' --database other.db
}

@test "the environment is checked like the config" {
	LEDGER_NODE_ID=localhost fails 2 ledgerbox config check
	[[ "$stderr" == *"LEDGER_NODE_ID: 'localhost'"* ]]
	NATS_PRIMARY_URL=nats://u:hunter2@ fails 2 ledgerbox config show
	[[ "$stderr" == *"NATS_PRIMARY_URL: "* && "$stderr" != *hunter* ]]
	fails 2 ledgerbox config show --timeout 2h
	[[ "$stderr" == *"--timeout: "*"out of range"* ]]
	fails 2 ledgerbox config show --timeout 0
}

@test "a key in the environment is taken with a warning and never shown" {
	local key
	key=$(printf 'ab%.0s' $(seq 32))
	export LEDGER_HMAC_KEY=$key
	works ledgerbox config show
	[[ "$stderr" == *"LEDGER_HMAC_KEY"* && "$output" == *"environment LEDGER_HMAC_KEY"* ]]
	[[ "$output$stderr" != *abab* ]]
	shows keys.sign 'x.key | --key-file' --key-file x.key
	LEDGER_HMAC_KEY=${key}ab fails 2 ledgerbox config show
	[[ "$stderr" == *"64 hex digits"* && "$stderr" != *abab* ]]
	: > c.yaml
	works ledgerbox config show --config c.yaml
	[ -z "$stderr" ]
}

@test "clusters of the environment take the place of the config's urls" {
	printf 'clusters: {primary: {urls: ["nats://old"], priority: 2}}\ndomains: {a: {clusters: [primary, secondary]}}\n' > ledger.yaml
	fails 2 ledgerbox config check
	export NATS_PRIMARY_URL=nats://u:hunter2@a:4222,nats://b NATS_SECONDARY_URL=tls://c
	shows clusters.primary.urls '[nats://u:***@a:4222, nats://b] | environment NATS_PRIMARY_URL'
	shows clusters.primary.priority '2 | ledger.yaml:1'
	shows clusters.secondary.urls '[tls://c] | environment NATS_SECONDARY_URL'
	[ "$(ledgerbox config show | grep -c clusters.primary.urls)" -eq 1 ]
}

@test "the example of the manual page is a config" {
	local page=$BATS_TEST_DIRNAME/../../man/ledgerbox-config.5.scd
	awk '/^```/ { inside = !inside; next } inside' "$page" > ledger.yaml
	[ -s ledger.yaml ]
	sed -i 's|exec: \[/usr/local/bin/[a-z-]*|exec: [/bin/true|' ledger.yaml
	(umask 077 && touch store-a.creds store-a.password ca.pem)
	works ledgerbox config check
	shows domains.inventory.tags_from.product '$.product_id | ledger.yaml:'"$(grep -n tags_from ledger.yaml | head -1 | cut -d: -f1)"
}

# The keys that the manual page explains, one per line.
documented() {
	sed -n '/^# KEYS/,/^# TAGS/p' "$BATS_TEST_DIRNAME/../../man/ledgerbox-config.5.scd" |
		grep '^\*' | grep -o '[a-z_A-Z.]*'  | grep .
}

@test "every key of the manual page is known" {
	local key opened closed
	[ "$(documented | wc -l)" -gt 25 ]
	for key in $(documented); do
		opened=${key//./: \{}
		closed=${key//[^.]/}
		printf '%s: 1%s\n' "$opened" "${closed//./\}}" > ledger.yaml
		run ledgerbox config check
		[[ "$output" != *"unknown key"* ]] || {
			echo "$key: $output"
			return 1
		}
	done
}

@test "every key is in the manual page" {
	local key
	works ledgerbox init --node store-a -q
	sed -E -i 's/^( *)#([a-z"]|  )/\1\2/' ledger.yaml
	for key in $(ledgerbox config show | cut -d' ' -f1 |
		sed -E 's/^(domains|stream_types|clusters|handlers|projections)\.[^.]*/\1.NAME/; s/^(projections.NAME.apply)\..*/\1.TYPE/; s/^(commands|upcast)\..*/\1/; s/^reducers\.[^.]*$/reducers/; s/^reducers\.[^.]*/reducers.NAME/; s/(reducers.NAME.apply)\..*/\1/; s/(tags_from)\..*/\1/; s/^(domains).NAME$/\1/; /^config$/d' | sort -u); do
		documented | grep -qxF "$key" || {
			echo "not in the page: $key"
			return 1
		}
	done
}

@test "usage" {
	fails 2 ledgerbox config
	fails 2 ledgerbox config chek
	fails 2 ledgerbox config check extra
	fails 2 ledgerbox config show --format tsv
	works ledgerbox config show
	works ledgerbox config --help
}

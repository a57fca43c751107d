# What README.md and the pages show is what happens: their commands are run.

load helper

README=$BATS_TEST_DIRNAME/../../README.md
PAGES=$BATS_TEST_DIRNAME/../../man

# --- README.md

# The lines of all ```console blocks.
shown() {
	sed -n '/^```console$/,/^```$/ { /^```/d; p }' "$README"
}

# A script that shows each command as README.md does and runs it. "$ " begins a command, "> " goes on
# with it, what else there is was its output. Servers and daemons end with the script.
script() {
	echo "trap 'kill \$(jobs -p) 2> /dev/null; wait' EXIT"
	shown | awk '
		function run() {
			if (command == "") return
			# What is shown must not change $? for the command that asks for it.
			printf "last=$?\ncat <<\\SHOWN\n%sSHOWN\n(exit $last)\n%s", as_shown, command
			command = as_shown = ""
		}
		/^\$ / { run() }
		/^\$ / || (/^> / && command != "") {
			as_shown = as_shown $0 "\n"
			command = command substr($0, 3) "\n"
			next
		}
		{ run() }
		END { run() }'
}

# What differs from run to run becomes a word. Ids, hashes, epochs and keys get numbers in the order in
# which they first stand there: two that are the same in one text must be the same in the other.
without_volatile() {
	sed -E -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z?/TIME/g' \
		-e 's/[0-9.]+ (B|[KMGT]iB)/SIZE/g' \
		-e 's/[0-9]+ (s|m|min|h) ago/AGE ago/g' \
		-e 's|^/.*/ledgerbox  state folder$|STATE  state folder|' \
		-e 's/^.*(events are never changed).*$/\1/' \
		-e 's/ +$//' |
		perl -pe 's/([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{12,})/"HEX" . ($seen{$1} \/\/= ++$n)/ge'
}

# That of the page may be taken here. Below those that the kernel gives to outgoing connections.
free_port() {
	local port
	while port=$((RANDOM % 4000 + 10000)) && (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do :; done
	echo "$port"
}

@test "README.md: every command prints what is shown below it" {
	[ "$(shown | grep -c '^\$ ')" -ge 25 ]
	local port
	port=$(free_port)
	script | sed "s/14222/$port/g" > "$WORK.script"
	bash "$WORK.script" > "$WORK.out" 2>&1 < /dev/null 3>&-
	diff -u --label README.md <(shown | without_volatile) \
		--label 'what happens' <(sed "s/\<$port\>/14222/g" "$WORK.out" | without_volatile)
}

@test "README.md: what a test must not overlook differs without what is volatile" {
	differ() {
		[ "$(without_volatile <<< "$1")" != "$(without_volatile <<< "$2")" ]
	}
	same() {
		[ "$(without_volatile <<< "$1")" = "$(without_volatile <<< "$2")" ]
	}
	same 'a 0123456789abcdef b 0123456789abcdef' 'a fedcba9876543210 b fedcba9876543210'
	differ 'a 0123456789abcdef b 0123456789abcdef' 'a fedcba9876543210 b fedcba9876543211'
	same 'at 2026-11-20 17:30:00' 'at 2027-01-02 03:04:05'
	differ 'verified events 1..4 of 4' 'verified events 1..5 of 5'
	differ '{"quantity":12}' '{"quantity":13}'
}

@test "README.md: its links lead somewhere" {
	grep -oE '\]\([^)]+\)' "$README" | tr -d '])(' | while read -r target; do
		case $target in
		'#'*) grep -E '^## ' "$README" | tr 'A-Z ' 'a-z-' | grep -q "^##-${target#'#'}$" ;;
		*) [ -e "$BATS_TEST_DIRNAME/../../$target" ] ;;
		esac || echo "$target"
	done > "$WORK/lost"
	grep -oE '`(tests|cmd|lib|man|completions)/[A-Za-z0-9_./-]+`' "$README" | tr -d '`' | sort -u |
		grep -v NAME | while read -r path; do
		[ -e "$BATS_TEST_DIRNAME/../../$path" ] || echo "$path"
	done >> "$WORK/lost"
	run ! grep . "$WORK/lost"
}

# --- Pages

# The examples of a page, one command on a line: what stands indented or between ``` in EXAMPLES. A
# line that ends in a backslash goes on.
examples() {
	awk '
		/^# / { here = $0 == "# EXAMPLES" }
		here && /^```/ { fenced = !fenced; next }
		here && (fenced || /^\t/ || goes_on) {
			goes_on = !fenced && /\+\+$/
			sub(/\+\+$/, "")
			sub(/^\t/, "")
			gsub(/\\\\/, "\\")
			if (!fenced) gsub(/\\_/, "_")
			if (sub(/\\$/, "")) printf "%s", $0
			else print
		}' "$1"
}

# Needs another machine or a server, files or rights of the system, a certain event, or never ends.
cannot_run_alone() {
	[[ $1 =~ ssh\ |systemctl\ |serve-sync|daemon_down|verify\ --peers|recover\ --(reason|dry-run)|/(mnt|srv|etc|usr|var)/|~/|-f$|0193a5c2|0f3a9c2e|1763658000123456 ]]
}

# A ledger as the examples think of it, and the files that they name.
a_ledger_for_examples() {
	a_ledger
	{
		for stream in product/sku-1 product/sku-1 product/sku-1 $(seq -f order/%g 1 50); do
			echo "{\"domain\":\"inventory\",\"type\":\"stock_adjusted\",\"stream\":\"$stream\",\"payload\":1}"
		done
	} | ledgerbox append -q
	ledgerbox cursor set mail 3 -q
	ledgerbox verify -q
	ledgerbox status --heads > heads.txt
	ledgerbox backup copy.db -q > /dev/null
	echo '{"sku":"sku-1"}' > order.json
	cp ledger.key store-a.key
	cat >> ledger.yaml <<- 'END'
	projections:
	  stock: {database: stock.db, schema: stock.sql, apply: {stock_adjusted: "insert into stock values (:stream_key)"}}
	END
	cat >> ledger.yaml <<- 'END'
	handlers:
	  low-stock: {domain: inventory, type: stock_adjusted, exec: [/bin/true], start: now}
	END
	cat >> ledger.yaml <<- 'END'
	commands:
	  - {stream_type: product, command: update_price, exec: [/bin/true]}
	  - {stream_type: product, command: reserve, exec: [/bin/true]}
	END
	echo '{"stream":"product/sku-1","command":"reserve","payload":{"n":2}}' > commands.jsonl
	echo 'create table stock (sku text)' > stock.sql
	export number=17
}

# Some examples are about a ledger that is not there yet, or that is not the one it was.
make_ready() {
	case $1 in
	*\ init\ *) rm -f ledger.* ;;
	*\ own\ *) ledgerbox own claim product/sku-1 -q ;;
	*\ recover\ *) cp ledger.db other && mv other ledger.db ;;
	esac
}

@test "the examples of every page run" {
	for page in "$PAGES"/*.1.scd; do
		examples "$page" > "$WORK.examples"
		[ -s "$WORK.examples" ] || { echo "$page has no examples"; return 1; }
		while read -r example <&7; do
			cannot_run_alone "$example" && continue
			rm -rf "$WORK.one" "${XDG_STATE_HOME:?}"/*
			mkdir "$WORK.one"
			cd "$WORK.one"
			a_ledger_for_examples
			make_ready "$example"
			bash -o pipefail -c "$example" > "$WORK.said" 2>&1 || {
				echo "exit code $?: $example ($page)"
				cat "$WORK.said"
				return 1
			}
			echo "$example" >> "$WORK.ran"
		done 7< "$WORK.examples"
	done
	# Most of them can run: a rule above that leaves out too much must not go unseen.
	[ "$(wc -l < "$WORK.ran")" -ge 25 ]
}

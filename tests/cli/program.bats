# The program around the commands: names, help, pages, errors, output, links and completion.

load helper

PAGES=$BATS_TEST_DIRNAME/../../man
SHIMS=$BATS_TEST_DIRNAME/../../completions

commands() {
	ledgerbox __complete -- '' | cut -f1
}

linked_commands() {
	commands | grep -vx -e help -e install-links
}

# The rows of one section of a help: "-a, --after <position>".
help_options() {
	awk -v wanted="$1:" '/^[A-Z]/ { section = $0 } section == wanted' |
		sed -nE 's/^(  -., |      )(--[a-z-]+( <[^>]+>)?).*/\1\2/p' | sed 's/^ *//'
}

# The same out of a page's source: page_options SECTION FILE
page_options() {
	awk -v wanted="# $1" '/^# / { section = $0 } section == wanted' "$2" |
		grep '^\*-' | tr -d '*\\'
}

complete() {
	ledgerbox __complete -- "$@" | cut -f1
}

# A command that has to fail. (A line that begins with ! never fails a test.)
refute() {
	! "$@"
}

# What a terminal would be sent: on_terminal COMMAND…
on_terminal() {
	script -qec "$*" /dev/null < /dev/null
}

# --- Help and pages

@test "every help goes to stdout, fits 80 columns, and help NAME prints the same" {
	for name in $(commands); do
		works ledgerbox "$name" --help
		[ -z "$stderr" ]
		[[ $output == "Usage: ledgerbox $name "* ]]
		refute grep -E '.{81}' <<< "$output"
		[ "$output" = "$(ledgerbox help "$name")" ]
		[ "$output" = "$(ledgerbox "$name" -h)" ]
	done
	works ledgerbox --help
	[ -z "$stderr" ]
	refute grep -E '.{81}' <<< "$output"
	[ "$output" = "$(ledgerbox help)" ]
}

@test "the help of the program lists every command" {
	for name in $(commands); do
		ledgerbox --help | grep -qE "^  $name +[A-Z]|^  $name$"
	done
}

@test "every command has a page that scdoc takes, named in ledgerbox(1)" {
	for name in $(commands); do
		page=$PAGES/ledgerbox-$name.1.scd
		[ "$(head -n 1 "$page")" = "ledgerbox-$name(1)" ]
		grep -q "ledgerbox-$name.1" "$PAGES/meson.build"
		grep -q "^\*$name\*" "$PAGES/ledgerbox.1.scd"
		for section in NAME SYNOPSIS DESCRIPTION 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
			grep -qx "# $section" "$page" || { echo "$name: no $section"; return 1; }
		done
	done
	for page in "$PAGES"/*.scd; do
		scdoc < "$page" > /dev/null
		grep -q "'$(basename "$page" .scd)'" "$PAGES/meson.build"
	done
}

@test "the options of every help are those of its page" {
	for name in $(commands); do
		diff <(ledgerbox "$name" --help | help_options Options | sort) \
			<(page_options OPTIONS "$PAGES/ledgerbox-$name.1.scd" | sort) ||
			{ echo "in $name"; return 1; }
	done
	diff <(ledgerbox --help | help_options Options) <(page_options OPTIONS "$PAGES/ledgerbox.1.scd")
}

@test "the common options of every help are those of ledgerbox(1)" {
	page_options 'COMMON OPTIONS' "$PAGES/ledgerbox.1.scd" > page
	[ "$(wc -l < page)" -eq 8 ]
	for name in $(commands); do
		diff <(ledgerbox "$name" --help | help_options 'Common options') page
	done
}

@test "the exit codes of the help are those of ledgerbox(1)" {
	ledgerbox help exit-codes | sed -n '/^Exit codes:/,/^$/ s/^  //p' > help
	[ "$(grep -c '^ *[0-9]' help)" -eq 18 ]
	awk '/^# / { section = $0 } section == "# EXIT STATUS"' "$PAGES/ledgerbox.1.scd" |
		sed -n '/^```$/,/^```$/ { /^```$/d; p }' | diff help -
}

# --- Names and mistakes

@test "alone it prints its help to stderr and fails with 2" {
	fails 2 ledgerbox
	[ -z "$output" ]
	[ "$stderr" = "$(ledgerbox --help)" ]
}

@test "the version needs neither config nor ledger" {
	printf 'nonsense: [' > ledger.yaml
	export LEDGERBOX_CONFIG=missing.yaml
	works ledgerbox --version
	[[ $output =~ ^ledgerbox\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
	[ "$(ledgerbox --version --format json | jq -r '.name + " " + .version')" = "$output" ]
}

@test "an unknown command is a usage error that names the nearest" {
	fails 2 ledgerbox apend
	[ -z "$output" ]
	[ "${stderr_lines[0]}" = "ledgerbox: there is no command 'apend'" ]
	[ "${stderr_lines[1]}" = "hint: did you mean append?" ]
	[ "${stderr_lines[2]}" = "see 'ledgerbox --help'" ]
	fails 2 ledgerbox xyzzy
	[[ $stderr != *"did you mean"* ]]
	fails 2 ledgerbox help apend
	[[ $stderr == *"did you mean append?"* ]]
}

@test "an unknown option is a usage error of every command" {
	for name in $(commands); do
		fails 2 ledgerbox "$name" --no-such-thing
		[ "${stderr_lines[0]}" = "ledgerbox $name: unknown option '--no-such-thing'" ]
		[ "${stderr_lines[-1]}" = "see 'ledgerbox $name --help'" ]
	done
	fails 2 ledgerbox tail --formta json
	[[ $stderr == *"did you mean --format?"* ]]
}

@test "long options are never abbreviated" {
	fails 2 ledgerbox tail --forma json
	[[ $stderr == *"did you mean --format?"* ]]
}

@test "a format that a command does not have is a usage error" {
	fails 2 ledgerbox help --format json
	fails 2 ledgerbox tail --format xml
	[[ $stderr == *"text"*"json"* ]]
}

@test "a verb that is missing or unknown is a usage error that lists them" {
	fails 2 ledgerbox cursor
	[[ $stderr == *"hint: one of: list, show, set, delete"* ]]
	fails 2 ledgerbox cursor lst
	[[ $stderr == *"'lst'"*"list, show, set, delete"* ]]
}

@test "an error is one JSON object on stderr where JSON is asked for" {
	for words in 'tail --no-such-thing --format json' '--format=json tail --no-such-thing' 'tail --format json'; do
		fails 2 ledgerbox $words --config missing.yaml
		[ -z "$output" ]
		[ "${#stderr_lines[@]}" -eq 1 ]
		jq -e '.code == 2 and .status == "usage" and .retryable == false and (.message | length > 0)' <<< "$stderr"
	done
}

@test "control characters in a message are shown, not sent" {
	fails 2 ledgerbox $'\e[31m\nx'
	[ "${stderr_lines[0]}" = "ledgerbox: there is no command '\\x1B[31m\\x0Ax'" ]
}

@test "common options may stand before the command's name" {
	ledgerbox init --node store-a -q
	mkdir elsewhere
	cd elsewhere
	fails 2 ledgerbox --config missing.yaml tail
	works ledgerbox --config ../ledger.yaml tail
	works ledgerbox tail --config ../ledger.yaml
}

# --- stdout and stderr

@test "a closed stdout is an error when something is printed" {
	a_ledger
	a_few 2
	fails 23 bash -c 'exec ledgerbox tail >&-'
	[[ $stderr == *"stdout is closed"* ]]
	fails 23 bash -c 'exec ledgerbox --version >&-'
	fails 0 bash -c 'exec ledgerbox verify -q >&-'
}

@test "a closed descriptor is never taken by the ledger's file" {
	a_ledger
	a_few 2
	bash -c 'exec ledgerbox tail <&- >&- 2>&-' || [ $? -eq 23 ]
	works ledgerbox verify
}

@test "a full stdout is an error" {
	a_ledger
	a_few 2
	fails 24 bash -c 'exec ledgerbox tail > /dev/full'
	fails 24 bash -c 'exec ledgerbox --help > /dev/full'
}

@test "a reader that goes away ends the command quietly" {
	a_ledger
	a_few 3000
	ledgerbox tail -n all --format json 2> err | head -n 1 > first
	[ "${PIPESTATUS[0]}" -eq 0 ]
	[ ! -s err ]
	[ "$(wc -l < first)" -eq 1 ]
}

@test "colour is for terminals, and NO_COLOR and a dumb one are respected" {
	a_ledger
	a_few 2
	export TERM=xterm
	NO_COLOR='' on_terminal ledgerbox tail | grep -q $'\e\\['
	refute grep -q $'\e' <(on_terminal ledgerbox tail)
	refute grep -q $'\e' <(NO_COLOR='' TERM=dumb on_terminal ledgerbox tail)
	refute grep -q $'\e' <(NO_COLOR='' ledgerbox tail)
}

@test "a terminal gets no control character from an event in any format, a pipe gets the bytes" {
	a_ledger
	evil=$(printf 'a\302\233b\342\200\256c\177')
	ledgerbox append -d inventory -t seen -s product/sku-1 "{\"x\":\"$evil\"}" > /dev/null
	[[ $(ledgerbox tail --format json) == *"$evil"* ]]
	for format in text json tsv payload; do
		on_terminal ledgerbox tail --format $format > shown
		grep -q product/sku-1 shown || [ $format = payload ]
		LC_ALL=C refute grep -qP '\xC2\x9B|\xE2\x80\xAE|\x7F' shown
	done
	on_terminal ledgerbox tail --format payload | grep -qF 'a\xC2\x9Bb\xE2\x80\xAEc\x7F'
}

@test "-o replaces a file as a whole and keeps its mode" {
	a_ledger
	a_few 2
	umask 027
	works ledgerbox tail --format json -o out
	[ -z "$output" ]
	[ "$(wc -l < out)" -eq 2 ]
	[ "$(stat -c %a out)" = 640 ]
	chmod 600 out
	ln -s out link
	exec 7< out
	a_few 1
	works ledgerbox tail --format json -o link
	[ -L link ]
	[ "$(wc -l < out)" -eq 3 ]
	[ "$(stat -c %a out)" = 600 ]
	[ "$(wc -l <&7)" -eq 2 ]
	[ -z "$(find . -name '.out.*')" ]
}

@test "-o leaves the old file, and nothing else, when the command fails" {
	a_ledger
	a_few 1
	echo old > out
	fails 1 ledgerbox show 99 -o out
	fails 2 ledgerbox tail -o missing/out
	[ "$(cat out)" = old ]
	[ -z "$(find . -name '.out.*')" ]
}

@test "-o writes to what is not a file as it stands" {
	a_ledger
	a_few 2
	mkfifo pipe
	cat pipe > got &
	works ledgerbox tail --format json -o pipe
	wait $!
	[ -p pipe ]
	[ "$(wc -l < got)" -eq 2 ]
	[ "$(ledgerbox tail --format json -o -)" = "$(cat got)" ]
}

# --- Links

@test "links run the commands they are named after" {
	mkdir links
	works ledgerbox install-links links
	[ "$(ls links | sed s/ledger-//)" = "$(linked_commands | sort)" ]
	[ "${#lines[@]}" -eq "$(linked_commands | wc -l)" ]
	for name in $(linked_commands); do
		[ "$(links/ledger-$name --help)" = "$(ledgerbox help $name)" ]
	done
	ln -s "$(realpath links/ledger-tail)" links/ledger-nonsense
	fails 2 links/ledger-nonsense
}

@test "links are replaced by links, other files are never touched" {
	mkdir links
	ln -s /old/place/ledgerbox links/ledger-tail
	works ledgerbox install-links links --format json
	[ "$(jq -r .link <<< "$output" | head -n 1)" = links/ledger-init ]
	links/ledger-tail --help > /dev/null
	rm links/ledger-init links/ledger-show
	echo mine > links/ledger-show
	fails 14 ledgerbox install-links links
	[ "$(cat links/ledger-show)" = mine ]
	[ ! -e links/ledger-init ]
	fails 2 ledgerbox install-links missing
	fails 2 ledgerbox install-links
}

# --- Completion

@test "commands, verbs and options are offered" {
	[ "$(complete app)" = append ]
	ledgerbox append --help | grep -qxF "$(ledgerbox __complete -- app | cut -f2)"
	[ "$(complete --vers)" = --version ]
	[ "$(complete cursor '' | tr '\n' ' ')" = 'list show set delete ' ]
	[ "$(complete help ex)" = exit-codes ]
	[ "$(complete append --atom)" = --atomic ]
	[ "$(complete append --key)" = --key-file ]
	[ "$(complete append -- --atom)" != --atomic ]
	[ -z "$(complete nonsense --)" ]
}

@test "every option of every help is offered" {
	for name in $(commands); do
		diff <(ledgerbox "$name" --help | grep -oE '^(  -., |      )--[a-z-]+' | grep -oE -e '--[a-z-]+' | sort) \
			<(complete "$name" -- | sort) && continue
		echo "in $name"
		return 1
	done
}

@test "values of options are offered, behind a blank and behind =" {
	[ "$(complete tail --format t | tr '\n' ' ')" = 'text tsv ' ]
	[ "$(complete tail --format=pay)" = --format=payload ]
	[ "$(complete tail --config '')" = :file ]
	[ "$(complete tail --state-dir=)" = :folder ]
}

@test "streams, domains, types, tags and cursors of the ledger are offered" {
	a_ledger
	a_few 2
	ledgerbox cursor set shipped 1 > /dev/null
	[ "$(complete tail --stream prod)" = product/sku-1 ]
	[ "$(complete tail --domain=inv)" = --domain=inventory ]
	[ "$(complete tail --domain _x,inv)" = _x,inventory ]
	[ "$(complete tail --type '')" = stock_adjusted ]
	[ "$(complete tail --tag product:)" = product:sku-1 ]
	[ "$(complete cursor show '')" = shipped ]
	mkdir elsewhere
	cd elsewhere
	[ -z "$(complete tail --stream prod)" ]
	[ "$(complete tail --database ../ledger.db --stream prod)" = product/sku-1 ]
	[ "$(complete --database ../ledger.db tail --stream prod)" = product/sku-1 ]
}

@test "completion without a ledger, or with a broken config, is empty and no error" {
	works ledgerbox __complete -- tail --stream ''
	[ -z "$output" ]
	printf 'nonsense: [' > ledger.yaml
	works ledgerbox __complete -- tail --stream ''
	[ -z "$output" ]
	works ledgerbox __complete --
}

# What bash offers at the end of a line: bash_offers LINE WORD-UNDER-THE-CURSOR
bash_offers() {
	bash --norc -c '
		source "$1"
		compopt() { :; }
		COMP_LINE=$2 COMP_POINT=${#2}
		_ledgerbox "${2%% *}" "$3"
		printf "%s\n" "${COMPREPLY[@]}"' - "$SHIMS/ledgerbox.bash" "$@"
}

@test "bash: the shim offers what the program says" {
	a_ledger
	a_few 2
	[ "$(bash_offers 'ledgerbox app' app)" = append ]
	[ "$(bash_offers 'ledger-append --atom' --atom)" = --atomic ]
	[ "$(bash_offers '/usr/bin/ledger-tail --stream prod' prod)" = product/sku-1 ]
	[ "$(bash_offers 'ledgerbox tail --domain=inv' inv)" = inventory ]
	[ "$(bash_offers 'ledgerbox tail --domain=' '')" = inventory ]
	[ "$(bash_offers 'ledgerbox tail --tag product:' '')" = sku-1 ]
	[ "$(bash_offers 'ledgerbox tail --config ledger.y' ledger.y)" = ledger.yaml ]
	bash_offers 'ledgerbox tail ' '' > /dev/null
}

@test "bash, zsh and fish know every link by name" {
	for name in ledgerbox $(linked_commands | sed s/^/ledger-/); do
		bash --norc -c 'source "$1" && complete -p "$2"' - "$SHIMS/ledgerbox.bash" "$name" > /dev/null
		[[ " $(head -n 1 "$SHIMS/_ledgerbox") " == *" $name "* ]]
		! command -v fish > /dev/null ||
			[ -n "$(fish --no-config -c "source $SHIMS/ledgerbox.fish; complete -c $name")" ]
	done
	for name in $(linked_commands); do
		grep -q "'$name'" "$SHIMS/meson.build"
	done
}

@test "fish: the shim offers what the program says" {
	command -v fish > /dev/null || skip "fish is not installed"
	a_ledger
	a_few 2
	offers() {
		fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$SHIMS/ledgerbox.fish" "$1" | cut -f1
	}
	[ "$(offers 'ledgerbox app')" = append ]
	[ "$(offers 'ledger-append --atom')" = --atomic ]
	[ "$(offers 'ledgerbox tail --stream prod')" = product/sku-1 ]
	[ "$(offers 'ledgerbox tail --domain=inv')" = --domain=inventory ]
	[ "$(offers 'ledgerbox tail --config=ledger.y')" = --config=ledger.yaml ]
}

@test "zsh: the shim offers what the program says" {
	command -v zsh > /dev/null || skip "zsh is not installed"
	a_ledger
	a_few 2
	# The completion system's own functions only print what they are given.
	cat > stand-in <<- 'EOF'
		_describe() { print -rl -- ${${(P)2}%%:[^:]#} }
		_files() { print -- files }
		compset() { : }
		setopt extendedglob
		words=("$@[2,-1]") CURRENT=$(( $# - 1 ))
		source $1
	EOF
	offers() {
		zsh -f stand-in "$SHIMS/_ledgerbox" "$@"
	}
	[[ "$(offers ledgerbox app)" == append ]]
	[[ "$(offers ledger-append --atom)" == --atomic ]]
	[[ "$(offers ledgerbox tail --stream prod)" == product/sku-1 ]]
	[[ "$(offers ledgerbox tail --tag prod)" == 'product\:sku-1' ]]
	[[ "$(offers ledgerbox tail --config '')" == files ]]
}

@test "a ledger that is missing is none (13), a key file that is missing a matter of the call (2)" {
	local command
	for command in 'tail' 'verify' 'status' 'append -d d -t t 1' 'backup b.db'; do
		fails 13 ledgerbox $command --database nowhere.db
		[[ $stderr == *"there is no ledger nowhere.db"*"ledgerbox init"* ]]
		fails 13 ledgerbox $command --database nowhere/ledger.db
	done
	a_ledger
	fails 2 ledgerbox append --key-file nowhere.key -d d -t t 1
	[[ $stderr == *"there is no key file nowhere.key"*"--key-file"* ]]
	fails 2 ledgerbox verify --key-file nowhere.key
	[[ $stderr == *"--hash-only"* ]]
	fails 13 ledgerbox tail --database nowhere.db --format json
	[[ $stderr == *'"retryable":false'* ]]
}

@test "WAL mode switched off by another program: it is said how to switch it on again" {
	a_ledger
	sqlite3 ledger.db 'pragma journal_mode = delete' > /dev/null
	fails 13 ledgerbox append -d d -t t 1
	[[ $stderr == *"not in WAL mode"*"sqlite3 ledger.db 'PRAGMA journal_mode = WAL'"* ]]
	sqlite3 ledger.db 'PRAGMA journal_mode = WAL' > /dev/null
	works ledgerbox append -d d -t t 1
}

@test "-o takes what stdout is by its name, a pipe too" {
	a_ledger
	a_few 2
	[ "$(ledgerbox tail --format payload -o /dev/stdout | cat)" = "$(ledgerbox tail --format payload)" ]
}

@test "a ledger that everybody can write is read, but takes no events" {
	a_ledger
	a_few 1
	chmod 666 ledger.db
	fails 14 ledgerbox append -d d -t t 1
	[[ $stderr == *"ledger.db can be written by everybody"*"chmod o-w ledger.db"* ]]
	works ledgerbox tail
	works ledgerbox verify
	chmod 660 ledger.db
	works ledgerbox append -d d -t t 1
}

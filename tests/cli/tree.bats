# The rules about the tree, as README.md and the man pages promise them.

load helper

prepare() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
}

commands() {
	ledgerbox __complete -- '' | cut -f1
}

# sources FOLDER …
sources() {
	find "$@" -name '*.[ch]' | sort
}

# What is ours: everything but git's own, builds, and what tests leave behind.
our_files() {
	find . \( -path ./.git -o -path './build*' -o -name __pycache__ -o -path ./tests/bench/out \) -prune \
		-o -type f -not -name '*.swp' -print | cut -c 3- | sort
}

# Prints what it is given on stdin and fails where that is anything.
nothing() {
	! grep .
}

# --- Doors

# has_door HEADER FILE…: of all sources, these alone include it.
has_door() {
	[ "$(sources lib cmd | xargs grep -lE "^ *# *include *<$1>" | xargs)" = "${*:2}" ]
}

# has_users FOLDER FILES: of all sources there, FILES alone include its door.h.
has_users() {
	[ "$(sources "$1" | xargs grep -l '^ *# *include *"door\.h"' | xargs)" = "$2" ]
}

@test "each foreign library is included by one file only, SQLite by one for ledgers and one for projections" {
	has_door 'sqlite3\.h' lib/fold/door.h lib/store/door.h
	has_users lib/store 'lib/store/stmt.c lib/store/store.c lib/store/transaction.c'
	has_users lib/fold 'lib/fold/params.c lib/fold/sealed.c lib/fold/sqlite.c lib/fold/statement.c'
	has_door 'nats(/nats)?\.h' lib/sync/door.h
	has_users lib/sync 'lib/sync/link_nats.c lib/sync/open_nats.c lib/sync/options_nats.c'
	! sources lib cmd | xargs grep -E '^ *# *include *".*/door\.h"'
	has_door 'openssl/[a-z0-9]+\.h' lib/event/chain.c
	has_door 'yaml\.h' cmd/yaml.c
}

@test "no other library is included: what stands in < > is the C library's or the kernel's" {
	sources lib cmd | xargs sed -nE 's/^ *# *include *<([^>]+)>.*/\1/p' | sort -u |
		grep -vxE 'sqlite3\.h|openssl/.*|yaml\.h|nats/nats\.h' > "$WORK/headers"
	[ -s "$WORK/headers" ]
	command -v dpkg-query > /dev/null || skip "no dpkg-query"
	sed 's/.*/#include <&>/' "$WORK/headers" | gcc -D_GNU_SOURCE -xc -E - > "$WORK/all"
	# stdatomic.h, stdarg.h and the like are the compiler's own.
	while read -r header; do
		grep -oEm 1 "/[^\"]*/$header" "$WORK/all" || echo "/no/$header"
	done < "$WORK/headers" | grep -v /lib/gcc/ | xargs realpath -m | xargs dpkg-query -S 2>&1 |
		grep -vE '^(libc6-dev|linux-libc-dev)[:, ]' | nothing
}

# --- Layers

# What files include of ours, as paths from the top, in their order: "FILE INCLUDED" a line. includes FILE ...
includes() {
	awk -F '"' '/^ *# *include *"/ {
		path = FILENAME
		sub(/[^\/]*$/, "", path)
		path = path $2
		while (sub(/[^\/.]+\/\.\.\//, "", path));
		print FILENAME, path
	}' "$@"
}

# only_includes FILES EXPRESSION: what all of these (a folder, or a file) include matches it.
only_includes() {
	[ -n "$(sources "$1")" ] || echo "no sources: $1"
	# shellcheck disable=SC2046 # names without blanks
	includes $(sources "$1") | fine="^($2)\$" awk '$2 !~ ENVIRON["fine"] { print $1, "includes", $2 }'
}

@test "a command includes from lib only its public headers and banned.h" {
	only_includes cmd 'cmd/[^/]+\.h|lib/(ledger|fold|own|peers|replay|send|sync)\.h|lib/base/banned\.h' | nothing
}

@test "includes in lib go down only: base, event, store, fold, own, sync" {
	[ "$(ls -d lib/*/ | tr '\n' ' ')" = 'lib/base/ lib/event/ lib/fold/ lib/own/ lib/store/ lib/sync/ ' ]
	{
		only_includes lib/ledger.h 'lib/(base|event)/[^/]+\.h'
		only_includes lib/fold.h 'lib/ledger\.h'
		only_includes lib/own.h 'lib/ledger\.h'
		only_includes lib/peers.h 'lib/ledger\.h'
		only_includes lib/replay.h 'lib/ledger\.h'
		only_includes lib/send.h 'lib/(fold|replay)\.h'
		only_includes lib/base 'lib/base/[^/]+\.h'
		only_includes lib/event 'lib/(base|event)/[^/]+\.h|lib/ledger\.h'
		only_includes lib/store 'lib/(base|event|store)/[^/]+\.h|lib/(ledger|peers|replay|send)\.h'
		only_includes lib/fold 'lib/(base|event|store|fold)/[^/]+\.h|lib/(ledger|fold|replay)\.h'
		only_includes lib/own 'lib/(base|event|store|fold|own)/[^/]+\.h|lib/(ledger|own|peers|send)\.h'
		only_includes lib/sync 'lib/(base|event|sync)/[^/]+\.h|lib/(ledger|own|peers|send|sync)\.h'
		includes lib/fold/*.[ch] lib/own/*.[ch] | grep ' lib/store/door\.h$' || :
	} | nothing
}

@test "a module includes its own header first and banned.h last" {
	# shellcheck disable=SC2046 # names without blanks
	awk '
		/^ *# *include/ {
			if (!(FILENAME in last)) first[FILENAME] = $0
			last[FILENAME] = $0
		}
		END {
			for (i = 1; i < ARGC; i++) {
				header = own = ARGV[i]
				sub(/c$/, "h", header)
				sub(/.*\//, "", header)
				sub(/c$/, "h", own)
				if ((getline line < own) >= 0 && index(first[ARGV[i]], "\"" header "\"") == 0)
					print ARGV[i], "does not begin with", header
				if (last[ARGV[i]] !~ /"(banned|.*\/base\/banned)\.h"/)
					print ARGV[i], "does not end its includes with banned.h"
			}
		}' $(sources lib cmd | grep '\.c$') | nothing
}

@test "the library does not print, does not exit and does not look at the environment" {
	# banned.h names functions to forbid them.
	export bad='\<(v?[fd]?printf|f?puts|f?putc|putchar|perror|v?warnx?|v?errx?) *\(|\<(stdout|stderr|STDOUT_FILENO|STDERR_FILENO)\>'
	bad+='|\<(_?exit|_Exit|quick_exit) *\(|\<((secure_)?getenv *\(|environ\>)'
	says() {
		gcc -fpreprocessed -dD -E -P -w "$1" > "$WORK/code.$$" || echo "$1 cannot be read"
		grep -E "$bad" "$WORK/code.$$" | sed "s|^|$1: |"
	}
	export -f says
	# shellcheck disable=SC2016 # for the inner shell
	sources lib | grep -v /banned.h | xargs -n 32 -P 2 bash -c 'for file; do says "$file"; done' - | nothing
}

# --- Lists

@test "MACs are compared in constant time, in one place" {
	run ! grep -rnE '(mem|str|strn)cmp\([^;]*mac\b' lib cmd --include=*.c
	grep -A3 '^bool chain_same' lib/event/chain.c | grep -q CRYPTO_memcmp
	[ "$(grep -rlE 'chain_mac\(|chain_sign\(' lib --include=*.c | xargs grep -LE 'chain_same\(')" = lib/store/append.c ]
}

@test "every source is in its meson.build" {
	for file in $(cd lib && ls */*.c); do
		grep -q "'$file'" lib/meson.build || echo "lib/$file"
	done | nothing
	for file in $(cd cmd && ls *.c); do
		grep -q "'$file'" cmd/meson.build || echo "cmd/$file"
	done | nothing
}

@test "every command has a file, a page, tests, and a row in README.md and ledgerbox(1)" {
	[ "$(commands | wc -l)" -ge 12 ]
	for name in $(commands); do
		[ -f "cmd/$name.c" ] || echo "$name: no cmd/$name.c"
		[ -s "man/ledgerbox-$name.1.scd" ] || echo "$name: no page"
		grep -q "'ledgerbox-$name.1'" man/meson.build || echo "$name: its page is not installed"
		case $name in
		help | install-links) grep -q "ledgerbox $name " tests/cli/program.bats ;;
		*) [ -s "tests/cli/$name.bats" ] ;;
		esac || echo "$name: no tests"
		grep -qE "^\| \`$name\` +\| [a-z]" README.md || echo "$name: no row in README.md"
		grep -qx "\*$name\*" man/ledgerbox.1.scd || echo "$name: no row in ledgerbox(1)"
	done | nothing
}

@test "README.md has a line for every folder, and no folder that is not there" {
	awk '/^## The tree/ { here = 1 } here && /^```/ { fence++ } here && fence == 1' README.md |
		sed -nE 's/^( *)([A-Za-z_.]+\/)  .*/\1\2/p' |
		awk '{ top = /^ / ? top : $1; print /^ / ? top $1 : $1 }' | sort > "$WORK/named"
	our_files | sed -nE -e 'h' -e 's|^([^/]+/).*|\1|p' -e 'g' -e 's|^([^/]+/[^/]+/).*|\1|p' | sort -u |
		diff "$WORK/named" -
}

# --- Looks

@test "clang-format has nothing to change" {
	command -v clang-format > /dev/null || skip "no clang-format"
	sources lib cmd tests | xargs -n 32 -P 2 clang-format --dry-run -Werror 2>&1 |
		grep -E '(error|warning): ' | nothing
}

@test "nothing is left to be done in a comment" {
	# Written in two parts, or this file would be found.
	our_files | xargs -d '\n' grep -nwIE 'TO''DO|FIX''ME|X''XX' | nothing
}

# bash completion for ledgerbox and its links: the program itself says what can stand there.
_ledgerbox() {
	local words line quoted before
	read -rd '' -a words <<< "${COMP_LINE:0:COMP_POINT}."
	words[-1]=${words[-1]%.}
	words[0]=${words[0]##*/}
	case ${words[0]} in ledger-*) words[0]=${words[0]#ledger-} ;; *) words=("${words[@]:1}") ;; esac
	before=${words[-1]%"$2"} # "--domain=" of "--domain=inv": bash completes what is behind it only
	while IFS=$'\t' read -r line _; do
		case $line in
		:file) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
		:folder) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
		*) printf -v quoted %q "${line#"$before"}" && COMPREPLY+=("${quoted//\\,/,}") ;;
		esac
	done < <(ledgerbox __complete -- "${words[@]}" 2> /dev/null)
}
complete -F _ledgerbox ledgerbox \
	ledger-{init,append,tail,show,verify,status,replay,state,snapshot,cursor,quarantine,fork,own,send,serve-sync,recover,backup,config}

# fish completion for ledgerbox and its links: the program itself says what can stand there.
function __ledgerbox_complete
    set -l words (commandline -opc) "$(commandline -ct)"
    set -l name (string replace -r '.*/' '' -- $words[1])
    set -e words[1]
    string match -q 'ledger-*' -- $name; and set -p words (string replace ledger- '' -- $name)
    set -l before (string match -r -- '^--[^=]*=' $words[-1])
    for line in (ledgerbox __complete -- $words 2>/dev/null)
        switch $line
            case :file :folder
                set -l paths (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $words[-1]))
                printf "$before%s\n" $paths
            case '*'
                echo $line
        end
    end
end
for name in ledgerbox ledger-{init,append,tail,show,verify,status,replay,state,snapshot,cursor,quarantine,fork,own,send,serve-sync,recover,backup,config}
    complete -c $name -f -a '(__ledgerbox_complete)'
end

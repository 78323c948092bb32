_unshare__rs() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="unshare__rs"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        unshare__rs)
            opts="-m -u -i -n -p -U -C -T -f -R -w -l -r -c -S -G -h -V --mount --uts --ipc --net --pid --user --cgroup --time --fork --kill-child --no-kill-child --forward-signals --init --no-init --pid-file --mount-proc --no-mount-proc --propagation --root --wd --clear-env --whitelist-env --mount-binfmt --load-interp --map-root-user --map-current-user --map-user --map-group --map-users --map-groups --map-auto --map-subids --owner --setgroups --keep-caps --setuid --setgid --hostname --no-loopback --monotonic --boottime --explain --dry-run --help --version --share --userns"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --uts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ipc)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -i)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --net)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -n)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pid)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -U)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cgroup)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -C)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --time)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -T)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --kill-child)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pid-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mount-proc)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --propagation)
                    COMPREPLY=($(compgen -W "private shared slave unchanged" -- "${cur}"))
                    return 0
                    ;;
                --root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -R)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --wd)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -w)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --whitelist-env)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mount-binfmt)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --load-interp)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -l)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --map-user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --map-group)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --map-users)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --map-groups)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --owner)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --setgroups)
                    COMPREPLY=($(compgen -W "allow deny" -- "${cur}"))
                    return 0
                    ;;
                --setuid)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -S)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --setgid)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -G)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hostname)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --monotonic)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --boottime)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --explain)
                    COMPREPLY=($(compgen -W "short see" -- "${cur}"))
                    return 0
                    ;;
                --share)
                    COMPREPLY=($(compgen -W "mount uts ipc net pid user cgroup none" -- "${cur}"))
                    return 0
                    ;;
                --userns)
                    COMPREPLY=($(compgen -W "auto" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

_unshare__rs_operands() {
    local at=1 cur=$2
    while (( at < COMP_CWORD )); do
        case ${COMP_WORDS[at]} in
            --) (( at++ )); break ;;
            --pid-file | --propagation | --root | -R | --wd | -w | --whitelist-env | --load-interp | -l | --map-user | --map-group | --map-users | --map-groups | --owner | --setgroups | --setuid | -S | --setgid | -G | --hostname | --monotonic | --boottime | --share | --userns) [[ ${COMP_WORDS[at+1]} == = ]] || (( at++ )) ;;
            -*) ;;
            *) break ;;
        esac
        (( at++ ))
        while (( at < COMP_CWORD )) && [[ ${COMP_WORDS[at]} == [=:] ]]; do (( at += 2 )); done
    done
    if (( at > COMP_CWORD )) || { (( at == COMP_CWORD )) && [[ $cur == -* ]]; }; then
        _unshare__rs "$@"
        return
    fi
    if (( at == COMP_CWORD )); then
        COMPREPLY=($(compgen -c -- "$cur"))
        return
    fi
    local command=${COMP_WORDS[at]##*/} loader
    for loader in _comp_load _completion_loader; do
        complete -p "$command" &>/dev/null || { declare -F $loader >/dev/null && $loader "$command"; }
    done
    COMP_WORDS=("${COMP_WORDS[@]:at}")
    (( COMP_CWORD -= at ))
    COMP_LINE=${COMP_WORDS[*]} COMP_POINT=${#COMP_LINE}
    if [[ $(complete -p "$command" 2>/dev/null) =~ \ -F\ ([^ ]+) ]]; then
        "${BASH_REMATCH[1]}" "$command" "$cur" "${COMP_WORDS[COMP_CWORD-1]}"
    else
        COMPREPLY=($(compgen -f -- "$cur"))
        compopt -o filenames 2>/dev/null
    fi
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _unshare__rs_operands -o nosort -o bashdefault -o default unshare-rs
else
    complete -F _unshare__rs_operands -o bashdefault -o default unshare-rs
fi

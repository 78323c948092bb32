_chroot__rs() {
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
                cmd="chroot__rs"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        chroot__rs)
            opts="-w -e -h -V --plain --no-mount --read-only --ephemeral --workdir --skip-chdir --changes --list --apply --discard --bind --bind-try --tmpfs --resolv-conf --no-hosts --cgroup --propagation --unmask --share-pid --no-init --keep-fds --userspec --groups --userns --image-config --entrypoint --env --privileged --nosuid --no-new-privs --seccomp --explain --dry-run --help --version --cap-add --cap-drop"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --ephemeral)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --workdir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -w)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --changes)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --list)
                    COMPREPLY=($(compgen -W "text json" -- "${cur}"))
                    return 0
                    ;;
                --apply)
                    COMPREPLY=($(compgen -W "unchanged force" -- "${cur}"))
                    return 0
                    ;;
                --bind)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --bind-try)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tmpfs)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cgroup)
                    COMPREPLY=($(compgen -W "ro rw none" -- "${cur}"))
                    return 0
                    ;;
                --propagation)
                    COMPREPLY=($(compgen -W "private slave" -- "${cur}"))
                    return 0
                    ;;
                --userspec)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --groups)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --userns)
                    COMPREPLY=($(compgen -W "auto" -- "${cur}"))
                    return 0
                    ;;
                --image-config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --entrypoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --env)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --seccomp)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --explain)
                    COMPREPLY=($(compgen -W "short see" -- "${cur}"))
                    return 0
                    ;;
                --cap-add)
                    COMPREPLY=($(compgen -W "ALL CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER KILL MKNOD NET_ADMIN NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETUID SYS_ADMIN SYS_CHROOT SYS_NICE SYS_PTRACE SYS_TIME" -- "${cur}"))
                    return 0
                    ;;
                --cap-drop)
                    COMPREPLY=($(compgen -W "ALL CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER KILL MKNOD NET_ADMIN NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETUID SYS_ADMIN SYS_CHROOT SYS_NICE SYS_PTRACE SYS_TIME" -- "${cur}"))
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

_chroot__rs_operands() {
    local at=1 cur=$2
    while (( at < COMP_CWORD )); do
        case ${COMP_WORDS[at]} in
            --) (( at++ )); break ;;
            --workdir | -w | --changes | --bind | --bind-try | --tmpfs | --cgroup | --propagation | --userspec | --groups | --userns | --image-config | --entrypoint | --env | -e | --seccomp | --cap-add | --cap-drop) [[ ${COMP_WORDS[at+1]} == = ]] || (( at++ )) ;;
            -*) ;;
            *) break ;;
        esac
        (( at++ ))
        while (( at < COMP_CWORD )) && [[ ${COMP_WORDS[at]} == [=:] ]]; do (( at += 2 )); done
    done
    if (( at > COMP_CWORD )) || { (( at == COMP_CWORD )) && [[ $cur == -* ]]; }; then
        _chroot__rs "$@"
        return
    fi
    if (( at == COMP_CWORD )); then
        COMPREPLY=($(compgen -d -- "$cur"))
        compopt -o filenames 2>/dev/null
        return
    fi
    (( at++ ))
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
    complete -F _chroot__rs_operands -o nosort -o bashdefault -o default chroot-rs
else
    complete -F _chroot__rs_operands -o bashdefault -o default chroot-rs
fi

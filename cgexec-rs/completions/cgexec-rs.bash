_cgexec__rs() {
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
                cmd="cgexec__rs"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        cgexec__rs)
            opts="-g -m -b -s -h -V --group --move --memory --memory-high --memory-reservation --memory-low --memory-min --memory-swap --memory-swap-max --oom-group --pids-limit --cpus --cpu-quota --cpu-period --cpu-weight --cpu-shares --cpu-idle --cpuset-cpus --cpuset-mems --io-max --device-read-bps --device-write-bps --device-read-iops --device-write-iops --io-weight --blkio-weight --hugetlb --device --set --cpu-time --wall-time --kill-after --try --parent --name --keep --cgroupns --no-cgroupns --exec --wait --report-file --check --from-top --sticky --explain --dry-run --help --version --manager --report"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --group)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -g)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --memory)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --memory-high)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --memory-low)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --memory-reservation)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --memory-min)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --memory-swap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --memory-swap-max)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pids-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpus)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpu-quota)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpu-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpu-weight)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpu-shares)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpuset-cpus)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpuset-mems)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --io-max)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device-read-bps)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device-write-bps)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device-read-iops)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device-write-iops)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --io-weight)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --blkio-weight)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hugetlb)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --set)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpu-time)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --wall-time)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --kill-after)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --parent)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --report-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --explain)
                    COMPREPLY=($(compgen -W "short see" -- "${cur}"))
                    return 0
                    ;;
                --manager)
                    COMPREPLY=($(compgen -W "auto systemd cgroupfs none" -- "${cur}"))
                    return 0
                    ;;
                --report)
                    COMPREPLY=($(compgen -W "human json runexec" -- "${cur}"))
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

_cgexec__rs_operands() {
    local at=1 cur=$2
    while (( at < COMP_CWORD )); do
        case ${COMP_WORDS[at]} in
            --) (( at++ )); break ;;
            --group | -g | --memory | -m | --memory-high | --memory-low | --memory-reservation | --memory-min | --memory-swap | --memory-swap-max | --pids-limit | --cpus | --cpu-quota | --cpu-period | --cpu-weight | --cpu-shares | --cpuset-cpus | --cpuset-mems | --io-max | --device-read-bps | --device-write-bps | --device-read-iops | --device-write-iops | --io-weight | --blkio-weight | --hugetlb | --device | --set | --cpu-time | --wall-time | --kill-after | --parent | --name | --report-file | --manager) [[ ${COMP_WORDS[at+1]} == = ]] || (( at++ )) ;;
            -*) ;;
            *) break ;;
        esac
        (( at++ ))
        while (( at < COMP_CWORD )) && [[ ${COMP_WORDS[at]} == [=:] ]]; do (( at += 2 )); done
    done
    if (( at > COMP_CWORD )) || { (( at == COMP_CWORD )) && [[ $cur == -* ]]; }; then
        _cgexec__rs "$@"
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
    complete -F _cgexec__rs_operands -o nosort -o bashdefault -o default cgexec-rs
else
    complete -F _cgexec__rs_operands -o bashdefault -o default cgexec-rs
fi

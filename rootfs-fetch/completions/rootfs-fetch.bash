_rootfs__fetch() {
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
                cmd="rootfs__fetch"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        rootfs__fetch)
            opts="-q -v -S -h -V --quiet --verbose --list --mirror --config --print-digest --digest --checksums --keyring --max-size --max-files --cacert --insecure-http --insecure-registry --insecure-tls --timeout --cache-dir --no-cache --strip-components --subdir --exclude --sparse --replace --into --mode --no-same-owner --squash --explain --dry-run --help --version --devices --platform"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mirror)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --digest)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --checksums)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --keyring)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-files)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cacert)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --insecure-registry)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cache-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --strip-components)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --subdir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --exclude)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mode)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --explain)
                    COMPREPLY=($(compgen -W "short see" -- "${cur}"))
                    return 0
                    ;;
                --devices)
                    COMPREPLY=($(compgen -W "keep-mode" -- "${cur}"))
                    return 0
                    ;;
                --platform)
                    COMPREPLY=($(compgen -W "linux/amd64 linux/arm64 linux/arm/v7 linux/riscv64 linux/s390x" -- "${cur}"))
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

_rootfs__fetch_operands() {
    local at=1 cur=$2
    while (( at < COMP_CWORD )); do
        case ${COMP_WORDS[at]} in
            --) (( at++ )); break ;;
            --mirror | --config | --digest | --checksums | --keyring | --max-size | --max-files | --cacert | --insecure-registry | --timeout | --cache-dir | --strip-components | --subdir | --exclude | --mode | --platform) [[ ${COMP_WORDS[at+1]} == = ]] || (( at++ )) ;;
            -*) ;;
            *) break ;;
        esac
        (( at++ ))
        while (( at < COMP_CWORD )) && [[ ${COMP_WORDS[at]} == [=:] ]]; do (( at += 2 )); done
    done
    if (( at > COMP_CWORD )) || { (( at == COMP_CWORD )) && [[ $cur == -* ]]; }; then
        _rootfs__fetch "$@"
        return
    fi
    if [[ ${COMP_WORDS[COMP_CWORD-2]}${COMP_WORDS[COMP_CWORD-1]} == distro: ]]; then
        COMPREPLY=($(compgen -W "alpine archlinux debian fedora gentoo opensuse rocky ubuntu void" -- "$cur"))
    elif (( at == COMP_CWORD )); then
        COMPREPLY=($(compgen -W "docker:// distro: host: oci: oci-archive: docker-archive: https://" -- "$cur") $(compgen -f -- "$cur"))
        [[ ${#COMPREPLY[@]} -ne 1 || $COMPREPLY != *[:/] ]] || compopt -o nospace 2>/dev/null
    else
        COMPREPLY=($(compgen -d -- "$cur"))
        compopt -o filenames 2>/dev/null
    fi
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _rootfs__fetch_operands -o nosort -o bashdefault -o default rootfs-fetch
else
    complete -F _rootfs__fetch_operands -o bashdefault -o default rootfs-fetch
fi

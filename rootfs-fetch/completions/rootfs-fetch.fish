complete -c rootfs-fetch -l mirror -d 'Use this mirror of the distribution instead of its own server' -r
complete -c rootfs-fetch -l config -d 'Write the image\'s configuration to this file; without DIRECTORY, do nothing else' -r -F
complete -c rootfs-fetch -l digest -d 'Fail unless the archive, or the image\'s manifest, has this digest' -r
complete -c rootfs-fetch -l checksums -d 'Check the archive against this file of checksums, such as SHA256SUMS or ARCHIVE.sha256' -r
complete -c rootfs-fetch -l keyring -d 'Fail unless the checksums are signed by a key in this file; needs gpgv(1)' -r -F
complete -c rootfs-fetch -l max-size -d 'Refuse an archive that unpacks to more than BYTES' -r
complete -c rootfs-fetch -l max-files -d 'Refuse an archive with more than COUNT entries' -r
complete -c rootfs-fetch -l cacert -d 'Also trust the certificate authorities in this PEM file' -r -F
complete -c rootfs-fetch -l insecure-registry -d 'Allow plain HTTP with this registry and, with --insecure-tls, any certificate' -r
complete -c rootfs-fetch -l timeout -d 'Fail if a server sends nothing, or almost nothing, for this many seconds' -r
complete -c rootfs-fetch -l cache-dir -d 'Keep downloads from registries in this directory' -r -F
complete -c rootfs-fetch -l strip-components -d 'Strip this many leading components from each path' -r
complete -c rootfs-fetch -l subdir -d 'Unpack only what is below this directory of the archive' -r
complete -c rootfs-fetch -l exclude -d 'Skip entries that match, and everything below them' -r
complete -c rootfs-fetch -l mode -d 'Give DIRECTORY itself this mode, in octal; the default is the archive\'s, less the umask' -r
complete -c rootfs-fetch -l explain -d 'Accepted for consistency with the other tools; has no effect' -r -f -a "short\t''
see\t''"
complete -c rootfs-fetch -l devices -d 'Create device nodes, for their owner alone or, with =keep-mode, with the archive\'s mode; root only; they are skipped by default' -r -f -a "keep-mode\t''"
complete -c rootfs-fetch -l platform -d 'Use the image for this platform instead of this machine\'s' -r -f -a "linux/amd64\t''
linux/arm64\t''
linux/arm/v7\t''
linux/riscv64\t''
linux/s390x\t''"
complete -c rootfs-fetch -s q -l quiet -d 'Print only errors'
complete -c rootfs-fetch -s v -l verbose -d 'Print each entry as it is unpacked'
complete -c rootfs-fetch -l list -d 'Print the distributions of distro:, with some releases and the server of each'
complete -c rootfs-fetch -l print-digest -d 'Print the digest, for --digest or after @, and create nothing'
complete -c rootfs-fetch -l insecure-http -d 'Allow plain HTTP with every server; the default allows it only with this machine'
complete -c rootfs-fetch -l insecure-tls -d 'Accept any certificate from the registries that --insecure-registry names'
complete -c rootfs-fetch -l no-cache -d 'Neither read nor write the cache'
complete -c rootfs-fetch -s S -l sparse -d 'Turn long runs of zeros in files into holes; always done for images'
complete -c rootfs-fetch -l replace -d 'Replace an existing DIRECTORY with the new tree, and delete the old one'
complete -c rootfs-fetch -l into -d 'Unpack into an existing DIRECTORY; only files that the archive also has are replaced'
complete -c rootfs-fetch -l no-same-owner -d 'Make yourself the owner of everything, even as root'
complete -c rootfs-fetch -l squash -d 'Make yourself the owner of entries whose owner is not mapped in this user namespace, instead of failing'
complete -c rootfs-fetch -l dry-run -d 'List each entry and create nothing, like CHAIN_DRY_RUN=1'
complete -c rootfs-fetch -s h -l help -d 'Print help'
complete -c rootfs-fetch -s V -l version -d 'Print version'
complete -c rootfs-fetch -a 'docker:// distro: host: oci: oci-archive: docker-archive: https:// distro:alpine distro:archlinux distro:debian distro:fedora distro:gentoo distro:opensuse distro:rocky distro:ubuntu distro:void'

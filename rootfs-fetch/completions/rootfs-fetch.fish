complete -c rootfs-fetch -l digest -d 'Refuse the archive, or the image\'s manifest, if it has another digest' -r
complete -c rootfs-fetch -l checksums -d 'Check the archive by this file of checksums: SHA256SUMS, or one named after the archive' -r
complete -c rootfs-fetch -l keyring -d 'Refuse checksums that are not signed by a key in this file; gpgv(1) checks it' -r -F
complete -c rootfs-fetch -l mirror -d 'Ask this mirror of the distribution, instead of its own server' -r
complete -c rootfs-fetch -l platform -d 'Take an image for this platform, instead of this machine\'s' -r
complete -c rootfs-fetch -l config -d 'Write the configuration of the image to this file; without a DIRECTORY, do nothing else' -r -F
complete -c rootfs-fetch -l cacert -d 'Trust the authorities in this file too, in PEM' -r -F
complete -c rootfs-fetch -l insecure-registry -d 'Allow unencrypted HTTP with this registry, and with --insecure-tls any certificate of its' -r
complete -c rootfs-fetch -l timeout -d 'Give up on a server that is silent, or next to it, for so many seconds' -r
complete -c rootfs-fetch -l cache-dir -d 'Keep what is fetched from registries here' -r -F
complete -c rootfs-fetch -l strip-components -d 'Drop that many leading parts of each name' -r
complete -c rootfs-fetch -l subdir -d 'Take only what is below this directory of the archive' -r
complete -c rootfs-fetch -l exclude -d 'Leave out what matches, and what is below it' -r
complete -c rootfs-fetch -l devices -d 'Make device nodes too, as root, each its owner\'s alone or with the archive\'s mode; they are left out otherwise' -r
complete -c rootfs-fetch -l mode -d 'Give DIRECTORY itself this mode, in octal; without this, the archive\'s under the caller\'s umask' -r
complete -c rootfs-fetch -l max-size -d 'Refuse an archive that unpacks to more bytes' -r
complete -c rootfs-fetch -l max-files -d 'Refuse an archive of more entries' -r
complete -c rootfs-fetch -l explain -d 'Accepted for consistency with the other tools; has no effect' -r -f -a "1\t''
see\t''"
complete -c rootfs-fetch -s q -l quiet -d 'Say nothing but what went wrong'
complete -c rootfs-fetch -s v -l verbose -d 'List each entry'
complete -c rootfs-fetch -l list -d 'Print the distributions of distro:, with some of their releases and where they come from'
complete -c rootfs-fetch -l print-digest -d 'Say the digest on standard output, for --digest or @, and make nothing'
complete -c rootfs-fetch -l insecure-http -d 'Allow unencrypted HTTP with every server; without this, only with this machine itself'
complete -c rootfs-fetch -l insecure-tls -d 'Take any certificate of the servers that --insecure-registry names'
complete -c rootfs-fetch -l no-cache -d 'Keep nothing that is fetched, and use nothing that was'
complete -c rootfs-fetch -l replace -d 'Put the new tree in the place of a DIRECTORY that exists, and remove the old one'
complete -c rootfs-fetch -l into -d 'Add to a DIRECTORY that exists; what is in it stays where the archive has nothing of that name'
complete -c rootfs-fetch -s S -l sparse -d 'Turn long runs of zeros in files into holes, as is done for images anyway'
complete -c rootfs-fetch -l no-same-owner -d 'Make everything the caller\'s, also as root'
complete -c rootfs-fetch -l squash -d 'Make entries yours whose owner has no id in this user namespace, instead of failing'
complete -c rootfs-fetch -l dry-run -d 'List each entry and create nothing, like CHAIN_DRY_RUN=1'
complete -c rootfs-fetch -s h -l help -d 'Print help'
complete -c rootfs-fetch -s V -l version -d 'Print version'
complete -c rootfs-fetch -a 'docker:// distro: host: oci: oci-archive: docker-archive: https:// distro:alpine distro:archlinux distro:debian distro:fedora distro:gentoo distro:opensuse distro:rocky distro:ubuntu distro:void'

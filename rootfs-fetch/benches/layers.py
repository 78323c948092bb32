"""layers.py ARCHIVE.tar DIRECTORY COUNT HOW: an image whose layers share the archive's files.

HOW is gzip, zstd or xz, for an OCI layout, or none, for an archive as docker save writes it: DIRECTORY/save.tar.
"""

import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile

PACK = {"gzip": ["gzip", "-6c"], "zstd": ["zstd", "-q3c"], "xz": ["xz", "-6cT1"], "none": ["cat"]}


def groups(members, count):
    """Files in groups of about the same size; a hard link is never below what it names."""
    parts, where, size = [[] for _ in range(count)], {}, 0
    total = sum(member.size + 1024 for member in members)
    for member in members:
        part = max(min(size * count // total, count - 1), where.get(member.linkname, 0) if member.islnk() else 0)
        parts[part].append(member)
        where[member.name] = part
        size += member.size + 1024
    return parts


def layers(archive, count):
    """The plain layers, the lowest first, which has all directories."""
    with tarfile.open(archive) as source:
        members = source.getmembers()
        directories = [member for member in members if member.isdir()]
        for part in groups([member for member in members if not member.isdir()], count):
            layer = io.BytesIO()
            with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as to:
                for member in directories + part:
                    to.addfile(member, source.extractfile(member) if member.isreg() else None)
            directories = []
            yield layer.getvalue()


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config(contents):
    described = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": contents}}
    return json.dumps(described).encode()


def layout(directory, plain, how):
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data, kind):
        blobs.joinpath(hashlib.sha256(data).hexdigest()).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": sha256(data), "size": len(data)}

    contents, packed = [], []
    for layer in plain:
        contents.append(sha256(layer))
        data = subprocess.run(PACK[how], input=layer, stdout=subprocess.PIPE, check=True).stdout
        packed.append(blob(data, "layer.v1.tar+" + ("zstd" if how == "zstd" else "gzip")))
    manifest = {"schemaVersion": 2, "config": blob(config(contents), "config.v1+json"), "layers": packed}
    entry = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def save(directory, plain):
    directory.mkdir()
    with tarfile.open(directory / "save.tar", "w") as to:

        def add(name, data):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            to.addfile(entry, io.BytesIO(data))

        contents, names = [], []
        for number, layer in enumerate(plain):
            contents.append(sha256(layer))
            names.append(f"{number}/layer.tar")
            add(names[-1], layer)
        add("config.json", config(contents))
        add("manifest.json", json.dumps([{"Config": "config.json", "Layers": names}]).encode())


def main():
    archive, directory, count, how = sys.argv[1:]
    directory = pathlib.Path(directory)
    plain = layers(archive, int(count))
    save(directory, plain) if how == "none" else layout(directory, plain, how)


main()

"""Small files in exactly the formats of the published datasets."""

import gzip
import io
import json
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = np.random.default_rng(0).integers(0, 256, (12, 3)).tolist()


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def classes(n, seed=0):
    """Labels among which each of ten occurs."""
    return np.random.default_rng(seed).permutation(np.arange(n) % 10)


def idx(values):
    head = struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.astype(np.uint8).tobytes()


def write_mnist(folder, n=20, *, prefix="train", packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = noise(n, 28, 28), classes(n)
    for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
        content = idx(values)
        name = f"{prefix}-{kind}-ubyte"
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return images, labels


def cifar_batch(images, labels, name="training batch 1 of 5"):
    """A pickle as Python 2 wrote it: protocol 2, bytes as text."""

    def text(value):
        return b"U" + bytes([len(value)]) + value.encode()

    flat = images.reshape(len(images), -1)
    content = flat.tobytes()
    rows, columns = (b"M" + struct.pack("<H", size) for size in flat.shape)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85q\x07"
        + text("b") + b"\x87Rq\x08(K\x01" + rows + columns + b"\x86cnumpy\ndtype\n"
        + text("u1") + b"K\x00K\x01\x87R(K\x03" + text("|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<I", len(content)) + content + b"tb"
    )  # fmt: skip
    listed = b"]q\x03(" + b"".join(b"K" + bytes([int(one)]) for one in labels) + b"e"
    names = b"]q\x09(" + b"".join(text(f"thing_{k}.png") for k in range(len(labels))) + b"e"
    return (
        b"\x80\x02}q\x01(" + text("batch_label") + text(name) + text("labels") + listed
        + text("data") + array + text("filenames") + names + b"u."
    )  # fmt: skip


def cifar_files(n=10):
    """The files of CIFAR-10 with n images in each batch, and what they hold."""
    names = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
    held = {name: (noise(n, 3, 32, 32, seed=k), classes(n, k)) for k, name in enumerate(names)}
    return {name: cifar_batch(*one) for name, one in held.items()}, held


def stl_files(n=10):
    images, labels = noise(n, 3, 96, 96), classes(n)
    files = {
        "train_X.bin": images.transpose(0, 1, 3, 2).tobytes(),
        "train_y.bin": (labels + 1).astype(np.uint8).tobytes(),
        "unlabeled_X.bin": images.transpose(0, 1, 3, 2).tobytes(),
    }
    return files, images, labels


def write_tar(path, folder, files, extra=()):
    """An archive of a folder; `extra` are members of one's own making."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return path


def write_folder(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def write_celeba(root, n=10, *, packed=True):
    """Flat faces of growing brightness, every third for the test, every second smiling."""
    root.mkdir(parents=True, exist_ok=True)
    names = [f"{k + 1:06}.jpg" for k in range(n)]
    faces = {}
    for k, name in enumerate(names):
        file = io.BytesIO()
        Image.new("RGB", (178, 218), (20 * k,) * 3).save(file, "JPEG", quality=100)
        faces[name] = file.getvalue()
    if packed:
        with zipfile.ZipFile(root / "img_align_celeba.zip", "w") as archive:
            for name, content in faces.items():
                archive.writestr(f"img_align_celeba/{name}", content)
    else:
        write_folder(root / "img_align_celeba", faces)
    splits = [f"{name} {2 if k % 3 == 2 else 0}" for k, name in enumerate(names)]
    (root / "list_eval_partition.txt").write_text("\n".join(splits) + "\n")
    rows = [f"{name} -1 {'1' if k % 2 else '-1'}" for k, name in enumerate(names)]
    table = "\n".join([str(n), "Bald Smiling", *rows])
    (root / "list_attr_celeba.txt").write_text(table + "\n")
    return Path(root)


def png(colour):
    file = io.BytesIO()
    Image.new("RGB", (20, 12), tuple(colour)).save(file, "PNG")
    return file.getvalue()


def add_member(archive, name, content=b"", **odd):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in odd.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


def shard_files(number):
    """An example with all there may be: its class is its number mod 3."""
    facts = {"kind": number % 2, "said": f"colour {number}", "nested": {}}
    return {
        "cls": str(number % 3).encode(),
        "json": json.dumps(facts).encode(),
        "png": png(COLOURS[number]),
        "txt": f"a colour, ünïque: {number}\n".encode(),
    }


def raw_header(name, size, kind=tarfile.REGTYPE):
    """The header of a member of any size, one below zero as well."""
    member = tarfile.TarInfo(name)
    member.type = kind
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT)[:512])
    sign = b"\xff" if size < 0 else b"\x80"
    block[124:136] = sign + (size % 256**11).to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def write_shard(path, numbers, *, without=(), folder="", kind=tarfile.PAX_FORMAT):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=kind) as archive:
        for number in numbers:
            for part, content in shard_files(number).items():
                if part not in without:
                    add_member(archive, f"{folder}{number:04}.{part}", content)
    return path

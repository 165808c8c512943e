#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# make-foreign.sh [DIRECTORY]: makes the beginnings of what people hand to the tools in
# place of an image, compressed, in DIRECTORY (foreign beside this script by default), each
# by the program that makes it in life. Needs coreutils, gzip, xz-utils, zstd, bzip2, lz4, zip,
# 7zip, tar, partclone, qemu-utils, android-sdk-libsparse-utils, exfatprogs, ntfs-3g,
# e2fsprogs, squashfs-tools, xorriso, util-linux, btrfs-progs, f2fs-tools, xfsprogs, dosfstools and mtools; no root.
set -eu

out=$(cd "${1:-$(dirname "$0")/foreign}" && pwd)
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C.UTF-8 TZ=UTC MTOOLSRC=/dev/null
SOURCE_DATE_EPOCH=1698068460 # 2023-10-23 13:41:00 UTC
E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH
uuid=11111111-2222-3333-4444-555555555555
export LC_ALL TZ MTOOLSRC SOURCE_DATE_EPOCH E2FSPROGS_FAKE_TIME PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"

# keep NAME [SIZE]: stores the file, or its beginning.
keep() {
	head -c "${2:-1M}" "$1" | gzip -9n >"$out/$1.gz"
	rm -f "$1"
}

# empty NAME SIZE: a file of zeros.
empty() {
	rm -f "$1"
	truncate -s "$2" "$1"
}

mkdir dir
echo 'No image.' >dir/text
cp dir/text text
touch -d "@$SOURCE_DATE_EPOCH" dir/text text

# packed COMMAND OPTION...: what the command makes of the text, under its name.
packed() {
	"$@" text >packed
	mv packed "$1"
	keep "$1"
}
packed xz -c
packed gzip -nc
packed zstd -qc
packed bzip2 -c
packed lz4 -qc
zip -qX zip.zip text
mv zip.zip zip
keep zip
7zz a -bd -mtm- 7z.7z text >/dev/null
mv 7z.7z 7z
keep 7z
tar --owner=0 --group=0 -cf tar text
keep tar

for format in qcow2 vmdk vdi vhdx; do
	qemu-img create -q -f $format $format 1M
	keep $format 64K
done
qemu-img create -q -f vmdk -o subformat=monolithicFlat vmdk-text 1M
rm -f vmdk-text-flat.vmdk ./*-flat*
keep vmdk-text
qemu-img create -q -f vpc vhd 1M
keep vhd
empty raw 64K
qemu-img convert -f raw -O vpc -o subformat=fixed raw vhd-fixed
keep vhd-fixed
img2simg raw android-sparse
keep android-sparse

empty exfat 1M
mkfs.exfat -b 4K exfat >/dev/null
keep exfat 64K
empty ntfs 2M
mkntfs -qFf -p 0 -H 0 -S 0 -s 512 ntfs >/dev/null 2>&1
keep ntfs 64K
for version in 2 3 4; do
	empty ext$version 4M
	mke2fs -q -F -t ext$version -U $uuid -E hash_seed=$uuid ext$version
	keep ext$version 4K
done
mksquashfs dir squashfs -quiet -no-progress -all-root >/dev/null
keep squashfs
xorriso -as mkisofs -quiet -o iso9660 dir 2>/dev/null
keep iso9660 64K
empty swap 64K
mkswap -q -U $uuid swap
keep swap
empty btrfs 110M
mkfs.btrfs -q -U $uuid btrfs >/dev/null
keep btrfs 72K
empty f2fs 64M
mkfs.f2fs -q -U $uuid f2fs >/dev/null
keep f2fs 4K
empty xfs 301M
mkfs.xfs -q -m uuid=$uuid xfs
keep xfs 4K

# A CD that is a disk as well: partition 1 is the whole file system, from sector 0, and
# partition 2 a FAT file system after it.
mkfs.vfat -C --invariant -F 12 -n EFIBOOT efi.img 64 >/dev/null
mcopy -m -i efi.img text ::
partclone.vfat -L /dev/null -q -c -s efi.img -o partclone >/dev/null 2>&1
keep partclone
xorriso -as mkisofs -quiet -o isohybrid -part_like_isohybrid -iso_mbr_part_type 0x17 \
	-append_partition 2 0xef efi.img dir 2>/dev/null
keep isohybrid

# FAT with an entry for itself in front, as on a disk for Windows.
mkfs.vfat -C --invariant --mbr=y -F 12 -n WHOLE fat-mbr 64 >/dev/null
mcopy -m -i fat-mbr text ::
keep fat-mbr

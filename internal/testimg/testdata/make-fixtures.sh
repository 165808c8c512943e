#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# make-fixtures.sh [DIRECTORY]: makes the images that the tests use, compressed, in
# DIRECTORY (the one this script stands in by default). Needs dosfstools, mtools, fdisk,
# gdisk, e2fsprogs, util-linux, GNU coreutils and gzip; no root, no mounts. With the same
# versions of these the result is the same byte for byte.
#
# mtools wants at least 65525 clusters of a FAT32 volume. Smaller ones are made large
# (sparse), filled, and then cut: their FATs stay longer than they need to be.
set -eu

out=$(cd "${1:-$(dirname "$0")}" && pwd)
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C.UTF-8 TZ=UTC MTOOLSRC=/dev/null MTOOLS_SKIP_CHECK=1
SOURCE_DATE_EPOCH=1698068460 # 2023-10-23 13:41:00 UTC
E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH
export LC_ALL TZ MTOOLSRC MTOOLS_SKIP_CHECK SOURCE_DATE_EPOCH E2FSPROGS_FAKE_TIME PATH
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"

# --- pieces -----------------------------------------------------------------------

# bytes SEED COUNT: COUNT bytes, always the same for SEED: some noise, much repetition.
bytes() {
	awk -v seed="$1" -v n="$2" 'BEGIN {
		x = seed % 65537 + 1
		for (got = 0; got < n; got += length(line)) {
			x = (x * 75 + 74) % 65537
			line = sprintf("%05d is one of the numbers that make up the file grown from seed %d; no two lines are alike\n", x, seed)
			printf "%s", substr(line, 1, n - got)
		}
	}'
}

# dated FILE...: gives the files the one date of all fixtures.
dated() {
	touch -d "@$SOURCE_DATE_EPOCH" "$@"
}

# le32 NUMBER: its four bytes, lowest first.
le32() {
	# shellcheck disable=SC2059
	printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)))"
}

# poke FILE OFFSET: writes stdin there.
poke() {
	dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# peek FILE OFFSET SIZE: the little-endian number of SIZE bytes there.
peek() {
	od -An -v -j "$2" -N "$3" -t u"$3" "$1" | tr -d ' '
}

# put FILE PARTIMAGE SECTOR [SECTORSIZE]: copies a partition's image to its place.
put() {
	dd if="$2" of="$1" bs="${4:-512}" seek="$3" conv=notrunc,sparse status=none
}

# fat NAME KIBIBYTES OPTION...: makes NAME.img with mkfs.vfat.
fat() {
	name=$1 size=$2
	shift 2
	rm -f "$name.img"
	mkfs.vfat -C --invariant -i 89025d75 "$@" "$name.img" "$size" >/dev/null
}

# cut32 NAME CLUSTERS: cuts a FAT32 volume down to its first CLUSTERS clusters.
cut32() {
	img=$1.img
	sector=$(peek "$img" 11 2) per=$(peek "$img" 13 1)
	data=$(($(peek "$img" 14 2) + $(peek "$img" 16 1) * $(peek "$img" 36 4)))
	old=$((($(peek "$img" 32 4) - data) / per))
	free=$(peek "$img" $((sector + 488)) 4)
	total=$((data + $2 * per))
	for boot in 0 6; do
		le32 $total | poke "$img" $((boot * sector + 32))
	done
	le32 $((free - old + $2)) | poke "$img" $((sector + 488))
	truncate -s $((total * sector)) "$img"
}

# forget NAME: makes mtools look for free clusters of a FAT32 volume from the start.
forget() {
	[ "$(peek "$1.img" 22 2)" != 0 ] || le32 $((0xffffffff)) | poke "$1.img" $(($(peek "$1.img" 11 2) + 492))
}

# cp_in NAME FILE... DEST: mcopy into NAME.img, keeping the dates.
cp_in() {
	name=$1
	shift
	mcopy -m -i "$name.img" "$@"
}

# tree NAME: the tree that every plain volume holds: short, long, lower-case and
# mixed names, an empty file, a directory in a directory, and fragmented.bin in pieces.
tree() {
	clu=$(($(peek "$1.img" 11 2) * $(peek "$1.img" 13 1)))
	cp_in "$1" README.TXT config.txt "A longer name.text" empty ::
	mmd -i "$1.img" ::overlays ::overlays/deep ::EMPTYDIR
	cp_in "$1" overlays/* ::overlays
	cp_in "$1" config.txt ::overlays/deep/nested.cfg
	for i in 1 2 3 4 5; do
		bytes $i "$clu" >piece$i.bin
	done
	dated piece?.bin
	cp_in "$1" piece?.bin ::
	mdel -i "$1.img" ::piece2.bin ::piece4.bin
	forget "$1"
	bytes 99 $((3 * clu + 100)) >fragmented.bin
	dated fragmented.bin
	cp_in "$1" fragmented.bin ::
}

# ext4 FILE KIBIBYTES LABEL
ext4() {
	truncate -s "$2K" "$1"
	mkfs.ext4 -q -F -O ^has_journal -L "$3" -U 11111111-2222-3333-4444-555555555555 \
		-E hash_seed=11111111-2222-3333-4444-555555555555,root_owner=0:0,nodiscard "$1" >/dev/null 2>&1
}

# done_with NAME: compresses NAME.img into its place.
done_with() {
	gzip -9nc "$1.img" >"$out/$1.img.gz"
	rm -f "$1.img"
}

cat >README.TXT <<'END'
An image for the tests of nobodd.
END
cat >config.txt <<'END'
[all]
kernel=vmlinuz
cmdline=cmdline.txt
initramfs initrd.img followkernel
arm_64bit=1
END
cp README.TXT "A longer name.text"
: >empty
mkdir overlays
for name in dwc2.dtbo overlay_map.dtb vc4-kms-v3d-pi4.dtbo disable-bt.dtbo; do
	bytes ${#name} $((300 + 40 * ${#name})) >"overlays/$name"
done
dated README.TXT config.txt "A longer name.text" empty overlays/*

# --- FAT volumes without a partition table ------------------------------------------

fat fat12 128 -a -F 12 -s 1 -r 64 -n SMALL12
tree fat12 && done_with fat12

fat fat12-one 512 -a -F 12 -s 8 -f 1 -r 32 -n ONEFAT
tree fat12-one && done_with fat12-one

fat fat12-s128 2048 -a -F 12 -s 128 -n BIGCLUS
tree fat12-s128 && done_with fat12-s128

fat fat16 2300 -a -F 16 -s 1 -n BOOT16
tree fat16 && done_with fat16

fat fat16-s4 9000 -a -F 16 -s 4 -f 1 -n BOOT16S4
tree fat16-s4 && done_with fat16-s4

fat fat16-4k 17000 -a -F 16 -S 4096 -s 1 -n BOOT16K4
tree fat16-4k && done_with fat16-4k

fat fat32 34000 -a -F 32 -s 1 -n system-boot
tree fat32 && cut32 fat32 600 && done_with fat32

fat fat32-one 34000 -a -F 32 -s 1 -f 1 -n ONEFAT32
tree fat32-one && cut32 fat32-one 120 && done_with fat32-one

fat fat32-s8 270000 -a -F 32 -s 8 -n BOOT32S8
tree fat32-s8 && cut32 fat32-s8 60 && done_with fat32-s8

fat fat32-s128 4300000 -a -F 32 -s 128 -n BOOT32S128
tree fat32-s128 && cut32 fat32-s128 30 && done_with fat32-s128

fat fat32-4k 270000 -a -F 32 -S 4096 -s 1 -n BOOT32K4
tree fat32-4k && cut32 fat32-4k 60 && done_with fat32-4k

# Mirroring is off and the second FAT is the active one; the first is noise.
fat fat32-active 34000 -a -F 32 -s 1 -n ACTIVE1
tree fat32-active && cut32 fat32-active 200
for boot in 0 6; do
	printf '\201\000' | poke fat32-active.img $((boot * 512 + 40))
done
bytes 5 4096 | poke fat32-active.img $(($(peek fat32-active.img 14 2) * 512))
done_with fat32-active

# In use: Linux sets this while it has the volume mounted.
fat dirty16 2300 -a -F 16 -s 1 -n DIRTY16
tree dirty16
printf '\001' | poke dirty16.img 37
done_with dirty16

fat dirty32 34000 -a -F 32 -s 1 -n DIRTY32
tree dirty32 && cut32 dirty32 120
printf '\001' | poke dirty32.img 65
done_with dirty32

# --- names ----------------------------------------------------------------------------

mkdir names
cd names
long=$(printf '%0251d.txt' 1) # 255 UTF-16 units
for name in UPPER.TXT lower.txt loweron.TXT UPPERON.txt noext NOEXTUP UPPEREXT.a MixedCase.Txt \
	'two  spaces.txt' '.hidden' 'many.dots.in.name.tar.gz' '+,;=[].txt' \
	'longfilename one.txt' 'longfilename two.txt' 'longfilename three.txt' \
	'Grüße aus Köln.txt' '日本語のファイル.txt' '旧旧 beyond the BMP.txt' 'éÉèÈ.txt' \
	thirteen.char 'exactly26characterslong.ab' "$long"; do
	printf 'I am %s\n' "$name" >"$name"
	dated "$name"
done
cd ..
fat names 128 -a -F 12 -s 1 -r 224 -n 'NAMES & CO'
mcopy -m -i names.img names/* names/.hidden ::
mmd -i names.img '::A directory with a long name'
i=0
while [ $i -lt 12 ]; do # short names up to ~12
	cp_in names names/noext "::A directory with a long name/a common beginning $i"
	i=$((i + 1))
done
# mtools cannot write surrogate pairs: U+65E7 twice becomes U+1F600.
at=$(LC_ALL=C grep -abo "$(printf '\347e\347e')" names.img | cut -d: -f1)
printf '\075\330\000\336' | poke names.img "$at"
done_with names

# Entries deleted whole, and a long name whose short entry alone was deleted.
fat orphans 128 -a -F 12 -s 1 -r 64 -n ORPHANS
cp_in orphans README.TXT config.txt ::
cp_in orphans config.txt '::A file deleted as it should be.txt'
cp_in orphans config.txt '::The long entries stay behind.txt'
cp_in orphans config.txt '::a neighbour with a long name.txt'
mdel -i orphans.img '::A file deleted as it should be.txt'
at=$(grep -abo 'THELON~1TXT' orphans.img | cut -d: -f1)
printf '\345' | poke orphans.img "$at"
done_with orphans

# --- partition tables -----------------------------------------------------------------

fat boot12 128 -a -F 12 -s 1 -r 64 -n BOOT
cp_in boot12 config.txt README.TXT ::
fat other12 128 -a -F 12 -s 1 -r 64 -n OTHER
cp_in other12 README.TXT ::
ext4 root.ext4 256 writable
truncate -s 64K swap.img
mkswap -q -U 22222222-2222-2222-2222-222222222222 -L swap swap.img

# Four primaries: boot, swap, root, a second FAT.
truncate -s 1M mbr.img
sfdisk -q mbr.img <<'END'
label: dos
label-id: 0x89025d75
start=64, size=256, type=c, bootable
start=384, size=128, type=82
start=512, size=512, type=83
start=1024, size=256, type=e
END
put mbr.img boot12.img 64
put mbr.img swap.img 384
put mbr.img root.ext4 512
put mbr.img other12.img 1024
done_with mbr

# Numbers 1 and 3 only.
truncate -s 512K mbr-gaps.img
sfdisk -q mbr-gaps.img <<'END'
label: dos
label-id: 0x89025d76
1: start=64, size=256, type=c
3: start=384, size=512, type=83
END
put mbr-gaps.img boot12.img 64
put mbr-gaps.img root.ext4 384
done_with mbr-gaps

# A swap partition, then an extended one with a FAT, a Linux and a FAT partition in it.
for type in 5 f 85; do
	name=mbr-logical-$type
	truncate -s 1280K $name.img
	sfdisk -q $name.img <<-END
		label: dos
		label-id: 0x89025d77
		1: start=64, size=128, type=82
		2: start=256, size=2048, type=$type
		5: start=320, size=256, type=c
		6: start=640, size=512, type=83
		7: start=1216, size=256, type=e
	END
	put $name.img swap.img 64
	put $name.img boot12.img 320
	put $name.img root.ext4 640
	put $name.img other12.img 1216
	done_with $name
done

# Like PINN: a recovery FAT, then a boot FAT and a root for each of two systems.
truncate -s 2M pinn.img
sfdisk -q pinn.img <<'END'
label: dos
label-id: 0x000a11ce
1: start=64, size=256, type=e, bootable
2: start=384, size=3584, type=5
5: start=448, size=512, type=83
6: start=1024, size=256, type=c
7: start=1344, size=512, type=83
8: start=1920, size=256, type=c
9: start=2240, size=512, type=83
END
fat recovery 128 -a -F 12 -s 1 -r 64 -n RECOVERY
cp_in recovery README.TXT ::
put pinn.img recovery.img 64
ext4 settings.ext4 256 SETTINGS
put pinn.img settings.ext4 448
put pinn.img boot12.img 1024
put pinn.img root.ext4 1344
put pinn.img other12.img 1920
put pinn.img root.ext4 2240
done_with pinn

# GPT: BIOS boot, boot, root, and entry 5 with entry 4 empty.
truncate -s 1M gpt.img
sfdisk -q gpt.img <<'END'
label: gpt
label-id: AAAAAAAA-0000-4000-8000-000000000001
first-lba: 34
1: start=40, size=24, type=21686148-6449-6E6F-744E-656564454649, uuid=AAAAAAAA-0000-4000-8000-000000000002, name="bios"
2: start=64, size=256, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, uuid=AAAAAAAA-0000-4000-8000-000000000003, name="boot partition"
3: start=384, size=512, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=AAAAAAAA-0000-4000-8000-000000000004, name="Wurzel über alles"
5: start=1024, size=256, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=AAAAAAAA-0000-4000-8000-000000000005
END
put gpt.img boot12.img 64
put gpt.img root.ext4 384
put gpt.img other12.img 1024
cp gpt.img hybrid.img
done_with gpt

# The same, and partition 2 in a hybrid MBR as well.
sgdisk -h 2 hybrid.img >/dev/null
le32 $((0x89025d78)) | poke hybrid.img 440
done_with hybrid

# GPT on a disk of 4096-byte sectors.
fat boot4k 512 -a -F 12 -S 4096 -s 1 -r 128 -n BOOT4K
cp_in boot4k config.txt README.TXT ::
truncate -s 2M gpt4k.img
cat >gpt4k.sfdisk <<'END'
label: gpt
label-id: AAAAAAAA-0000-4000-8000-000000000011
device: gpt4k.img
unit: sectors
first-lba: 6
last-lba: 506
sector-size: 4096

gpt4k.img1 : start=8, size=128, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, uuid=AAAAAAAA-0000-4000-8000-000000000012, name="boot"
gpt4k.img2 : start=136, size=64, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=AAAAAAAA-0000-4000-8000-000000000013, name="root"
END
printf 'I\ngpt4k.sfdisk\nw\n' | fdisk -b 4096 gpt4k.img >/dev/null
put gpt4k.img boot4k.img 8 4096
put gpt4k.img root.ext4 136 4096
done_with gpt4k

# --- an image like Ubuntu's for the Pi --------------------------------------------------

mkdir -p pi/overlays
cat >pi/config.txt <<'END'
[all]
kernel=vmlinuz
cmdline=cmdline.txt
initramfs initrd.img followkernel

[pi4]
max_framebuffers=2
arm_boost=1

[all]
# Enable the audio output, I2C and SPI interfaces on the GPIO header
dtparam=audio=on
dtparam=i2c_arm=on
dtparam=spi=on

# Comment out the following line if the edges of the desktop appear outside
# the edges of your display
disable_overscan=1

# Enable the KMS ("full" KMS) graphics overlay
dtoverlay=vc4-kms-v3d

# Config settings specific to arm64
arm_64bit=1
dtoverlay=dwc2
END
echo 'console=serial0,115200 dwc_otg.lpm_enable=0 console=tty1 root=LABEL=writable rootfstype=ext4 rootwait fixrtc quiet splash' >pi/cmdline.txt
cat >pi/user-data <<'END'
#cloud-config
chpasswd:
  expire: true
  users:
  - name: ubuntu
    password: ubuntu
    type: text
ssh_pwauth: true
END
cat >pi/meta-data <<'END'
instance_id: cloud-image
END
cat >pi/network-config <<'END'
version: 2
ethernets:
  eth0:
    dhcp4: true
    optional: true
END
bytes 4 225120 >pi/start4.elf
bytes 44 5448 >pi/fixup4.dat
bytes 2711 53602 >pi/bcm2711-rpi-4-b.dtb
bytes 515 611873 >pi/vmlinuz
bytes 516 786013 >pi/initrd.img
bytes 6 2441 >pi/overlays/overlay_map.dtb
bytes 7 801 >pi/overlays/dwc2.dtbo
bytes 8 3913 >pi/overlays/vc4-kms-v3d.dtbo
bytes 9 3971 >pi/overlays/vc4-kms-v3d-pi4.dtbo
bytes 10 1073 >pi/overlays/disable-bt.dtbo
bytes 11 2331 >pi/overlays/ov5647.dtbo
dated pi/* pi/overlays/*
fat system-boot 34816 -F 32 -s 1 -n system-boot
cp_in system-boot pi/*.* pi/vmlinuz pi/user-data pi/meta-data pi/network-config ::
mmd -i system-boot.img ::overlays
cp_in system-boot pi/overlays/* ::overlays
ext4 writable.ext4 1024 writable
truncate -s 37M ubuntu.img
sfdisk -q ubuntu.img <<'END'
label: dos
label-id: 0xab86aefd
start=2048, size=69632, type=c, bootable
start=71680, size=2048, type=83
END
put ubuntu.img system-boot.img 2048
put ubuntu.img writable.ext4 71680
done_with ubuntu

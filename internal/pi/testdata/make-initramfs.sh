#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# make-initramfs.sh [-s] DIRECTORY: makes initramfs files in DIRECTORY with the real
# mkinitramfs and dracut, for two made-up versions of the kernel. With -s they are as the
# tests keep them: of each program and module only the beginning is left, and its machine
# is arm64; and there are some more. Needs initramfs-tools-core, dracut-core, dracut-network, nbd-client, busybox,
# kmod, cpio, util-linux, zstd, lz4, xz-utils, bzip2, and root, for a mount namespace of
# its own. Other versions of these make other files.
set -eu

small=
[ "${1:-}" = -s ] && small=y && shift
out=$(cd "$1" && pwd)
old=6.8.0-1005-raspi
new=6.8.0-1013-raspi
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C.UTF-8 TZ=UTC SOURCE_DATE_EPOCH=1698068460
export PATH LC_ALL TZ SOURCE_DATE_EPOCH
umask 022

# In a mount namespace of its own it may say what kernels this machine has.
if [ -z "${NOBODD_UNSHARED:-}" ]; then
	here=$(cd "$(dirname "$0")" && pwd)
	NOBODD_UNSHARED=y exec unshare -m sh "$here/make-initramfs.sh" ${small:+-s} "$out"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# module NAME VERSION: the smallest file that depmod takes for a module: an ELF header, a
# section of 256 bytes with what modinfo shows, the names and the table of the sections.
module() {
	printf '\177ELF\002\001\001\000\000\000\000\000\000\000\000\000'    # 64 bits, little-endian
	printf '\001\000\267\000\001\000\000\000'                           # an object for arm64
	printf '\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000'
	printf '\130\001\000\000\000\000\000\000\000\000\000\000\100\000\000\000'
	printf '\000\000\100\000\003\000\002\000'                           # three sections
	printf 'license=GPL\0name=%s\0vermagic=%s SMP\0' "$1" "$2" | dd bs=256 conv=sync status=none
	printf '\0.modinfo\0.shstrtab\0\0\0\0\0'
	head -c 64 /dev/zero
	section '\001' '\001' '\100\000' '\000\001'
	section '\012' '\003' '\100\001' '\024\000'
}

# section NAME TYPE OFFSET SIZE: an entry of the table.
section() {
	# shellcheck disable=SC2059
	printf "$1\0\0\0$2\0\0\0"
	head -c 16 /dev/zero
	# shellcheck disable=SC2059
	printf "$3\0\0\0\0\0\0$4\0\0\0\0\0\0"
	printf '\0\0\0\0\0\0\0\0\001\0\0\0\0\0\0\0'
	head -c 8 /dev/zero
}

mkdir -p "$work/modules" "$work/boot" "$work/empty"
for version in $old $new; do
	for path in drivers/block/nbd fs/overlayfs/overlay drivers/net/ethernet/broadcom/genet/genet; do
		mkdir -p "$work/modules/$version/kernel/${path%/*}"
		module "${path##*/}" "$version" >"$work/modules/$version/kernel/$path.ko"
	done
	echo kernel/fs/ext4/ext4.ko >"$work/modules/$version/modules.builtin"
	: >"$work/modules/$version/modules.order"
	: >"$work/modules/$version/modules.builtin.modinfo"
	for format in GZIP BZIP2 LZMA XZ LZ4 ZSTD; do echo CONFIG_RD_$format=y; done >"$work/boot/config-$version"
done
mkdir -p /lib/modules /boot
mount --bind "$work/modules" /lib/modules
mount --bind "$work/boot" /boot
depmod $old
depmod $new

conf=$work/conf
cp -r /etc/initramfs-tools "$conf"
mkdir -p "$conf/hooks"

initramfs_tools() {
	mkinitramfs -d "$conf" -c "$1" -o "$out/$2" $new 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
}

# without_nbd COMMAND...: runs it where nbd-client is not installed.
without_nbd() (
	hooks=/usr/share/initramfs-tools/hooks
	for hook in "$hooks/nbd" "$hooks/nbd-client"; do
		[ ! -e "$hook" ] || mount --bind /dev/null "$hook"
	done
	mount --bind "$work/empty" /usr/share/initramfs-tools/scripts/local-top
	"$@"
	umount "$hooks/nbd" "$hooks/nbd-client" /usr/share/initramfs-tools/scripts/local-top 2>/dev/null || :
)

# dracut_with FORMAT FILE MODULES: a small one, by systemd-networkd's side or without.
dracut_with() {
	dracut --force --no-hostonly --no-hostonly-cmdline --nostrip --kver $new "--$1" --tmpdir "$work" \
		--modules "base rootfs-block udev-rules fs-lib $3" "$out/$2" >"$work/log" 2>&1 ||
		{ cat "$work/log" >&2; exit 1; }
}

initramfs_tools zstd initramfs-tools.zst
without_nbd initramfs_tools gzip initramfs-tools-bare.gz
cat >"$conf/hooks/both" <<END
#!/bin/sh
[ "\$1" != prereqs ] || exit 0
mkdir -p "\$DESTDIR/lib/modules"
cp -r /lib/modules/$old "\$DESTDIR/lib/modules/"
END
chmod +x "$conf/hooks/both"
initramfs_tools lz4 initramfs-tools-two.lz4
dracut_with zstd dracut.zst 'systemd systemd-initrd dracut-systemd dbus systemd-networkd network nbd'
[ -n "$small" ] || exit 0
dracut_with gzip dracut-bare.gz 'network network-legacy'

# --- as the tests keep them ------------------------------------------------------------

# shrink FILE: cuts a program, library, module or other large file down; the line with
# which a C library names its version stays.
shrink() {
	version=$(grep -a -o 'GNU C Library [ -~]*release version [0-9.]*' "$1" || :)
	head -c 64 "$1" >"$work/head"
	[ "$(head -c 4 "$1" | tail -c 3)" != ELF ] || printf '\267\000' | dd of="$work/head" bs=1 seek=18 conv=notrunc status=none
	cat "$work/head" >"$1"
	printf '%s\n' "$version" >>"$1"
}

# pack DIRECTORY: the archive of its files, with one date and owner.
pack() (
	cd "$1"
	find . -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible -R 0:0
)

# compress FORMAT: as mkinitramfs does it, or as the kernel wants it.
compress() {
	case $1 in
	gz) gzip -9n ;;
	bz2) bzip2 -9 ;;
	lzma) xz --format=lzma ;;
	xz) xz --check=crc32 ;;
	lz4) lz4 -9 -l ;;
	zst) zstd -q -19 ;;
	esac
}

for file in "$out"/*; do
	tree=$work/tree
	mkdir "$tree"
	case $file in
	*.zst) zstd -qdc "$file" ;;
	*.gz) gzip -dc "$file" ;;
	*.lz4) lz4 -qdc "$file" ;;
	esac | (cd "$tree" && cpio -idm --quiet)
	find "$tree" -type f -size +1k | while read -r big; do
		[ "$(head -c 2 "$big")" = '#!' ] || case $big in
		*.sh | */scripts/* | */conf/* | *modules.builtin) ;;
		*) shrink "$big" ;;
		esac
	done
	(cd "$tree" && rm -rf usr/share usr/lib/udev etc/udev usr/lib/firmware)
	pack "$tree" | compress "${file##*.}" >"$file.small"
	mv "$file.small" "$file"
	rm -rf "$tree"
done

# The same few files in each format, by the program that each format comes from.
mkdir -p "$work/few/usr/sbin" "$work/few/scripts"
printf '\177ELF\002\001\001' >"$work/few/usr/sbin/nbd-client"
tail -n +4 "$0" | head -c 3000 >"$work/few/scripts/functions" # without its first line: no script is in here
head -c 300000 /dev/zero >"$work/few/zeros"
pack "$work/few" >"$out/few.cpio"
for format in gz bz2 lzma xz lz4 zst; do compress $format <"$out/few.cpio" >"$out/few.$format"; done
lz4 -q <"$out/few.cpio" >"$out/few.lz4frame"
xz --check=crc64 <"$out/few.cpio" >"$out/few.xz-crc64"
rm "$out/few.cpio"

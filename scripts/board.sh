#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# board.sh: plays the whole story on a board in an emulator, with the commands in bin/. Debian's
# packages for 64-bit Raspberry Pis become an image, once: firmware, device trees, kernel, an
# initramfs that Debian's own tools made, systemd. nobodd-prep prepares it; then U-Boot gets an
# address from dnsmasq and its files from nobodd-tftpd, the kernel its root from nbdkit or nbd-server,
# and on the board a second kernel's package is installed and booted. QEMU's "virt" machine knows no
# firmware of a Pi: what that does with config.txt is U-Boot told to do.
#
# Usage: board.sh [PART]...
# PART is image, which only builds the image, story, truth or farm; all of them without one.
#
# Needs Linux, root (for a network namespace and a chroot), Go, and these packages of Debian 12:
#   mmdebstrap arch-test qemu-user-static binfmt-support qemu-system-arm u-boot-qemu e2fsprogs
#   dosfstools mtools fdisk dnsmasq-base nbdkit nbd-server curl iproute2 util-linux cpio zstd
# NOBODD_BOARD names the folder of the image and of the logs (default: ~/.cache/nobodd-board);
# removing it has all built anew. SUITE is Debian 12: a later kernel is to be had for it from
# backports, and its nbd-client still reads nbdroot=.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
PATH=$here/../bin:$here:$PATH:/usr/sbin:/sbin
export PATH LC_ALL=C.UTF-8
mirror=http://deb.debian.org/debian
suite=bookworm
cache=${NOBODD_BOARD:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/nobodd-board}

say() {
	printf 'board: %s\n' "$*"
}

fail() {
	printf 'board: %s\n' "$*" >&2
	exit 1
}

# check_machine fails with what to do if something is missing here.
check_machine() {
	missing=
	while read -r program package; do
		command -v "$program" >/dev/null || missing="$missing $package"
	done <<-END
		mmdebstrap mmdebstrap
		arch-test arch-test
		qemu-system-aarch64 qemu-system-arm
		mke2fs e2fsprogs
		mkfs.vfat dosfstools
		mcopy mtools
		sfdisk fdisk
		dnsmasq dnsmasq-base
		nbdkit nbdkit
		nbd-server nbd-server
		curl curl
		ip iproute2
		unshare util-linux
		cpio cpio
		zstd zstd
	END
	[ -e /usr/lib/u-boot/qemu_arm64/u-boot.bin ] || missing="$missing u-boot-qemu"
	[ -e /usr/bin/qemu-aarch64-static ] || missing="$missing qemu-user-static"
	[ -z "$missing" ] || fail "missing here: apt install$missing"
	[ "$(id -u)" = 0 ] || fail 'must be root, for a network namespace and a chroot'
	[ -x "$here/../bin/nobodd-tftpd" ] || fail 'the commands are not built: make'
}

# check_emulation makes sure that this machine runs programs for arm64, which is what
# binfmt_misc is for.
check_emulation() {
	! arch-test arm64 >/dev/null 2>&1 || return 0
	[ -e /proc/sys/fs/binfmt_misc/register ] ||
		mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null || :
	update-binfmts --enable qemu-aarch64 2>/dev/null || :
	arch-test arm64 >/dev/null 2>&1 ||
		fail 'no program for arm64 runs here: apt install binfmt-support, and binfmt_misc in the kernel'
}

# build_root has Debian's packages in the folder $1, with what makes its board bearable to emulate: an
# initramfs that holds no drivers but those that QEMU's machine needs (with all of them mkinitramfs
# takes half an hour), and a systemd that waits for whatever is slow.
build_root() {
	mmdebstrap --arch=arm64 --variant=minbase --mode=root --format=directory \
		--aptopt='Apt::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
		--include=systemd-sysv,udev,initramfs-tools,zstd,nbd-client,raspi-firmware,iproute2,dracut-network,dbus,procps \
		--customize-hook="sh '$here/board.sh' configure \"\$1\"" \
		--customize-hook="sh '$here/board.sh' install_kernels \"\$1\"" \
		"$suite" "$1" \
		"deb $mirror $suite main non-free-firmware" "deb $mirror $suite-backports main"
}

# configure is called by mmdebstrap, for the folder $1.
configure() {
	echo MODULES=list >"$1/etc/initramfs-tools/conf.d/board"
	printf '%s\n' virtio_net virtio_pci virtio_mmio ext4 >"$1/usr/share/initramfs-tools/modules.d/board"
	sed -i '/^auto_add_modules net/d' "$1"/usr/share/initramfs-tools/hooks/nbd*
	mkdir -p "$1/etc/systemd/system.conf.d"
	printf '%s\n' '[Manager]' DefaultTimeoutStartSec=infinity DefaultDeviceTimeoutSec=infinity \
		>"$1/etc/systemd/system.conf.d/board.conf"
	sed -i 's/^#*CONSOLES="auto"/CONSOLES="tty0 ttyAMA0,115200"/' "$1/etc/default/raspi-firmware"
	printf '%s\n' 'LABEL=RASPIROOT / ext4 rw 0 0' 'LABEL=RASPIFIRM /boot/firmware vfat rw 0 0' >"$1/etc/fstab"
	echo board >"$1/etc/hostname"
	sed -i 's/^root:[^:]*:/root::/' "$1/etc/shadow"
}

# install_kernels is called by mmdebstrap, for the folder $1: it installs the release's kernel there, leaves
# the later one's package in /root, and has dracut make two initramfs, too. dpkg unpacks natively.
install_kernels() {
	export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" DEBIAN_FRONTEND=noninteractive
	names=$(apt-cache show linux-image-arm64 | sed -n 's/^Depends: \(linux-image-[^ ]*\).*/\1/p' | sort -Vu)
	[ "$(echo "$names" | wc -l)" = 2 ] || fail "not two kernels but:" "$names"
	# shellcheck disable=SC2086 # two names
	(cd "$1/root" && apt-get -qq -o APT::Sandbox::User=root download $names)
	first=$(echo "$names" | head -n 1)
	dpkg --root="$1" --force-architecture --force-unsafe-io --unpack "$1/root/${first}"_*.deb
	rm "$1/root/${first}"_*.deb
	chroot "$1" dpkg --configure -a
	modules='base systemd systemd-initrd dracut-systemd dbus network nbd rootfs-block kernel-modules udev-rules fs-lib'
	for network in network-legacy systemd-networkd; do
		chroot "$1" dracut --quiet --no-hostonly --no-early-microcode --gzip --modules "$modules $network" \
			--drivers 'nbd virtio_net virtio_pci virtio_mmio ext4' "/boot/dracut-$network.img" "${first#linux-image-}"
	done
}

# build_image makes the image $2 of the folder $1: the boot partition of what raspi-firmware put
# into /boot/firmware, and the rest. The root has room for the second kernel.
build_image() {
	boot=$((256 << 20))
	start=$((4 << 20))
	root=$(($(du -sx --block-size=1 "$1" | cut -f 1) * 5 / 4 + (768 << 20)))
	root=$((root >> 20 << 20))
	rm -f "$2"
	truncate -s $((start + boot + root)) "$2"
	printf '%s\n' 'label: dos' "start=$((start >> 9)), size=$((boot >> 9)), type=c" \
		"start=$(((start + boot) >> 9)), size=$((root >> 9)), type=83" | sfdisk -q "$2"
	rm -f "$2.boot"
	truncate -s "$boot" "$2.boot"
	mkfs.vfat -F 32 -s 2 -n RASPIFIRM "$2.boot" >/dev/null
	mcopy -s -i "$2.boot" "$1"/boot/firmware/* ::
	dd if="$2.boot" of="$2" bs=1M seek=$((start >> 20)) conv=notrunc,sparse status=none
	rm "$2.boot"
	rm -r "$1"/boot/firmware/*
	mke2fs -q -t ext4 -L RASPIROOT -d "$1" -E offset=$((start + boot)) "$2" $((root >> 10))k
}

# build has the image in the cache, and builds it if it is not.
build() {
	[ ! -e "$cache/board.img" ] || { say "the image is $cache/board.img" && return; }
	mkdir -p "$cache"
	say "builds $cache/board.img, once: downloads 250 MB, needs 4 GB there and some 15 minutes of two processors"
	rm -rf "$cache/root"
	say "1 of 2: Debian's packages, and the first kernel"
	build_root "$cache/root"
	say '2 of 2: the image'
	mv "$cache"/root/boot/dracut-*.img "$cache"
	build_image "$cache/root" "$cache/board.img.part"
	rm -rf "$cache/root"
	mv "$cache/board.img.part" "$cache/board.img"
}

# alone runs a part in a network namespace of its own, and in one of processes, so that no server outlives it.
alone() {
	unshare --net --pid --fork --kill-child --mount-proc "$cache/board" "$@" "$cache/board.img" "$logs"
}

# play has the parts in $@ played.
play() {
	logs=$cache/logs
	export TMPDIR="$cache/run"
	rm -rf "$logs" "$TMPDIR"
	mkdir "$logs" "$TMPDIR"
	(cd "$here/.." && go build -tags urfave_cli_no_docs -o "$cache/board" ./scripts/board)
	say "what servers and boards say is in $logs"
	for part; do
		case $part in
		story)
			alone cured nbdkit
			alone stranded nbd-server
			;;
		truth | farm) alone "$part" ;;
		esac
	done
}

case ${1:-} in
configure | install_kernels)
	"$@"
	exit
	;;
esac
[ $# -gt 0 ] || set -- story truth farm
for part; do
	case $part in
	image | story | truth | farm) ;;
	*) fail "no part is called $part (image, story, truth, farm)" ;;
	esac
done
check_machine
check_emulation
build
play "$@"
say 'all went as it must'

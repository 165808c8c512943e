#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# demo.sh: shows the whole story on this machine, with the commands in bin/: an OS image is
# looked into and prepared, served to a make-believe Raspberry Pi 4 and Pi 3, and changed while it is
# being served. Needs Go and a POSIX shell. Leaves nothing behind.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
PATH=$(cd "$here/../bin" && pwd):$here:$PATH
tmp=$(mktemp -d)
daemon=

# shellcheck disable=SC2317 # the trap calls it
cleanup() {
	status=$?
	trap - EXIT HUP INT TERM
	if [ -n "$daemon" ]; then
		kill "$daemon" 2>/dev/null || :
		wait "$daemon" 2>/dev/null || :
	fi
	if [ $status -ne 0 ]; then
		[ ! -s "$tmp/log" ] || sed 's/^/log: /' "$tmp/log" >&2
		echo 'demo: FAILED' >&2
	fi
	rm -rf "$tmp"
	exit $status
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

fail() {
	echo "demo: $*" >&2
	exit 1
}

# show COMMAND...: prints it as a user would type it, and runs it.
show() {
	printf '$ %s\n' "$*"
	"$@"
}

# want FILE COMMAND...: the command must print exactly what is in FILE.
want() {
	file=$1
	shift
	"$@" >"$tmp/got" || fail "$* failed"
	cmp -s "$file" "$tmp/got" || fail "$* does not give what is in $file"
}

# same DIR IMAGE: the files in DIR must be those in the image.
same() {
	files=0
	for file in "$1"/* "$1"/overlays/*; do
		[ -f "$file" ] || continue
		want "$file" nobodd-cat "$2:1:/${file#"$1"/}"
		files=$((files + 1))
	done
	total=$((total + files))
	echo "All $files files are byte for byte what nobodd-cat reads from $2."
}

total=0
serial=89025d75
serial3=0a1b2c3d
(cd "$here/.." && go build -tags urfave_cli_no_docs -o "$tmp/demo" ./scripts/demo)
demo=$tmp/demo
cd "$tmp"

echo '* An OS image, as it is after unxz: its partitions, its boot directory, its kernel command line.'
"$demo" unpack ubuntu template.img
show nobodd-ls -l template.img:
nobodd-ls template.img: | grep -qx 'template.img:1:' || fail 'the boot partition is not listed'
show nobodd-ls -lh template.img:1:/
show nobodd-cat template.img:1:/cmdline.txt

echo
echo '* A copy of it is made ready for one board: room to grow, a command line that finds its root over the network.'
show cp template.img jammy.img
show nobodd-prep --size 1GB --nbd-host 192.168.0.4 --serial "$serial" --tftpd-conf board.conf --nbd-conf nbd.conf jammy.img
show nobodd-cat jammy.img:1:/cmdline.txt
nobodd-cat jammy.img:1:/cmdline.txt | grep -q '^ip=dhcp nbdroot=192.168.0.4/jammy root=/dev/nbd0p2 ' ||
	fail 'nobodd-prep did not rewrite the command line'
show cat nbd.conf board.conf

echo
echo '* Will it boot? Its initramfs was made for an older kernel; nobodd-check sees that, as the board would too late.'
"$demo" boot old 6.8.0-1013-raspi 6.8.0-1005-raspi
"$demo" boot new 6.8.0-1013-raspi 6.8.0-1013-raspi
nobodd-cp old/* jammy.img:1:/
show nobodd-check -m pi4 jammy.img | tee check
grep -q '^FAIL  nbd  .* this kernel, 6.8.0-1013-raspi, will not load nbd$' check || fail 'nobodd-check does not see the wrong modules'
if nobodd-check -q -m pi4 jammy.img >/dev/null; then fail 'nobodd-check lets an image pass that does not boot'; fi
echo 'The right one is put in:'
show nobodd-cp new/initrd.img jammy.img:1:/
show nobodd-check -m pi4 jammy.img || fail 'nobodd-check refuses the mended image'

echo
echo '* A second image, for a Pi 3, whose ROM does not say who it is: its section has its address.'
show cp template.img pi3.img
for file in bootcode.bin=fixup4.dat start.elf=start4.elf fixup.dat=fixup4.dat bcm2710-rpi-3-b.dtb=bcm2711-rpi-4-b.dtb kernel8.img=vmlinuz; do
	nobodd-cp "template.img:1:/${file#*=}" "pi3.img:1:/${file%=*}" # stand-ins for what a Pi 3 loads
done
printf '[board:%s]\nimage = %s/pi3.img\nip = 127.0.0.3\n' "$serial3" "$tmp" >pi3.conf
cat pi3.conf board.conf >boards.conf
show cat pi3.conf

echo
echo '* And a rack: one image for each board in a table, which may grow; what is there stays.'
mkdir rack rack/conf.d
printf '%s\n' '5a000001 rack1' '5a000002 rack2  # upstairs' >boards
show nobodd-farm -q -t template.img -d rack -s 1GB --tftpd-dir rack/conf.d --nbd-dir= boards -- --nbd-host 192.168.0.4
echo '5a000003 rack3' >>boards
show nobodd-farm -q -t template.img -d rack -s 1GB --tftpd-dir rack/conf.d --nbd-dir= boards -- --nbd-host 192.168.0.4
cat rack/conf.d/*.conf >>boards.conf

echo
echo '* The daemon serves these images to these boards, as an ordinary user.'
port=$("$demo" port)
printf '$ nobodd-tftpd --listen 127.0.0.1 --port %s --config boards.conf &\n' "$port"
nobodd-tftpd --listen 127.0.0.1 --port "$port" --config boards.conf 2>log &
daemon=$!
"$demo" wait "127.0.0.1:$port"

echo
echo '* A Pi 4 boots: what its bootloader asks for, in its order.'
"$demo" pi4 "127.0.0.1:$port" "$serial" first
same first jammy.img

echo
echo '* A Pi 3 without an SD card boots beside it: bootcode.bin without a serial number, blocks of 512 bytes.'
"$demo" pi3 "127.0.0.1:$port" "$serial3" third 127.0.0.3
same third pi3.img

echo
echo '* So do the boards of the rack, each by its own name.'
for board in 1 2 3; do
	"$demo" get "127.0.0.1:$port" "5a00000$board/cmdline.txt" | tee cmdline.txt
	grep -q "^ip=dhcp nbdroot=192.168.0.4/rack$board " cmdline.txt || fail "rack$board has not its own command line"
done

echo
echo '* The image changes while the daemon runs: what the next request gets.'
i=0
while [ $i -lt 4000 ]; do
	echo "module $i of a newer initramfs"
	i=$((i + 1))
done >initrd.img
printf '#cloud-config\nhostname: board1\n' >user-data
show nobodd-cp initrd.img user-data jammy.img:1:/
echo '$ nobodd-cat jammy.img:1:/cmdline.txt | sed "s/ quiet splash//" | nobodd-cat -o jammy.img:1:/cmdline.txt'
nobodd-cat jammy.img:1:/cmdline.txt | sed 's/ quiet splash//' | nobodd-cat -o jammy.img:1:/cmdline.txt
"$demo" get "127.0.0.1:$port" "$serial/cmdline.txt" | tee cmdline.txt
if grep -q splash cmdline.txt || ! grep -q '^ip=dhcp nbdroot=192.168.0.4/jammy ' cmdline.txt; then
	fail 'the old cmdline.txt is served'
fi
want initrd.img "$demo" get "127.0.0.1:$port" "$serial/initrd.img"
want user-data "$demo" get "127.0.0.1:$port" "$serial/user-data"
want first/vmlinuz "$demo" get "127.0.0.1:$port" "$serial/vmlinuz"
echo 'The new initrd.img, user-data and cmdline.txt are served, vmlinuz is as it was.'

kill -TERM "$daemon"
status=0
wait "$daemon" || status=$?
daemon=
[ $status -eq 0 ] || fail "nobodd-tftpd ended with status $status"
[ "$(grep -c -e "$serial" -e "$serial3" log)" -ge "$total" ] || fail 'the log lacks requests'
if grep -q panic log; then fail 'nobodd-tftpd panicked'; fi

echo
echo "Proved: a Pi 4 and a Pi 3 get their $total boot files by TFTP straight out of OS images, and what is changed inside an image is served at the next request, with no mount, no root and no restart."

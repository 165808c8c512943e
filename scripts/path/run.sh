#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# scripts/path/run.sh: walks the path that README.md and nobodd-netboot(7) show, on a machine made for
# it: Debian 12 with its own systemd in a container, nobodd's package, and the packages that they name.
# Types the commands as they stand there, plays boards in the same network, lets one work with its
# disk while others are added, starts the machine again, looks whether all is served, and goes over
# to nbd-server.
#
# RELEASE in the environment names another release of Debian or Ubuntu, and MIRROR where mmdebstrap
# finds it: a line of sources.list, for Ubuntu with universe, where nbdkit is. Needs root, namespaces,
# mmdebstrap, systemd-nspawn, iproute2, xz and Go; fetches packages by apt. Where it may not do that it
# says so and succeeds, but not with CI in the environment: there only a machine that is not root's, or
# lets nobody make namespaces, is an excuse. Leaves nothing behind.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
release=${RELEASE:-bookworm}
server=192.168.0.4
board=192.168.0.5
serial1=89025d75
serial2=8f7e5cbd
serial3=bd989ae1
kernel=6.8.0-1013-raspi
name=nobodd-path-$$
to_nbd_server='nbd-server in place of nbdkit'
patience=1800 # times 0.1 s

say() {
	printf '* %s\n' "$*"
}

die() {
	printf 'path: %s\n' "$*" >&2
	exit 1
}

# absent REASON: there is no path here.
absent() {
	[ -z "${CI:-}" ] || [ "${2:-}" = excused ] || die "$1, which CI must have"
	say "skipped: $1"
	exit 0
}

# cleanup runs at the end of both stages; the second one's is what stops the machine.
cleanup() {
	status=$?
	trap - EXIT HUP INT TERM
	for pid in ${disk:-} ${nspawn:-} ${nspawn:-}; do # the second one does not wait for the machine's services
		kill "$pid" 2>/dev/null || :
	done
	[ -z "${nspawn:-}" ] || wait "$nspawn" || :
	[ ! -e "/run/netns/$name" ] || ip netns delete "$name"
	if [ -n "${tmp:-}" ]; then
		[ $status -eq 0 ] || [ ! -s "$tmp/console" ] || sed 's/^/console: /' "$tmp/console" | tail -n 40
		rm -rf "$tmp"
	fi
	exit $status
}

# prerequisites ends the script where it has none of what it needs.
prerequisites() {
	[ "$(id -u)" = 0 ] || absent 'not root' excused
	for tool in mmdebstrap systemd-nspawn ip unshare nsenter pgrep xz go make awk; do
		command -v "$tool" >/dev/null || absent "no $tool here"
	done
	unshare --mount --net --pid --fork true 2>/dev/null || absent 'no namespaces can be made here' excused
}

# build makes the package and the two programs that play the boards.
build() {
	say 'The package, and the boards to be'
	make -s -C "$here" build
	DPKG_DEB_COMPRESSOR_TYPE=none sh "$here/scripts/deb/build" "$(version)" "$tmp/deb"
	(cd "$here" && CGO_ENABLED=0 go build -tags urfave_cli_no_docs -o "$tmp/" ./scripts/demo ./scripts/path)
}

version() {
	sed -n 's/^const Version = "\(.*\)"/\1/p' "$here/internal/tool/tool.go"
}

# bootstrap makes the machine's disk, with what a stock server has, and keeps the packages
# that README.md installs where apt finds them, since the machine has no way to the internet.
bootstrap() {
	say "A machine with $release"
	packages=$({ commands 'On the server' && page_commands "$to_nbd_server"; } |
		sed -n 's/^apt install //p' | tr ' ' '\n' | grep -v '^\./' | sort -u | tr '\n' ' ')
	say "They want the packages $packages"
	resolved=systemd-resolved,
	[ "$release" != jammy ] || resolved= # in the package systemd
	# shellcheck disable=SC2016 # the hook's shell expands it
	mmdebstrap --quiet --variant=apt --skip=cleanup/apt \
		--include="systemd-sysv,${resolved}dbus,iproute2,passwd,wget,xz-utils" \
		--dpkgopt=force-unsafe-io --aptopt='Acquire::Languages "none"' \
		--aptopt='Apt::Install-Recommends "false"' --aptopt='APT::Get::Assume-Yes "true"' \
		--customize-hook='APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq install --download-only '"$packages" \
		"$release" "$root" ${MIRROR:+"$MIRROR"} || absent 'no machine can be made of packages here'
	rm -f "$root/etc/resolv.conf"
}

# furnish puts into the machine what README.md takes for given: the user ubuntu with the
# initramfs that a board has copied there, the package, and the image that wget is to fetch.
furnish() {
	say 'What the board made, and what is on the internet'
	mkdir "$tmp/made" "$root/mirror"
	"$tmp/demo" boot "$tmp/made" "$kernel" "$kernel"
	"$tmp/demo" unpack ubuntu "$tmp/ubuntu.img"
	PATH=$here/bin:$PATH nobodd-cp "$tmp/made/vmlinuz" "$tmp"/made/*.dtb "$tmp/ubuntu.img:/"
	chroot "$root" useradd --create-home ubuntu
	cp "$tmp/made/initrd.img" "$root/home/ubuntu/"
	mkdir "$root/root/dist"
	cp "$tmp"/deb/*.deb "$root/root/dist/"
	(
		cd "$root/mirror"
		xz -0 <"$tmp/ubuntu.img" >ubuntu-24.04.3-preinstalled-server-arm64+raspi.img.xz
		sha256sum ./*.xz >SHA256SUMS
	)
	cat >"$root/usr/local/bin/wget" <<'WGET'
#!/bin/sh
# stands in for the internet
for url; do :; done
[ "$url" = https://cdimage.ubuntu.com/releases/24.04/release/ ] || exit 4
cp /mirror/* .
WGET
	chmod 755 "$root/usr/local/bin/wget"
	printf 'server\n' >"$root/etc/hostname"
	printf '127.0.0.1 localhost\n127.0.1.1 server\n' >"$root/etc/hosts"
}

# commands HEADING: prints the commands that README.md has below the heading of that text, as they
# are copied from there.
commands() {
	awk -v heading="### $1" '
		/^#/ { on = $0 == heading }
		on && sub(/^    /, "") { print }
	' "$here/README.md"
}

# page_commands PART: prints those that nobodd-netboot(7) has in its part of that name.
page_commands() {
	awk -v heading=".Ss $1" '
		/^\.S[hs] / { on = $0 == heading }
		on && /^\.Ed/ { block = 0 }
		on && block {
			sub(/^# /, "")
			sub(/\\e$/, "\\")
			print
		}
		on && /^\.Bd / { block = 1 }
	' "$here/man/nobodd-netboot.7"
}

# wait_for COMMAND...: until it succeeds.
wait_for() {
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt $patience ] || die "waited too long for: $*"
		sleep 0.1
	done
}

# network makes the network that machine and boards are in.
network() {
	ip link set lo up
	ip netns add "$name"
	ip link add lan0 type veth peer name eth0 netns "$name"
	ip addr add "$board/24" dev lan0
	ip link set lan0 up
	ip route add 255.255.255.255 dev lan0
	ip -n "$name" addr add "$server/24" dev eth0
	ip -n "$name" link set eth0 up
	ip -n "$name" link set lo up
}

# boot starts the machine, and waits until its systemd has nothing left to do.
boot() {
	: >"$tmp/console"
	systemd-nspawn --quiet --boot --directory="$root" --machine="$name" \
		--register=no --keep-unit --link-journal=no \
		--network-namespace-path="/run/netns/$name" --capability=CAP_NET_ADMIN </dev/null >"$tmp/console" 2>&1 &
	nspawn=$!
	wait_for is_up
	say "The machine is up: $(in_machine systemctl is-system-running || :)"
}

is_up() {
	leader=$(pgrep -P "$nspawn") &&
		case $(in_machine systemctl is-system-running) in running | degraded) ;; *) false ;; esac
}

# in_machine COMMAND...
in_machine() {
	nsenter --target "$leader" --mount --uts --ipc --net --pid --root --wd --cgroup \
		env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# type_commands FOLDER: types standard input at the machine's prompt, so to say, and stops where
# something fails. What follows a log is looked at, once, and not followed; there is nothing to update from.
type_commands() {
	sed 's/^apt update$/true &/; s/^journalctl -fu/journalctl --no-pager -u/' | tee "$root/root/typed" | sed 's/^/    # /'
	result=0
	in_machine sh -c "cd $1 && exec sh -eu /root/typed" </dev/null >"$tmp/output" 2>&1 || result=$?
	sed 's/^/      /' "$tmp/output"
	[ $result -eq 0 ] || {
		in_machine journalctl --no-pager --priority=warning --lines=20
		die 'a command failed'
	}
}

# boots SERIAL NAME: a Pi 4 with that serial number fetches its files, which must be those in the image.
boots() {
	say "Board $1 boots"
	rm -rf "$tmp/fetched"
	"$tmp/demo" pi4 "$server:69" "$1" "$tmp/fetched" | tail -n 1
	grep -q "nbdroot=$server/$2 root=/dev/nbd0p2 " "$tmp/fetched/cmdline.txt" ||
		die "$2: the command line does not name its root"
	for file in vmlinuz initrd.img cmdline.txt; do
		in_machine nobodd-cat "/srv/images/$2.img:/$file" | cmp - "$tmp/fetched/$file"
	done
}

# upgrade SERIAL NAME: a new kernel arrives in the image through NBD, and is what is served.
upgrade() {
	say "Board $1 upgrades its kernel"
	{ cat "$tmp/made/vmlinuz" && echo "upgraded on $1"; } >"$tmp/vmlinuz"
	PATH=$here/bin:$PATH "$tmp/path" upgrade "$server" "$2" vmlinuz "$tmp/vmlinuz"
	"$tmp/demo" get "$server:69" "$1/vmlinuz" | cmp - "$tmp/vmlinuz"
}

walk() {
	network
	boot
	say 'README.md: On the server'
	commands 'On the server' | type_commands /root/dist
	say 'A board asks who can tell it where to boot from'
	"$tmp/path" offer | tee "$tmp/offer"
	grep -qx "boot server: $server" "$tmp/offer" || die 'the server does not answer as a boot server'
	grep -qx 'address given: 0.0.0.0' "$tmp/offer" || die 'the server gives addresses'
	grep -q '^boot menu: .*Raspberry Pi Boot' "$tmp/offer" || die 'the answer is none that a Pi takes'
	boots "$serial1" pi1
	upgrade "$serial1" pi1

	say 'nobodd-netboot(7): A second board, while the first one uses its disk'
	"$tmp/path" use "$server" pi1 >"$tmp/disk" 2>&1 &
	disk=$!
	wait_for grep -q attached "$tmp/disk"
	page_commands 'A second board' | type_commands /root
	boots "$serial2" pi2
	upgrade "$serial2" pi2

	say 'nobodd-netboot(7): Many boards, with a third one'
	page_commands 'Many boards' | type_commands /root
	! grep -q '^nobodd-farm: note' "$tmp/output" || die 'nobodd-farm has something to say about the images'
	boots "$serial3" pi3
	kill -TERM "$disk"
	wait "$disk" || die "the first board's disk failed: $(cat "$tmp/disk")"
	disk=
	cat "$tmp/disk"

	say 'The machine starts again'
	in_machine systemctl poweroff
	wait "$nspawn" || die 'the machine did not go down'
	boot
	boots "$serial1" pi1
	boots "$serial2" pi2
	boots "$serial3" pi3
	"$tmp/path" verify "$server" pi1
	"$tmp/path" offer >"$tmp/offer"
	grep -qx "boot server: $server" "$tmp/offer" || die 'the server does not answer as a boot server any more'
	say 'All is served again'

	say "nobodd-netboot(7): $to_nbd_server"
	page_commands "$to_nbd_server" | type_commands /root
	"$tmp/path" verify "$server" pi1
	boots "$serial1" pi1
}

if [ "${1:-}" = walk ]; then
	tmp=$2 root=$2/root
	trap cleanup EXIT
	trap 'exit 1' HUP INT TERM
	walk
	exit
fi
prerequisites
tmp=$(mktemp -d)
root=$tmp/root
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
start=$(date +%s)
build
bootstrap
furnish
unshare --mount --net "$0" walk "$tmp"
say "The whole path took $(($(date +%s) - start)) s"

// SPDX-License-Identifier: GPL-3.0-or-later

package storytest

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"nobodd/internal/testimg"
)

const fleetBoards = 200

// fastPrep stands for nobodd-prep, which starts a dozen programs a board: one copies in what makes the
// board's boot partition its own.
const fastPrep = `#!/bin/sh
[ $# -gt 0 ] || { echo 'nobodd-prep: missing IMAGE' >&2; exit 2; }
for image; do :; done
[ -e "$image" ] || exit 1
[ "$1 $4 $6" = '-q --nbd-name -C' ] || exit 1
cmdline=${7%/*}/cmdline.txt
echo "nbdroot=server/$5 root=/dev/nbd0p2" >"$cmdline"
exec nobodd-cp --no-sync "$cmdline" "$7" "$image:/"
`

// A fleet of boards from one table on a file system with reflinks takes hardly more room than the
// template. One daemon serves all of them at once, also when half of them got a new system.
func TestFleet(t *testing.T) {
	testimg.NeedPeer(t, "mkfs.xfs")
	w := newLab(t)
	if w == nil {
		return
	}
	w.run("sh", "-c", "truncate -s 1G disk && mkfs.xfs -q disk")
	if out, err := exec.Command("mount", "-o", "loop", w.path("disk"), w.path("images")).CombinedOutput(); err != nil {
		t.Skipf("no XFS on a loop device: %v\n%s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "--lazy", w.path("images")).Run() })
	if err := testimg.Unpack("ubuntu", w.path("images/template.img")); err != nil {
		t.Fatal(err)
	}
	w.write("farm/nobodd-prep", fastPrep)
	w.run("sh", "-c", `chmod +x farm/nobodd-prep && cp "$(command -v nobodd-farm)" farm/
		seq 1 $0 | sed 's/.*/& pi&/' >boards && head -n $(($0 / 2)) boards >half`, fmt.Sprint(fleetBoards))

	before := w.used("images")
	w.makeFleet("boards", fleetBoards)
	if got := (w.used("images") - before) / fleetBoards; got > 1024 {
		t.Errorf("a board takes %d KiB", got)
	}
	server := w.startTFTP()
	kernel := w.run("nobodd-cat", "images/template.img:/vmlinuz")
	w.bootFleet(server, func(int) string { return kernel })

	// A template with a new kernel.
	newKernel := strings.Repeat("a new kernel\n", 10000)
	w.write("vmlinuz", newKernel)
	w.run("nobodd-cp", "vmlinuz", "images/template.img:/")
	w.makeFleet("half", fleetBoards/2, "--force")
	w.bootFleet(server, func(number int) string {
		if number <= fleetBoards/2 {
			return newKernel
		}
		return kernel
	})
}

// makeFleet lets nobodd-farm make the boards in a table.
func (w *workshop) makeFleet(table string, boards int, options ...string) {
	w.Helper()
	out := w.runFor(10*patience, filepath.Join("farm", "nobodd-farm"), append([]string{"-q", "-j", "2", "-t", "images/template.img",
		"-d", "images", "-s", "64M", "--tftpd-dir", "nobodd/conf.d", "--nbd-dir=", table}, options...)...)
	if !strings.Contains(out, fmt.Sprintf("\n%d boards: %[1]d made, 0 changed, 0 kept, 0 failed\n", boards)) {
		w.Fatalf("nobodd-farm:\n%s", out)
	}
}

// used returns how many KiB of the file system at dir are used.
func (w *workshop) used(dir string) (kib int64) {
	w.Helper()
	out := w.run("sh", "-c", `sync -f "$0" && df -Pk "$0" | awk 'NR == 2 { print $3 }'`, dir)
	if _, err := fmt.Sscan(out, &kib); err != nil {
		w.Fatalf("%q: %v", out, err)
	}
	return kib
}

// bootFleet lets all boards fetch three files at once, each its own two and the kernel that it must get.
func (w *workshop) bootFleet(server *net.UDPAddr, kernel func(number int) string) {
	w.Helper()
	var group sync.WaitGroup
	answers := make(chan time.Duration, 3*fleetBoards)
	for number := 1; number <= fleetBoards; number++ {
		for name, want := range map[string]string{
			"vmlinuz":     kernel(number),
			"cmdline.txt": fmt.Sprintf("nbdroot=server/pi%d root=/dev/nbd0p2\n", number),
			"meta-data":   fmt.Sprintf("instance-id: pi%d\nlocal-hostname: pi%[1]d\n", number),
		} {
			group.Go(func() {
				b, start := board{server, fmt.Sprint(number)}, time.Now()
				size, err := b.probe(name)
				answers <- time.Since(start)
				var got []byte
				if err == nil {
					got, err = b.read(name, size)
				}
				if err != nil || string(got) != want {
					w.Errorf("board %d: %s: %d bytes %.60q, %v; want %d bytes %.60q", number, name, len(got), got, err, len(want), want)
				}
			})
		}
	}
	group.Wait()
	close(answers)
	slowest := time.Duration(0)
	for took := range answers {
		slowest = max(slowest, took)
	}
	w.Logf("%d boards, 3 files each: the slowest first answer came after %v", fleetBoards, slowest.Round(time.Millisecond))
}

// SPDX-License-Identifier: GPL-3.0-or-later

package storytest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"nobodd/internal/testimg"
)

// Two daemons over the same images and configuration serve a change at once, each at its address.
func TestTwoDaemons(t *testing.T) {
	testimg.NeedPeer(t, "nbd-server", "mcopy")
	w := newWorkshop(t)
	w.farm("ubuntu", "images", "1 one\n2 two\n", "--nbd-host", "server")
	disk := w.startNBD("one")
	first := &board{w.startTFTPAt(net.IPv4(127, 0, 0, 1)), "1"}
	second := &board{w.startTFTPAt(net.IPv4(127, 0, 0, 2)), "1"}
	if first.server.IP.Equal(second.server.IP) {
		t.Fatal("one address")
	}
	for i := range 3 {
		cmdline := fmt.Sprintf("ip=dhcp nbdroot=server/one root=/dev/nbd0p2 change=%d\n", i)
		kernel := strings.Repeat(fmt.Sprintf("kernel %d\n", i), 50000+i)
		w.upgrade(disk, map[string]string{"cmdline.txt": cmdline, "vmlinuz": kernel})
		for _, b := range []*board{first, second} {
			w.wantFile(b, "cmdline.txt", cmdline)
			w.wantFile(b, "vmlinuz", kernel)
		}
	}
	for _, b := range []*board{first, second} {
		b.serial = "2"
		w.wantFile(b, "meta-data", "instance-id: two\nlocal-hostname: two\n")
	}
	if err := disk.Close(); err != nil {
		t.Error(err)
	}
}

// farm makes boards from a fixture with nobodd-farm, in the folder dir of the workshop.
func (w *workshop) farm(fixture, dir, table string, prepOptions ...string) {
	w.Helper()
	if err := testimg.Unpack(fixture, w.path("template.img")); err != nil {
		w.Fatal(err)
	}
	w.write("boards", table)
	w.run("nobodd-farm", append([]string{"-q", "-t", "template.img", "-d", dir, "-s", "64M",
		"--tftpd-dir", "nobodd/conf.d", "--nbd-dir", "nbd-server/conf.d", "boards", "--"}, prepOptions...)...)
}

// newLab returns a workshop in namespaces of its own, where root may mount; nil where inNamespaces
// has run the test.
func newLab(t *testing.T) *workshop {
	testimg.NeedPeer(t, "mount", "ip", "unshare")
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if !inNamespaces(t) {
		return nil
	}
	w := newWorkshop(t)
	w.run("ip", "link", "set", "lo", "up")
	return w
}

// inNamespaces runs the calling test again in a network, mount and process namespace of its own,
// where it is root, and reports whether this is that run. Elsewhere it returns when that one
// is over: nothing of it is left. It skips where that may not be.
func inNamespaces(t *testing.T) bool {
	if os.Getenv("NOBODD_INSIDE") == t.Name() {
		return true
	}
	namespaces := []string{"--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if out, err := exec.Command("unshare", append(namespaces, "true")...).CombinedOutput(); err != nil {
		t.Skipf("no namespaces: %v\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", append(namespaces, self, "-test.v", "-test.run=^"+t.Name()+"$")...)
	cmd.Env = append(os.Environ(), "NOBODD_INSIDE="+t.Name(), "NOBODD_BIN="+testimg.Commands(t))
	out, err := cmd.CombinedOutput()
	t.Logf("inside:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("--- SKIP: "+t.Name())) {
		t.Skip("it was skipped inside")
	}
	return false
}

// glusterAddress is that of the only host in the namespace: a volume wants one that is not loopback.
const glusterAddress = "10.99.0.1"

// On GlusterFS the NBD server writes through one mount, which stands for one host, and flushes, and the
// daemon serves through another: with uncached = yes always the new bytes.
func TestGluster(t *testing.T) {
	testimg.NeedPeer(t, "glusterd", "gluster", "mount.glusterfs", "nbd-server", "mcopy")
	if _, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Skip("needs FUSE")
	}
	w := newLab(t)
	if w == nil {
		return
	}
	w.mountGluster("here", "there")
	w.farm("ubuntu", "here", "1 one\n2 two\n3 three\n", "--nbd-host", "server")
	w.run("sh", "-c", `sed -i "s,= $PWD/here/,= $PWD/there/," nobodd/conf.d/*
		echo "uncached = yes" >>nobodd/conf.d/one.conf
		printf "[board:4]\nimage = %s/there/one.img\nuncached = no\n" "$PWD" >nobodd/conf.d/cached.conf`)
	disk := w.startNBD("one")
	server := w.startTFTP()
	direct, cached := &board{server, "1"}, &board{server, "4"}
	const changes = 8
	stale := 0
	var times [2]time.Duration
	for i := range changes {
		cmdline := fmt.Sprintf("ip=dhcp nbdroot=server/one root=/dev/nbd0p2 change=%02d\n", i)
		files := map[string]string{"cmdline.txt": cmdline}
		if i == changes-1 {
			files["vmlinuz"] = strings.Repeat("a new kernel, and a longer one\n", 50000)
		}
		w.upgrade(disk, files)
		// The mount's own memory first: what it answers is stale now and then, for a second.
		start := time.Now()
		if got, err := cached.fetch("cmdline.txt"); err != nil || string(got) != cmdline {
			stale++
		}
		times[1] += time.Since(start)
		start = time.Now()
		w.wantFile(direct, "cmdline.txt", cmdline)
		times[0] += time.Since(start)
		if kernel, ok := files["vmlinuz"]; ok {
			w.wantFile(direct, "vmlinuz", kernel)
		}
	}
	t.Logf("%d changes: uncached = yes served all of them at once, %v a file; uncached = no missed %d, %v a file",
		changes, times[0]/changes, stale, times[1]/changes)
	if err := disk.Close(); err != nil {
		t.Error(err)
	}
}

// An image on a file system that refuses O_DIRECT is served all the same, with one warning.
func TestRefusesDirect(t *testing.T) {
	w := newLab(t)
	if w == nil {
		return
	}
	w.mount("images", "-t", "ramfs", "none")
	if err := testimg.Unpack("ubuntu", w.path("images/one.img")); err != nil {
		t.Fatal(err)
	}
	w.write("nobodd/conf.d/one.conf", fmt.Sprintf("[board:1]\nimage = %s\nuncached = yes\n", w.path("images/one.img")))
	kernel := w.run("nobodd-cat", "images/one.img:/vmlinuz")
	b := &board{w.startTFTP(), "1"}
	for range 3 {
		w.wantFile(b, "vmlinuz", kernel)
	}
	log := w.read("nobodd-tftpd.log")
	if strings.Count(log, "one.img: its file system refuses O_DIRECT: ") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

// mountGluster makes a volume of one brick and mounts it at each of the folders.
func (w *workshop) mountGluster(folders ...string) {
	w.Helper()
	w.run("ip", "address", "add", glusterAddress+"/24", "dev", "lo")
	for _, dir := range append([]string{"work", "run", "brick"}, folders...) {
		if err := os.Mkdir(w.path(dir), 0o755); err != nil {
			w.Fatal(err)
		}
	}
	w.write("glusterd.vol", fmt.Sprintf(`volume management
	type mgmt/glusterd
	option working-directory %s
	option run-directory %s
	option glusterd-sockfile %s
	option transport-type socket
	option transport.socket.listen-port 24007
	option event-threads 1
end-volume
`, w.path("work"), w.path("run"), w.path("socket")))
	w.run("glusterd", "-f", w.path("glusterd.vol"), "-p", w.path("run/pid"), "-l", w.path("glusterd.log"))
	gluster := func(args ...string) {
		w.run("gluster", append([]string{"--mode=script", "--glusterd-sock=" + w.path("socket"), "--log-file=" + w.path("cli.log")}, args...)...)
	}
	gluster("volume", "create", "images", glusterAddress+":"+w.path("brick"), "force")
	gluster("volume", "start", "images")
	for _, dir := range folders {
		w.mount(dir, "-t", "glusterfs", glusterAddress+":/images")
	}
}

// mount mounts what args say at the folder dir until the test ends.
func (w *workshop) mount(dir string, args ...string) {
	w.Helper()
	w.run("mount", append(args, dir)...)
	w.Cleanup(func() { exec.Command("umount", "--lazy", w.path(dir)).Run() }) // the namespace goes in any case
}

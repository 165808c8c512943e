// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const (
	maxCmdline   = 64 << 10 // bytes of a command line that are looked at
	cmdlineLimit = 1024     // characters that the firmware passes (rule cmdlineLimit)
)

// checkCmdline checks that there is a command line of one line.
func (r *run) checkCmdline() {
	p := r.plan
	name := p.cmdlineName()
	if p.cmdline == "" {
		f := r.rep.add(Fail, "cmdline", "%s is missing: the kernel would look for its root on an SD card",
			quote(p.path(name))).by("cmdline")
		if strings.ContainsAny(name, " =") {
			f.do("cmdline= in config.txt names a file; the words themselves stand in that file")
		} else {
			f.do("write one, then run nobodd-prep, which adds what a root on the network needs")
		}
		return
	}
	data, err := readFile(r.fsys, p.cmdline, maxCmdline)
	if err != nil {
		r.rep.add(Fail, "cmdline", "%s: %s", quote(p.cmdline), reason(err)).by("cmdline")
		return
	}
	c := ReadCmdline(string(data))
	r.cmdline = &c
	r.checkText(string(data), c)
}

// checkText checks that text, that of the command line c, is one line which the board reads whole.
func (r *run) checkText(text string, c Cmdline) {
	p := r.plan
	if first, _, _ := strings.Cut(text, "\n"); strings.Contains(first, "\x00") {
		r.rep.add(Warn, "cmdline", "%s holds NUL bytes, as text in UTF-16 does: the kernel reads up to the first",
			quote(p.cmdline)).by("cmdline").
			do("run nobodd-prep, which takes them out, or save the file as plain text")
		return
	}
	empty := c.Lines > 0 && len(c.Words) == 0
	switch {
	case empty:
		r.rep.add(Warn, "cmdline", "%s begins with an empty line, which alone is read", quote(p.cmdline)).by("cmdline").
			do("write all words into the first line")
	case c.Lines > 1:
		r.rep.add(Warn, "cmdline", "%s has %d lines, of which the first is read alone", quote(p.cmdline),
			c.Lines).by("cmdline").
			do("write all words into one line; nobodd-prep drops the others")
	}
	if c.Size > cmdlineLimit {
		r.rep.add(Warn, "cmdline", "%s has %d characters, of which %d are passed on", quote(p.cmdline), c.Size,
			cmdlineLimit).by("cmdlineLimit").
			do("take words out that are not needed")
	}
	marked := strings.HasPrefix(text, "\ufeff")
	if marked {
		r.rep.add(Warn, "cmdline", "%s begins with a byte order mark, which spoils its first word",
			quote(p.cmdline)).by("cmdline").
			do("run nobodd-prep, which takes it out, or save the file without it")
	}
	if !empty && c.Lines <= 1 && c.Size <= cmdlineLimit && !marked {
		r.rep.add(OK, "cmdline", "%s", quote(p.cmdline)).by("cmdline")
	}
}

// target is where the command line says that the root is, in the words that the generator of the
// initramfs reads; ok is false if it does not say.
func (r *run) target() (t Target, ok bool) {
	if r.cmdline == nil {
		return Target{}, false
	}
	generator := r.generator()
	if generator != Dracut {
		if v, ok := r.cmdline.Last("nbdroot"); ok {
			return parseNbdroot(v), true
		}
	}
	if generator != InitramfsTools {
		if v, ok := r.cmdline.First("netroot", "nbd:"); ok {
			return parseNetroot(v), true
		}
	}
	return Target{}, false
}

// checkServer checks that the command line names an NBD server and an export.
func (r *run) checkServer() {
	if r.cmdline == nil {
		return
	}
	t, ok := r.target()
	switch {
	case !ok:
		r.noServer()
		return
	case t.Problem != "":
		r.rep.add(Fail, "server", "%s %s", quote(t.Word), t.Problem).by("nbdroot").
			do("let nobodd-prep write it: nobodd-prep --nbd-host HOST --nbd-name EXPORT IMAGE")
		return
	case t.Odd != "":
		r.rep.add(Warn, "server", "%s %s", quote(t.Word), t.Odd).by("nbdroot")
	default:
		r.rep.add(OK, "server", "%s", quote(t.Word)).by("nbdroot")
	}
	r.checkHost(t)
}

// noServer says what is missing on the command line for the initramfs that there is.
func (r *run) noServer() {
	_, nbdroot := r.cmdline.Last("nbdroot")
	_, netroot := r.cmdline.First("netroot", "nbd:")
	file := quote(r.plan.cmdline)
	switch {
	case nbdroot:
		r.rep.add(Fail, "server",
			"%s has nbdroot=, but the initramfs is dracut's, which reads "+
				"netroot=nbd:HOST:EXPORT", file).by("netroot").
			do("run nobodd-prep --netroot, which writes both")
	case netroot:
		r.rep.add(Fail, "server",
			"%s has netroot=, but the initramfs is one of initramfs-tools, which reads "+
				"nbdroot=HOST/EXPORT", file).by("nbdroot").
			do("run nobodd-prep, which writes it")
	default:
		r.rep.add(Fail, "server", "%s names no NBD server, neither as nbdroot= nor as netroot=", file).by("nbdroot").
			do("run nobodd-prep, which writes it")
	}
}

// checkMethod warns of a command line that chooses another way to the root than NBD (rule boot).
func (r *run) checkMethod() {
	if r.cmdline == nil || r.generator() != InitramfsTools {
		return
	}
	if v, ok := r.cmdline.Last("boot"); ok && v != "local" {
		r.rep.add(Warn, "server", "boot=%s has the initramfs look for the root elsewhere than on NBD", quote(v)).by("boot").
			do("take it out of %s", quote(r.plan.cmdline))
	}
}

// checkRoot checks root=, and that the image holds what it names.
func (r *run) checkRoot() {
	d := r.opt.Disk
	if d.Root == 0 {
		r.rep.add(Fail, "root", "the image has no root partition").
			do("use an image with a boot and a root partition; nobodd-ls -l IMAGE: shows what it has")
		return
	}
	want := fmt.Sprintf("/dev/nbd0p%d", d.Root)
	if r.cmdline != nil {
		got, ok := r.cmdline.Last("root")
		switch {
		case ok && got == want:
			r.rep.add(OK, "root", "root=%s", want)
		case ok:
			f := r.rep.add(Fail, "root", "root=%s is not where the root of this image is once it is attached: that is %s",
				quote(got), want).by("nbdroot").
				do("run nobodd-prep, which writes root=%s", want)
			if n, ok := d.otherSystem(got); ok {
				f.do("unless partition %d is the root that is meant: then the board finds it", n)
			}
		default:
			r.rep.add(Fail, "root", "%s has no root=", quote(r.plan.cmdline)).by("nbdroot").
				do("run nobodd-prep, which writes root=%s", want)
		}
	}
	switch {
	case d.Outside:
		r.rep.add(Fail, "root", "partition %d, the root, lies past the end of the image, which is cut off", d.Root).
			do("get the image anew, or unpack it anew; nobodd-resize only makes room for a root that was never there")
	case d.Holds == "LUKS" || d.Holds == "swap":
		r.rep.add(Warn, "root", "partition %d, the root, holds %s, which cannot be mounted as it is", d.Root, d.Holds).
			do("take a system whose root is not encrypted, or name the partition of its root with --root-partition " +
				"of nobodd-prep")
	case d.Past > 0:
		r.rep.add(Warn, "root", "partition %d, the root, ends %d bytes past the end of the image", d.Root, d.Past).
			do("grow the image with nobodd-resize, unless it was cut off: then get it anew")
	}
}

// otherSystem returns the partition that root names, if it is one that could hold a root.
func (d Disk) otherSystem(root string) (num int, ok bool) {
	for _, n := range d.Systems {
		if root == fmt.Sprintf("/dev/nbd0p%d", n) {
			return n, true
		}
	}
	return 0, false
}

// checkIP checks that the board will have an address.
func (r *run) checkIP() {
	if r.cmdline == nil {
		return
	}
	switch ip, ok := r.cmdline.Last("ip"); {
	case !ok && r.initramfs != nil && r.initramfs.Network.IP != "":
		r.rep.add(OK, "ip", "ip=%s, as the initramfs says by itself", quote(r.initramfs.Network.IP)).by("ip")
	case !ok:
		r.rep.add(Warn, "ip", "%s has no ip=: the initramfs may configure no network",
			quote(r.plan.cmdline)).by("ip").
			do("run nobodd-prep, which writes ip=dhcp")
	case noNetwork(ip):
		r.rep.add(Fail, "ip", "ip=%s leaves the board without an address", quote(ip)).by("ip").
			do("write ip=dhcp into %s instead", quote(r.plan.cmdline))
	default:
		r.rep.add(OK, "ip", "ip=%s", quote(ip)).by("ip")
	}
}

// checkRewriting warns of a command line that the system will write anew without the words for NBD
// (rule rewritten). nobodd-prep puts these in front of root=, and raspi-firmware its own after it: so
// words that it knows of already show by their place.
func (r *run) checkRewriting() {
	if r.cmdline == nil || !r.plan.set.generated {
		return
	}
	word := "nbdroot=HOST/EXPORT"
	if t, ok := r.target(); ok {
		word = t.Word
		root := slices.IndexFunc(r.cmdline.Words, func(w string) bool { return strings.HasPrefix(w, "root=") })
		if root >= 0 && slices.Contains(r.cmdline.Words[root:], word) {
			r.rep.add(OK, "cmdline", "raspi-firmware writes it, with %s in it", quote(word)).by("rewritten")
			return
		}
	}
	ip, ok := r.cmdline.Last("ip")
	if !ok || noNetwork(ip) {
		ip = "dhcp"
	}
	r.rep.add(Warn, "cmdline", "the system's raspi-firmware writes %s anew at each upgrade of a kernel, without "+
		"what the root on the network needs", quote(r.plan.cmdline)).by("rewritten").
		do("on the board, write %s %s into /etc/default/raspi-extra-cmdline", quote("ip="+ip), quote(word)).
		do("and ROOTPART=/dev/nbd0p%d into /etc/default/raspi-firmware, and run update-initramfs -u", r.opt.Disk.Root)
}

// loaded are the files that the board fetches by TFTP.
func (r *run) loaded() []string {
	p := r.plan
	list := []string{p.start, p.fixup, p.kernel, p.dtb, p.cmdline}
	list = append(list, p.initramfs...)
	dir := p.overlayDir()
	for _, o := range p.set.overlays {
		list = append(list, p.overlay(dir, o.value))
	}
	return list
}

// checkSizes warns of files that are too large for the board's TFTP client (rule tftpBlocks).
func (r *run) checkSizes() {
	limit, fixed := r.plan.model.tftpLimit()
	for _, name := range r.loaded() {
		if name == "" || fileSize(r.fsys, name) < limit {
			continue
		}
		f := r.rep.add(Warn, "tftp", "%s has %d bytes, and from %d on", quote(name), fileSize(r.fsys, name),
			limit).by("tftpBlocks")
		if fixed {
			f.Text += " an EEPROM older than 2025-09 cannot load it"
			f.do("update the EEPROM, or make the file smaller: an initramfs with MODULES=dep in " +
				"/etc/initramfs-tools/initramfs.conf")
		} else {
			f.Text += " this board cannot load it"
			f.do("make the file smaller: an initramfs with MODULES=dep in /etc/initramfs-tools/initramfs.conf, " +
				"or a better compression")
		}
	}
}

// checkNew warns of a kernel that waits to be tried (rule tryNew).
func (r *run) checkNew() {
	if firstOf(r.fsys, "new/", []string{"cmdline.txt", "vmlinuz", "initrd.img"}) == "" {
		return
	}
	f := r.rep.add(Warn, "new",
		"new/ holds boot files that wait to be tried; the board boots the others").by("tryNew")
	if data, err := readFile(r.fsys, "new/state", 64); err == nil {
		f.Text += " (its state is " + quote(strings.TrimSpace(string(data))) + ")"
	}
	if dir := path.Dir(r.plan.cmdline); dir == "new" {
		f.Text = "the board boots from new/, which is meant to be tried"
	}
	f.do("boot the system and let it finish its upgrade, or remove new/ if it is not wanted")
}

// checkUse reports a volume that a running board may be writing to.
func (r *run) checkUse() {
	if r.opt.Disk.InUse {
		r.rep.add(Info, "use",
			"the file system is in use, or was not unmounted: a board may be running from it, and change it")
	}
}

// checkExport asks the NBD server's configuration.
func (r *run) checkExport() {
	t, ok := r.target()
	if r.opt.Export == nil || !ok || t.Export == "" {
		return
	}
	right, found, do := r.opt.Export(t.Export)
	if right {
		r.rep.add(OK, "export", "%s", found)
		return
	}
	r.rep.add(Warn, "export", "%s", found).do("%s", do)
}

// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"path"
	"slices"
	"strings"
)

// maxVersions is how many versions of the kernel an initramfs may have modules for.
const maxVersions = 64

// The generators of an initramfs.
const (
	InitramfsTools = "initramfs-tools"
	Dracut         = "dracut"
)

// want says what is wanted of a file of some name.
type want int

const (
	wantNothing want = iota
	wantName         // that it is there
	wantHead         // its beginning, by which the machine it runs on is known
	wantText         // all of it, if it is small
	wantLibc         // its version
)

// wantedBases are the files that are asked for by their name alone, in whatever directory.
var wantedBases = map[string]want{
	"nbd-client":           wantHead,
	"modules.builtin":      wantText,
	"libc.so.6":            wantLibc,
	"ipconfig":             wantName, // klibc, in initramfs-tools
	"dhcpcd":               wantName, // in initramfs-tools from 0.143
	"udhcpc":               wantName, // busybox
	"dhclient":             wantName, // in dracut's network-legacy
	"NetworkManager":       wantName,
	"systemd-networkd":     wantName,
	"systemd-resolved":     wantName,
	"connmand":             wantName,
	"busybox":              wantHead, // nbd-client may be a link to it
	"dracut-lib.sh":        wantName,
	"parse-nbdroot.sh":     wantName,
	"dracut-nbd-generator": wantName,
}

// wantedNames are the files that are asked for by their whole name.
var wantedNames = map[string]want{
	"etc/hosts":           wantText,
	"etc/resolv.conf":     wantText,
	"conf/initramfs.conf": wantText,
	"scripts/functions":   wantName,
}

func wanted(name string) want {
	base := path.Base(name)
	if w, ok := wantedNames[name]; ok {
		return w
	}
	if w, ok := wantedBases[base]; ok {
		return w
	}
	switch {
	case isModule(base, "nbd"), strings.HasPrefix(base, "libnss_"), strings.HasPrefix(base, "ld-musl-"),
		strings.HasPrefix(base, "libc.musl-"), strings.HasPrefix(base, "libuClibc-"):
		return wantName
	case strings.HasPrefix(base, "libc-2.") && strings.HasSuffix(base, ".so"):
		return wantLibc
	case strings.HasPrefix(name, "conf/conf.d/"):
		return wantText
	}
	return wantNothing
}

// isBulk reports whether a file of that name is one of the many that are no scripts.
func isBulk(name string) bool {
	return strings.Contains(name, "lib/modules/") || strings.Contains(name, "lib/firmware/")
}

// isModule reports whether base is the file of the module of that name, or of any if name
// is empty, with whatever compression modprobe knows.
func isModule(base, name string) bool {
	for _, ext := range []string{".ko", ".ko.gz", ".ko.xz", ".ko.zst"} {
		if stem, ok := strings.CutSuffix(base, ext); ok {
			return name == "" || stem == name
		}
	}
	return false
}

// facts fills in what in says of the names.
func (ns *names) facts(in *Initramfs) {
	tree := tree{ns.nodes, ns}
	in.Generator, in.Evidence = tree.generator()
	in.Client = tree.client()
	in.Scripts = tree.scripts(in.Generator)
	in.Online = tree.sorted(func(_ string, n *node) bool { return n.script&callsNetroot != 0 })
	in.Modules = tree.modules()
	in.Network = tree.network()
	in.Resolver = tree.resolver()
}

// tree is the file tree that an initramfs makes, by names without symbolic links in their
// directories, as far as it was kept.
type tree struct {
	nodes map[string]*node
	names *names
}

// sorted returns the names of the nodes that fit, in order.
func (t tree) sorted(fits func(name string, n *node) bool) []string {
	var list []string
	for name, n := range t.nodes {
		if fits(name, n) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// file returns the file that a name stands for once links are followed, and its name.
func (t tree) file(name string) (*node, string) {
	end, ok := t.names.follow(name)
	if n := t.nodes[end]; ok && n != nil && n.there() {
		return n, end
	}
	return nil, ""
}

// generator returns what made the initramfs, and the name that shows it.
func (t tree) generator() (generator, evidence string) {
	for _, name := range []string{"usr/lib/dracut-lib.sh", "lib/dracut-lib.sh"} {
		if n, _ := t.file(name); n != nil {
			return Dracut, name
		}
	}
	if n, _ := t.file("scripts/functions"); n != nil {
		return InitramfsTools, "scripts/functions"
	}
	return "", ""
}

// client returns the NBD client, if there is one.
func (t tree) client() *Client {
	found := t.sorted(func(name string, _ *node) bool {
		n, _ := t.file(name)
		return path.Base(name) == "nbd-client" && inPath(name) && n != nil
	})
	if len(found) == 0 {
		return nil
	}
	n, program := t.file(found[0])
	return &Client{Name: found[0], Program: program, Machine: machine(n.body)}
}

// inPath reports whether name is where programs are.
func inPath(name string) bool {
	dir := "/" + path.Dir(name)
	return strings.HasSuffix(dir, "/bin") || strings.HasSuffix(dir, "/sbin")
}

// scripts returns the scripts that call the NBD client when that generator's initramfs
// boots, or any if the generator is not known.
func (t tree) scripts(generator string) []string {
	return t.sorted(func(name string, n *node) bool {
		if n.script&callsClient == 0 {
			return false
		}
		switch generator {
		case InitramfsTools:
			return strings.HasPrefix(name, "scripts/")
		case Dracut:
			return path.Base(name) == "nbdroot" || strings.Contains(name, "lib/dracut/hooks/")
		}
		return true
	})
}

// modules returns what there is for each version of the kernel.
func (t tree) modules() []Modules {
	list := make([]Modules, 0, len(t.names.modules))
	for version, count := range t.names.modules {
		m := Modules{Version: version, Count: count}
		dir := "lib/modules/" + version + "/"
		for name, n := range t.nodes {
			_, below, found := strings.Cut("/"+name, "/"+dir)
			switch {
			case !found:
			case below == "modules.builtin":
				m.Builtin = m.Builtin || builtin(n.body)
			case isModule(path.Base(below), "nbd") && n.there():
				m.NBD = name
			}
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Modules) int { return strings.Compare(a.Version, b.Version) })
	return list
}

// builtin reports whether nbd is among the modules that a modules.builtin lists.
func builtin(body []byte) bool {
	for line := range strings.Lines(string(body)) {
		if isModule(path.Base(strings.TrimSpace(line)), "nbd") {
			return true
		}
	}
	return false
}

// networkPrograms can get the board an address.
var networkPrograms = []string{
	"ipconfig", "dhcpcd", "udhcpc", "dhclient", "NetworkManager", "systemd-networkd", "connmand",
}

func (t tree) network() Network {
	var net Network
	net.Programs = t.sorted(func(name string, _ *node) bool {
		if !slices.Contains(networkPrograms, path.Base(name)) {
			return false
		}
		n, _ := t.file(name)
		return n != nil
	})
	// The order in which initramfs-tools' init reads them.
	parts := t.sorted(func(name string, n *node) bool { return strings.HasPrefix(name, "conf/conf.d/") })
	confs := append([]string{"conf/initramfs.conf"}, parts...)
	for _, name := range confs {
		n, _ := t.file(name)
		if n == nil {
			continue
		}
		for line := range strings.Lines(string(n.body)) {
			if ip, ok := strings.CutPrefix(strings.TrimSpace(line), "IP="); ok && printable(ip) {
				net.IP = strings.Trim(ip, `"'`)
			}
		}
	}
	return net
}

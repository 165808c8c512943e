// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"errors"
	"io"
	"strings"
)

// initramfsResult is what reading an initramfs came to. It is kept for the other models.
type initramfsResult struct {
	in  *Initramfs
	err error
}

const howToMake = "make it on a board that runs this system, and copy it: nobodd-cp initrd.img IMAGE:/"

// generator is what made the initramfs, "" if that is not known.
func (r *run) generator() string {
	if r.initramfs == nil {
		return ""
	}
	return r.initramfs.Generator
}

// checkInitramfs checks that there is an initramfs which the kernel can unpack.
func (r *run) checkInitramfs() {
	p := r.plan
	if len(p.initramfs) == 0 {
		r.noInitramfs()
		return
	}
	var missing, names []string
	for _, name := range p.initramfs {
		names = append(names, quote(name))
		if !exists(r.fsys, name) {
			missing = append(missing, quote(name))
		}
	}
	all := strings.Join(names, ", ")
	switch {
	case len(missing) > 0:
		r.rep.add(Fail, "initramfs", "%s, which config.txt names, is missing", strings.Join(missing,
			", ")).by("initramfs").do("%s", howToMake)
		return
	case r.opt.NoInitramfs:
		r.rep.add(Info, "initramfs", "%s, not looked into", all)
	default:
		r.judgeInitramfs(all, r.readInitramfs())
	}
	r.checkOldAuto()
	r.checkNBD()
}

// noInitramfs says that the kernel is alone.
func (r *run) noInitramfs() {
	f := r.rep.add(Fail, "initramfs", "there is none, and the kernel alone mounts no root over NBD").by("nbdNeeds")
	if name := r.plan.autoInitramfs; name != "" {
		f.Text = "there is none: auto_initramfs=1 looks for " + quote(name) + ", which is missing"
		f.by("autoInitramfs")
	}
	f.do("make one with nbd-client in it on a board that runs this system, copy it, and let config.txt name it:")
	f.do("initramfs initrd.img followkernel")
}

// readInitramfs reads the files of the initramfs, which the firmware puts one after another.
func (r *run) readInitramfs() initramfsResult {
	key := strings.Join(r.plan.initramfs, ",")
	if res, ok := r.initramfses[key]; ok {
		return res
	}
	var files []io.Reader
	for _, name := range r.plan.initramfs {
		f, err := openFile(r.fsys, name)
		if err != nil {
			return initramfsResult{err: err}
		}
		defer f.Close()
		files = append(files, f)
	}
	in, err := ReadInitramfs(r.ctx, io.MultiReader(files...), InitramfsOptions{Progress: r.opt.Progress})
	res := initramfsResult{in, err}
	if r.ctx.Err() == nil {
		r.initramfses[key] = res
	}
	return res
}

// judgeInitramfs says whether the kernel can unpack it, and what made it.
func (r *run) judgeInitramfs(names string, res initramfsResult) {
	var damage *DamageError
	var unread *UnreadError
	switch {
	case res.err == nil:
		r.initramfs = res.in
	case errors.As(res.err, &damage):
		r.rep.add(Fail, "initramfs", "%s is damaged: %v", names, res.err).by("nbdNeeds").do("%s", howToMake)
		return
	case errors.As(res.err, &unread):
		r.rep.add(Warn, "initramfs", "%s cannot be looked into: %v", names, res.err).by("nbdNeeds")
		return
	case errors.Is(res.err, ErrTooLarge):
		r.rep.add(Fail, "initramfs", "%s has %v", names, res.err).by("nbdNeeds").do("%s", howToMake)
		return
	default:
		r.rep.add(Fail, "initramfs", "%s: %s", names, reason(res.err)).do("%s", howToMake)
		return
	}
	in := res.in
	if in.Junk >= 0 {
		r.rep.add(Warn, "initramfs",
			"%s: byte %d begins no archive; the kernel complains, and uses what comes "+
				"before", names, in.Junk).by("nbdNeeds")
	}
	if in.Generator == "" {
		r.rep.add(Warn, "initramfs",
			"%s is made neither by initramfs-tools nor by dracut: how it reads its command line is not "+
				"known", names).by("nbdNeeds")
		return
	}
	r.rep.add(OK, "initramfs", "%s: %s, %s", names, in.Generator, compression(in)).by("nbdNeeds")
}

// compression names the formats of the archives, each once.
func compression(in *Initramfs) string {
	var list []string
	for _, a := range in.Archives {
		if !strings.Contains(" "+strings.Join(list, " ")+" ", " "+a.Format+" ") {
			list = append(list, a.Format)
		}
	}
	return strings.Join(list, " and ")
}

// checkOldAuto warns of EEPROMs that load the initramfs of another kernel (rule autoInitramfsOld).
func (r *run) checkOldAuto() {
	p := r.plan
	if p.model.gen != eeprom2712 || p.autoInitramfs == "" || p.autoInitramfs == p.path("initramfs_2712") ||
		!exists(r.fsys, p.path("initramfs_2712")) {
		return
	}
	r.rep.add(Warn, "initramfs",
		"an EEPROM older than 2025-05-08 loads initramfs_2712 for %s, which holds no modules for "+
			"it", quote(p.kernel)).by("autoInitramfsOld").
		do("update the EEPROM, or name the initramfs in config.txt: initramfs %s followkernel", p.autoInitramfs)
}

// checkNBD checks that the initramfs has what attaches the root: the client, the script that calls
// it, and the driver.
func (r *run) checkNBD() {
	in := r.initramfs
	if in == nil {
		return
	}
	failed := false
	fail := func(id RuleID, format string, args ...any) *Finding {
		failed = true
		return r.rep.add(Fail, "nbd", format, args...).by(id)
	}
	switch {
	case in.Client == nil:
		r.howToAdd(fail("nbdNeeds", "there is no nbd-client in the initramfs"))
	case r.foreign(in.Client.Machine):
		fail("nbdNeeds", "nbd-client in the initramfs is a program for %s", in.Client.Machine).do("%s", howToMake)
	}
	if in.Generator != "" && len(in.Scripts) == 0 {
		r.howToAdd(fail("nbdNeeds", "there is no script of %s in the initramfs that calls nbd-client", in.Generator))
	} else if in.Generator == Dracut && len(in.Online) == 0 {
		fail("netrootCaller", "nothing in the initramfs calls dracut's netroot once the network is up, and so "+
			"nothing calls nbd-client").
			do("on a board that runs this system: apt install dracut-network procps, write").
			do(`add_dracutmodules+=" network-legacy nbd " into /etc/dracut.conf.d/nbd.conf, and run dracut --force;`).
			do("copy what it makes")
	}
	driver := r.driver(fail)
	if !failed && driver != "" {
		parts := append([]string{"nbd-client"}, in.Scripts[:min(1, len(in.Scripts))]...)
		r.rep.add(OK, "nbd", "%s, %s", strings.Join(parts, ", "), driver).by("nbdNeeds")
	}
}

// howToAdd says how a generator is made to put the NBD client in.
func (r *run) howToAdd(f *Finding) {
	switch r.generator() {
	case InitramfsTools:
		f.do("on a board that runs this system: apt install nbd-client, which makes the initramfs anew; copy that")
	case Dracut:
		f.do("on a board that runs this system: apt install nbd-client dracut-network dbus, write").
			do(`add_dracutmodules+=" nbd " into /etc/dracut.conf.d/nbd.conf, and run dracut --force; copy what it makes`)
	default:
		f.do("%s", howToMake)
	}
}

// foreign reports whether the kernel cannot run a program for that machine.
func (r *run) foreign(machine string) bool {
	switch machine {
	case "":
		return false
	case "arm64":
		return r.kernel != nil && r.kernel.Bits == 32
	}
	return machine != "arm"
}

// driver says where the kernel has its NBD driver from; "" if it has none, which is reported, or if
// that cannot be told.
func (r *run) driver(fail func(RuleID, string, ...any) *Finding) string {
	in, version := r.initramfs, ""
	known := r.kernel != nil && r.kernel.Format != "" && r.kernel.Problem == ""
	if known {
		version = r.kernel.Version
	}
	m, found := in.ModulesFor(version)
	var has []string // versions with nbd
	for _, m := range in.Modules {
		if m.Has() {
			has = append(has, quote(m.Version))
		}
	}
	switch {
	case known && r.kernel.NBD:
		return "NBD built into the kernel"
	case found && m.NBD != "":
		return "nbd.ko for " + version
	case found && m.Builtin:
		return "NBD built into " + version
	case found:
		fail("nbdNeeds", "the initramfs has no nbd module among those for %s", quote(version)).
			do("on a board that runs this system: apt install linux-modules-extra-raspi (Ubuntu), or " +
				"linux-modules-extra-$(uname -r); then").
			do("update-initramfs -u, and copy the initramfs that this makes")
	case !known && (len(has) > 0 || len(in.Modules) == 0):
	case version == "" && len(has) > 0:
		r.rep.add(Warn, "nbd", "which version the kernel is cannot be told; there is an nbd module for %s",
			strings.Join(has, ", ")).by("modules")
	case len(in.Modules) == 0:
		fail("nbdNeeds", "the initramfs has no modules, and the kernel no NBD built in").do("%s", howToMake)
	default:
		r.wrongModules(fail, version)
	}
	return ""
}

// wrongModules says that the modules are for other kernels.
func (r *run) wrongModules(fail func(RuleID, string, ...any) *Finding, version string) {
	var versions []string
	for _, m := range r.initramfs.Modules {
		versions = append(versions, quote(m.Version))
	}
	const most = 5
	if len(versions) > most {
		versions = append(versions[:most], "...")
	}
	there := strings.Join(versions, ", ")
	if version == "" {
		fail("nbdNeeds", "the initramfs has no nbd module, only others, for %s", there).do("%s", howToMake)
		return
	}
	fail("modules", "its modules are for %s; this kernel, %s, will not load nbd", there, quote(version)).
		do("make the initramfs on a board that runs %s and copy it, or copy that board's kernel, too", quote(version))
}

// checkHost checks that the initramfs can look the server's name up.
func (r *run) checkHost(t Target) {
	if r.initramfs == nil || t.Host == "" || t.Host == "dhcp" || isAddress(t.Host) {
		return
	}
	if ok, why := r.initramfs.CanResolve(t.Host); !ok {
		r.rep.add(Fail, "host", "%s: the initramfs cannot look up names: %s", quote(t.Host), why).by("resolver").
			do("give the server's address instead: nobodd-prep --nbd-host 192.168.0.4 (its own, as ip addr shows it)")
		return
	}
	r.rep.add(OK, "host", "%s: the initramfs can look it up", quote(t.Host)).by("resolver")
}

// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Disk is what must be known of the image around the boot partition.
type Disk struct {
	Root    int    // number of the root partition, 0 if there is none
	Holds   string // what the root partition holds, "" if that is not known
	Past    int64  // bytes of the root partition that are past the end of the image
	Outside bool   // all of it is
	InUse   bool   // the boot partition's file system says that it is in use
	Systems []int  // the other partitions that could hold a root
	Boots   []int  // the other partitions that hold a config.txt, where this one has none
}

// Options say how to check.
type Options struct {
	Disk        Disk
	NoInitramfs bool // do not look inside the initramfs
	// Progress is called while an initramfs is read; see InitramfsOptions.
	Progress func(Progress)
	// Export checks that an NBD server has an export; nil if none is to be asked. It returns a
	// line for what was found, what to do about it if that is not right.
	Export func(name string) (ok bool, found, do string)
}

// Checker checks one boot partition for any number of models. What several models load is read
// once. It belongs to one goroutine.
type Checker struct {
	fsys    fs.FS
	opt     Options
	kernels map[string]*Kernel
	// by the names of their files, with commas
	initramfses map[string]initramfsResult
}

// New returns a Checker of a boot partition.
func New(fsys fs.FS, opt Options) *Checker {
	return &Checker{fsys: fsys, opt: opt, kernels: map[string]*Kernel{}, initramfses: map[string]initramfsResult{}}
}

// run is the check of one model.
type run struct {
	*Checker
	ctx  context.Context
	plan *plan
	rep  *Report

	kernel    *Kernel    // nil if it could not be read
	initramfs *Initramfs // nil if it could not be read, or was not
	cmdline   *Cmdline   // likewise
}

// Check reports whether a board boots from the boot partition. The error is that of ctx; whatever
// is wrong with the files is in the report.
func (c *Checker) Check(ctx context.Context, m *Model) (*Report, error) {
	set := ReadConfig(c.fsys, m)
	r := &run{Checker: c, ctx: ctx, plan: makePlan(c.fsys, m, set), rep: &Report{Model: m}}
	for _, check := range []func(){
		r.checkFirmware, r.checkConfig, r.checkKernel, r.checkDeviceTree, r.checkOverlays, r.checkInitramfs,
		r.checkCmdline, r.checkServer, r.checkMethod, r.checkRoot, r.checkIP, r.checkRewriting, r.checkSizes, r.checkNew,
		r.checkUse, r.checkExport,
	} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		check()
	}
	r.pointElsewhere()
	return r.rep, ctx.Err()
}

// pointElsewhere adds to the first failure that another partition may be the boot partition: that of a
// boot menu, or one that only says which of two systems boots, may come first.
func (r *run) pointElsewhere() {
	f := r.rep.FirstFailure()
	if f == nil || len(r.opt.Disk.Boots) == 0 {
		return
	}
	var list []string
	for _, n := range r.opt.Disk.Boots {
		list = append(list, strconv.Itoa(n))
	}
	f.Text += "; config.txt is in partition " + strings.Join(list, ", ")
	f.do("or name the boot partition that is meant, as in IMAGE:%s:", list[0])
}

// checkFirmware checks what is loaded before the kernel.
func (r *run) checkFirmware() {
	p, m := r.plan, r.plan.model
	if m.gen == eeprom2712 {
		r.rep.add(OK, "firmware", "in the board's EEPROM").by("startFiles")
		return
	}
	var found []string
	if m.gen == bootROM {
		if exists(r.fsys, "bootcode.bin") {
			found = append(found, "bootcode.bin")
		} else {
			r.rep.add(Fail, "firmware",
				"bootcode.bin is missing, the first file that the board asks for").by("bootcode").
				do("copy it from the system's raspi-firmware package, or from raspberrypi/firmware, folder boot")
		}
	}
	if p.start == "" {
		r.rep.add(Fail, "firmware", "%s is missing%s", p.wantStart[0], r.firmwareWhy()).by("startFiles").
			do("copy %s and %s, of one release, from the system's firmware package or from "+
				"raspberrypi/firmware, folder boot", p.wantStart[0], p.wantFixup[0])
		return
	}
	found = append(found, p.start)
	if p.fixup != "" {
		found = append(found, p.fixup)
	}
	r.rep.add(OK, "firmware", "%s", strings.Join(found, ", ")).by("startFiles")
	if p.fixup == "" {
		r.rep.add(Warn, "firmware", "%s is missing: without it the board has less memory",
			p.wantFixup[0]).by("fixupPair").
			do("copy the one of the same release as %s", p.start)
	}
	r.checkProbe()
}

// firmwareWhy says which setting asks for unusual firmware.
func (r *run) firmwareWhy() string {
	key := map[string]string{"x": "start_x", "db": "start_debug", "cd": "gpu_mem"}[r.plan.variant()]
	if r.plan.set.str("start_file") != "" {
		key = "start_file"
	}
	if key == "" {
		return ""
	}
	return fmt.Sprintf(", which %s=%s in config.txt asks for", key, quote(r.plan.set.str(key)))
}

// checkProbe warns where a board may not find the folder of its serial number.
func (r *run) checkProbe() {
	names := []string{"start.elf"}
	if r.plan.model.gen == eeprom2711 {
		names = []string{"start4.elf", "start.elf"}
	}
	if firstOf(r.fsys, "", names) == "" {
		r.rep.add(Warn, "firmware", "%s is missing too, by which boards find the files below their serial number",
			names[0]).by("prefixProbe").
			do("copy it beside %s", r.plan.start)
	}
}

// checkConfig repeats what reading config.txt brought to light.
func (r *run) checkConfig() {
	p, set := r.plan, r.plan.set
	switch {
	case !set.Present && p.model.gen == eeprom2712:
		r.rep.add(Fail, "config", "there is no config.txt, without which a Pi 5 looks no further").by("configNeeded").
			do("make one; an [all] in it is enough")
	case !set.Present:
		r.rep.add(Info, "config", "there is no config.txt: the board does what it does by default")
	case p.prefix != "":
		r.rep.add(OK, "config", "config.txt, the system's files below %s", quote(p.prefix)).by("osPrefix")
	default:
		r.rep.add(OK, "config", "config.txt")
	}
	if p.ignored != "" {
		r.rep.add(Warn, "config", "os_prefix=%s is ignored, as kernel or device tree are missing there",
			quote(p.ignored)).by("osPrefix")
	}
	for _, n := range set.warnings {
		r.rep.add(Warn, "config", "%s", n.text).by(n.rule)
	}
	for _, n := range set.passed {
		r.rep.add(Info, "config", "%s", n.text).by(n.rule).Detail = true
	}
}

// checkKernel checks that there is a kernel that the firmware can start as it will.
func (r *run) checkKernel() {
	p := r.plan
	if p.kernel == "" {
		r.missingKernel()
		return
	}
	k, err := r.readKernel(p.kernel)
	if err != nil {
		r.rep.add(Fail, "kernel", "%s: %s", quote(p.kernel), reason(err)).do("%s", fixCopy)
		return
	}
	r.kernel = k
	what := strings.Join(slices.DeleteFunc([]string{k.Format, k.Version}, func(s string) bool { return s == "" }),
		", ")
	switch {
	case k.Problem != "":
		r.rep.add(Fail, "kernel", "%s is %s", quote(p.kernel), k.Problem).by(k.Rule).do("%s", k.Fix)
	case k.Format == "":
		r.rep.add(Warn, "kernel",
			"%s is no Linux kernel that is known here (U-Boot?): whatever it starts is not checked", quote(p.kernel))
	case k.Bits != p.bits:
		r.wrongWidth()
	case k.Pages > 4 && p.model.gen != eeprom2712:
		r.rep.add(Fail, "kernel", "%s (%s) is for pages of %d KiB, which only a Pi 5 has", quote(p.kernel), what,
			k.Pages).by("pages16k").
			do("let config.txt name the kernel for all boards, kernel8.img in Raspberry Pi OS")
	default:
		r.rep.add(OK, "kernel", "%s: %s", quote(p.kernel), what).by("kernelNames")
	}
}

// readKernel reads a kernel once.
func (r *run) readKernel(name string) (*Kernel, error) {
	if k := r.kernels[name]; k != nil {
		return k, nil
	}
	k, err := readKernelFile(r.ctx, r.fsys, name)
	if err == nil {
		r.kernels[name] = k
	}
	return k, err
}

// missingKernel says what the firmware looks for, and what is there instead.
func (r *run) missingKernel() {
	p := r.plan
	var names []string
	for _, k := range p.wantKernels {
		names = append(names, quote(p.path(k.name)))
	}
	text := strings.Join(names, " and ") + " is missing"
	if len(names) > 1 {
		text = strings.Join(names, " and ") + " are missing"
	}
	if p.set.str("kernel") != "" {
		text += ", which config.txt names"
	}
	f := r.rep.add(Fail, "kernel", "%s", text).by("kernelNames")
	arm64 := p.set.arm64()
	switch {
	case p.set.str("kernel") != "":
		f.do("copy it there, or correct kernel= in config.txt")
	case arm64 == 0 && p.model.gen != eeprom2712 && exists(r.fsys, p.path("kernel8.img")):
		f.do("take arm_64bit=0 out of config.txt: kernel8.img is there")
	case arm64 == 1 && exists(r.fsys, p.path("kernel7.img")):
		f.do("take arm_64bit=1 out of config.txt: kernel7.img is there; or copy kernel8.img")
	default:
		f.do("copy it there from the system's kernel package, or name the right one with kernel= in config.txt")
	}
	if p.ignored != "" {
		f.do("or make %s whole: os_prefix=%s is heeded once kernel and device tree are there", quote(p.ignored),
			quote(p.ignored))
	}
}

// wrongWidth says what to do about a kernel that is started in the wrong width.
func (r *run) wrongWidth() {
	p, k := r.plan, r.kernel
	f := r.rep.add(Fail, "kernel", "%s is a %d-bit kernel (%s), but the board starts it in %d bits", quote(p.kernel),
		k.Bits, k.Format, p.bits).by("arm64Default")
	switch {
	case p.model.gen == eeprom2712:
		f.do("use a 64-bit kernel: a Pi 5 starts no other")
	case k.Bits == 64:
		f.do("add a line arm_64bit=1 to config.txt, below [all]")
	default:
		f.do("add a line arm_64bit=0 to config.txt, below [all], or use a 64-bit kernel")
	}
}

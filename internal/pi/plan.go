// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"io/fs"
	"strings"
)

// plan is what a board loads from a boot partition, by what config.txt says. Names are paths
// in the partition; "" means that there is none.
type plan struct {
	fsys  fs.FS
	model *Model
	set   *Settings

	prefix  string // os_prefix, if it is heeded
	ignored string // os_prefix, if it is not
	start   string
	fixup   string
	kernel  string
	bits    int // that the kernel is started in
	dtb     string
	cmdline string

	wantStart, wantFixup []string     // the names that were looked for, as plan.path has them
	wantKernels          []kernelName // likewise, as config.txt or the model names them
	wantDTBs             []string
	initramfs            []string // whether they are there or not
	autoInitramfs        string   // what auto_initramfs=1 looks for, if nothing else is named
}

// makePlan finds out what a board loads.
func makePlan(fsys fs.FS, m *Model, set *Settings) *plan {
	p := &plan{fsys: fsys, model: m, set: set}
	p.chooseFirmware()
	p.wantKernels = p.kernelNames()
	p.wantDTBs = p.dtbNames()
	p.choosePrefix()
	p.chooseKernel()
	if name := firstOf(fsys, "", p.paths(p.wantDTBs)); name != "" {
		p.dtb = name
	}
	p.chooseInitramfs()
	p.chooseCmdline()
	return p
}

// path is where the file is that the system calls name (rule osPrefix).
func (p *plan) path(name string) string {
	if strings.HasPrefix(name, "/") {
		return bootPath(name)
	}
	return bootPath(p.prefix + name)
}

func (p *plan) paths(names []string) []string {
	var list []string
	for _, name := range names {
		list = append(list, p.path(name))
	}
	return list
}

// variant is what config.txt chooses of the firmware's variants (rules startFiles and cutDown).
func (p *plan) variant() string {
	switch gpu := p.set.number("gpu_mem", 0); {
	case p.set.number("start_x", 0) > 0:
		return "x"
	case p.set.number("start_debug", 0) > 0:
		return "db"
	case gpu > 0 && gpu < 32:
		return "cd"
	}
	return ""
}

func (p *plan) chooseFirmware() {
	if p.model.gen == eeprom2712 {
		return
	}
	p.wantStart, p.wantFixup = p.model.firmwareNames(p.variant())
	if name := p.set.str("start_file"); name != "" {
		p.wantStart = []string{bootPath(name)}
	}
	if name := p.set.str("fixup_file"); name != "" {
		p.wantFixup = []string{bootPath(name)}
	}
	p.start = firstOf(p.fsys, "", p.wantStart)
	p.fixup = firstOf(p.fsys, "", p.wantFixup)
}

// kernelNames are the kernels to look for, each with the width it is started in.
func (p *plan) kernelNames() []kernelName {
	arm64 := p.set.arm64()
	name := p.set.str("kernel")
	if name == "" {
		return p.model.defaultKernels(arm64)
	}
	bits, ok := widths[strings.TrimPrefix(name, "/")]
	switch {
	case p.model.gen == eeprom2712 || arm64 == 1:
		bits = 64
	case arm64 == 0:
		bits = 32
	case ok:
	case p.model.kernel64():
		bits = 64
	default:
		bits = 32
	}
	return []kernelName{{name, bits}}
}

// dtbNames are the device trees to look for; none if config.txt wants none.
func (p *plan) dtbNames() []string {
	switch name := p.set.str("device_tree"); {
	case name != "":
		return []string{name}
	case p.set.has("device_tree"):
		return nil
	case p.set.number("upstream_kernel", 0) > 0:
		return append(append([]string{}, p.model.upstream...), p.model.dtbs...)
	}
	return append(append([]string{}, p.model.dtbs...), p.model.upstream...)
}

// choosePrefix heeds os_prefix only if a kernel and a device tree are there (rule osPrefix).
func (p *plan) choosePrefix() {
	prefix := strings.TrimLeft(p.set.str("os_prefix"), "/")
	if !p.set.has("os_prefix") && p.set.number("upstream_kernel", 0) > 0 {
		prefix = "upstream/"
	}
	if prefix == "" {
		return
	}
	p.prefix = prefix
	kernel := false
	for _, k := range p.wantKernels {
		kernel = kernel || exists(p.fsys, p.path(k.name))
	}
	if !kernel || len(p.wantDTBs) > 0 && firstOf(p.fsys, "", p.paths(p.wantDTBs)) == "" {
		p.prefix = ""
		if p.set.has("os_prefix") {
			p.ignored = prefix
		}
	}
}

func (p *plan) chooseKernel() {
	for _, k := range p.wantKernels {
		if name := p.path(k.name); exists(p.fsys, name) {
			p.kernel, p.bits = name, k.bits
			return
		}
	}
}

// chooseInitramfs takes the files that config.txt names, or the one that is called like the
// kernel if it is there (rule autoInitramfs).
func (p *plan) chooseInitramfs() {
	if len(p.set.initramfs) > 0 {
		p.initramfs = p.paths(p.set.initramfs)
		return
	}
	if p.set.number("auto_initramfs", 0) <= 0 || p.kernel == "" {
		return
	}
	dir, name := "", p.kernel
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		dir, name = name[:i+1], name[i+1:]
	}
	if rest, ok := strings.CutPrefix(name, "kernel"); ok {
		p.autoInitramfs = dir + "initramfs" + strings.TrimSuffix(rest, ".img")
		if exists(p.fsys, p.autoInitramfs) {
			p.initramfs = []string{p.autoInitramfs}
		}
	}
}

// cmdlineName is the name of the command line, as config.txt or the firmware has it.
func (p *plan) cmdlineName() string {
	if name := p.set.str("cmdline"); name != "" {
		return name
	}
	return "cmdline.txt"
}

// chooseCmdline looks below the prefix first (rule cmdlinePrefix).
func (p *plan) chooseCmdline() {
	name := p.cmdlineName()
	p.cmdline = firstOf(p.fsys, "", []string{p.path(name), bootPath(name)})
}

// overlayDir is what stands in front of the names of overlays (rule overlayReadme).
func (p *plan) overlayDir() string {
	dir := "overlays/"
	if p.set.has("overlay_prefix") {
		dir = p.set.str("overlay_prefix")
	}
	if p.prefix != "" && exists(p.fsys, p.prefix+dir+"README") {
		return p.prefix + dir
	}
	return strings.TrimLeft(dir, "/")
}

// overlay returns the file of an overlay, "" if there is none (rule overlays).
func (p *plan) overlay(dir, name string) string {
	names := []string{name + ".dtbo"}
	switch p.model.gen {
	case eeprom2711:
		names = append(names, name+"-pi4.dtbo")
	case eeprom2712:
		names = append(names, name+"-pi5.dtbo")
	}
	if found := firstOf(p.fsys, dir, names); found != "" {
		return dir + found
	}
	return ""
}

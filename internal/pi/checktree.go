// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

const maxDTB = 4 << 20 // bytes of a device tree that are looked at

// checkDeviceTree checks that there is a device tree, that it is one, and that it is for the board.
func (r *run) checkDeviceTree() {
	p := r.plan
	switch {
	case len(p.wantDTBs) == 0:
		r.rep.add(Fail, "devicetree", "%v: device_tree= keeps it away, without which no kernel of today starts",
			p.set.values["device_tree"].at).by("deviceTrees").
			do("take that line out of config.txt")
		return
	case p.dtb == "":
		r.missingTree()
		return
	}
	names, err := r.readTree(p.dtb)
	switch {
	case err != nil:
		r.rep.add(Fail, "devicetree", "%s %s", quote(p.dtb), reason(err)).do("copy it there once more")
	case p.model.gen == eeprom2712 && !names && p.set.number("os_check", 1) > 0:
		r.rep.add(Fail, "devicetree", "%s is not for this board: it names no bcm2712, so that the board stops there",
			quote(p.dtb)).by("osCheck").
			do("use a system that knows the Pi 5; os_check=0 in config.txt would only stop the check")
	case p.dtb != p.path(p.wantDTBs[0]) && !p.isTwin():
		r.rep.add(Warn, "devicetree", "%s, as %s is missing: some devices may not work", quote(p.dtb),
			quote(p.path(p.wantDTBs[0]))).by("deviceTrees")
	default:
		r.rep.add(OK, "devicetree", "%s", quote(p.dtb)).by("deviceTrees")
	}
	r.checkOldCheck()
}

// isTwin reports whether the device tree is as good as the first one: a CM5 has one with eMMC and
// one without, of which a board needs its own.
func (p *plan) isTwin() bool { return p.model.Name == "cm5" && strings.Contains(p.dtb, "cm5l") }

func (r *run) missingTree() {
	p := r.plan
	f := r.rep.add(Fail, "devicetree", "%s is missing", quote(p.path(p.wantDTBs[0]))).by("deviceTrees")
	switch {
	case p.set.str("device_tree") != "":
		f.do("copy it there, or take device_tree= out of config.txt")
	case p.model.gen == eeprom2712:
		f.do("use a system that knows this board; copying the file alone gives it no kernel that does")
	default:
		f.do("copy it there from the system's kernel package; if that has none, the system does not know this board")
	}
}

// checkOldCheck warns of EEPROMs of the CM5 that ask for the Pi 5's device tree.
func (r *run) checkOldCheck() {
	p := r.plan
	if p.model.Name == "cm5" && p.set.str("device_tree") == "" && p.set.number("os_check", 1) > 0 && !exists(r.fsys,
		p.path("bcm2712-rpi-5-b.dtb")) {
		r.rep.add(Warn, "devicetree",
			"a CM5 whose EEPROM is older than 2025-03-27 looks for bcm2712-rpi-5-b.dtb, too, and boots nothing "+
				"without").by("osCheckCM5").
			do("update the EEPROM, or add a line os_check=0 to config.txt")
	}
}

var (
	errNoTree  = errors.New("is no device tree")
	errCutTree = errors.New("is a device tree that is cut off")
)

// readTree reads a device tree blob and reports whether it names the Pi 5's chip. Spec: Devicetree
// Specification 0.4, 5.2 (header: magic, totalsize, both big endian).
func (r *run) readTree(name string) (bcm2712 bool, err error) {
	data, err := readFile(r.fsys, name, maxDTB)
	if err != nil {
		return false, err
	}
	if len(data) < 8 || binary.BigEndian.Uint32(data) != 0xd00dfeed {
		return false, errNoTree
	}
	if total := binary.BigEndian.Uint32(data[4:]); int64(total) > int64(len(data)) {
		return false, errCutTree
	}
	return bytes.Contains(data, []byte("brcm,bcm2712\x00")), nil
}

// checkOverlays checks that the overlays are there which config.txt names, or the board itself.
func (r *run) checkOverlays() {
	p := r.plan
	dir := p.overlayDir()
	var missing []string
	var strayed bool // some are there below os_prefix, where they are not looked for
	for _, o := range p.set.overlays {
		if p.overlay(dir, o.value) != "" {
			continue
		}
		missing = append(missing, quote(o.value))
		strayed = strayed || p.prefix != "" && p.overlay(p.prefix+dir, o.value) != ""
	}
	if p.model.gen == eeprom2712 && p.overlay(dir, "bcm2712d0") == "" {
		r.rep.add(Warn, "overlays",
			"%sbcm2712d0.dtbo is missing, without which newer boards (stepping D0) crash in the "+
				"kernel", dir).by("d0Overlay").
			do("copy it there from the system's kernel package")
		strayed = strayed || p.prefix != "" && p.overlay(p.prefix+dir, "bcm2712d0") != ""
	}
	switch n := len(missing); {
	case n > 0:
		const most = 5
		list := strings.Join(missing[:min(n, most)], ", ")
		if n > most {
			list += ", ..."
		}
		f := r.rep.add(Warn, "overlays", "%d of %d that config.txt names are missing in %s: %s", n,
			len(p.set.overlays), quote(dir), list).by("overlays")
		if strayed {
			f.do("the firmware heeds %s%s only if a file called README is there: make an empty one", p.prefix,
				dir).by("overlayReadme")
		}
	case len(p.set.overlays) > 0:
		r.rep.add(OK, "overlays", "all %d that config.txt names, in %s", len(p.set.overlays),
			quote(dir)).by("overlays")
	}
}

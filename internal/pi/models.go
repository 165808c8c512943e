// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import "strings"

// generation is how a board starts: what loads its firmware, and from where.
type generation int

const (
	bootROM    generation = iota // the ROM fetches bootcode.bin, that start.elf
	eeprom2711                   // the EEPROM fetches start4.elf
	eeprom2712                   // the EEPROM holds the firmware
)

// Model is a board, as far as its firmware treats it differently from others.
type Model struct {
	Name  string // as on the command line: pi4
	Title string // as people call it: Raspberry Pi 4

	gen      generation
	filters  []string // model filters of config.txt that it matches (rule filterModels)
	types    []int64  // its board-type numbers (rule boardTypes)
	dtbs     []string // device trees, the right one first (rule deviceTrees)
	upstream []string // the names that upstream_kernel=1 asks for first (rule upstreamKernel)
}

// Models are the boards that can boot over the network with an NBD root, oldest first.
var Models = []*Model{
	{
		Name: "pi2", Title: "Raspberry Pi 2 v1.2", gen: bootROM, filters: []string{"pi2"}, types: []int64{0x04},
		dtbs:     []string{"bcm2710-rpi-2-b.dtb", "bcm2709-rpi-2-b.dtb"},
		upstream: []string{"bcm2837-rpi-2-b.dtb"},
	},
	{
		Name: "pi3", Title: "Raspberry Pi 3", gen: bootROM, filters: []string{"pi3"}, types: []int64{0x08},
		dtbs:     []string{"bcm2710-rpi-3-b.dtb"},
		upstream: []string{"bcm2837-rpi-3-b.dtb"},
	},
	{
		Name: "pi3+", Title: "Raspberry Pi 3+", gen: bootROM, filters: []string{"pi3", "pi3+"}, types: []int64{0x0d},
		dtbs:     []string{"bcm2710-rpi-3-b-plus.dtb", "bcm2710-rpi-3-b.dtb"},
		upstream: []string{"bcm2837-rpi-3-b-plus.dtb", "bcm2837-rpi-3-b.dtb"},
	},
	{
		Name: "cm3", Title: "Compute Module 3", gen: bootROM, filters: []string{"pi3", "cm3"}, types: []int64{0x0a},
		dtbs:     []string{"bcm2710-rpi-cm3.dtb"},
		upstream: []string{"bcm2837-rpi-cm3-io3.dtb", "bcm2837-rpi-cm3.dtb"},
	},
	{
		Name: "pi4", Title: "Raspberry Pi 4", gen: eeprom2711, filters: []string{"pi4"}, types: []int64{0x11},
		dtbs: []string{"bcm2711-rpi-4-b.dtb"},
	},
	{
		Name: "pi400", Title: "Raspberry Pi 400", gen: eeprom2711, filters: []string{"pi4",
			"pi400"}, types: []int64{0x13},
		dtbs: []string{"bcm2711-rpi-400.dtb", "bcm2711-rpi-4-b.dtb"},
	},
	{
		Name: "cm4", Title: "Compute Module 4", gen: eeprom2711, filters: []string{"pi4",
			"cm4"}, types: []int64{0x14},
		dtbs:     []string{"bcm2711-rpi-cm4.dtb", "bcm2711-rpi-4-b.dtb"},
		upstream: []string{"bcm2711-rpi-cm4-io.dtb"},
	},
	{
		Name: "pi5", Title: "Raspberry Pi 5", gen: eeprom2712, filters: []string{"pi5"}, types: []int64{0x17},
		dtbs: []string{"bcm2712-rpi-5-b.dtb"},
	},
	{
		Name: "pi500", Title: "Raspberry Pi 500", gen: eeprom2712, filters: []string{"pi5",
			"pi500"}, types: []int64{0x19},
		dtbs: []string{"bcm2712-rpi-500.dtb", "bcm2712-rpi-5-b.dtb"},
	},
	{
		Name: "cm5", Title: "Compute Module 5", gen: eeprom2712, filters: []string{"pi5", "cm5"}, types: []int64{0x18,
			0x1a},
		dtbs: []string{"bcm2712-rpi-cm5-cm5io.dtb", "bcm2712-rpi-cm5l-cm5io.dtb"},
	},
}

// otherModels are model filters of boards that are none of Models (rule filterModels).
var otherModels = []string{"none", "pi0", "pi0w", "pi02", "pi1", "cm0", "cm1", "cm3+", "cm4s"}

// ModelNames returns the names of all models, in their order.
func ModelNames() []string {
	var names []string
	for _, m := range Models {
		names = append(names, m.Name)
	}
	return names
}

// FindModel returns the model called name in any capitals, nil if there is none.
func FindModel(name string) *Model {
	for _, m := range Models {
		if strings.EqualFold(m.Name, name) {
			return m
		}
	}
	return nil
}

// kernel64 reports whether the board starts its kernel in 64 bits when config.txt says
// nothing (rule arm64Default).
func (m *Model) kernel64() bool { return m.gen != bootROM }

// kernelName is a file name that the firmware looks for, and the width it starts it in.
type kernelName struct {
	name string
	bits int
}

// defaultKernels are the kernels the board looks for without kernel=, in its order, where
// arm64 is what arm_64bit says: 0, 1, or -1 where it says nothing (rule kernelNames).
func (m *Model) defaultKernels(arm64 int) []kernelName {
	k8 := kernelName{"kernel8.img", 64}
	switch {
	case m.gen == eeprom2712:
		return []kernelName{{"kernel_2712.img", 64}, k8}
	case m.gen == eeprom2711 && arm64 == 0:
		return []kernelName{{"kernel7l.img", 32}}
	case m.gen == bootROM && arm64 == 0:
		return []kernelName{{"kernel7.img", 32}}
	case arm64 == 1:
		return []kernelName{k8}
	case m.gen == eeprom2711:
		return []kernelName{k8, {"kernel7l.img", 32}}
	}
	return []kernelName{{"kernel7.img", 32}, k8}
}

// widths are the names of kernels that say what arm_64bit is where nothing sets it (rule kernelWidth).
var widths = map[string]int{
	"kernel.img": 32, "kernel7.img": 32, "kernel7l.img": 32, "kernel8.img": 64, "kernel_2712.img": 64,
}

// firmwareNames returns the names of the files that hold the board's firmware for a variant
// ("", "x", "db", "cd"), the right ones first (rules startFiles and cutDown). A Pi 5 has none.
func (m *Model) firmwareNames(variant string) (start, fixup []string) {
	switch {
	case m.gen == eeprom2712:
		return nil, nil
	case variant == "" && m.gen == eeprom2711:
		return []string{"start4.elf"}, []string{"fixup4.dat"}
	case variant == "":
		return []string{"start.elf"}, []string{"fixup.dat"}
	case m.gen == bootROM:
		return []string{"start_" + variant + ".elf"}, []string{"fixup_" + variant + ".dat"}
	}
	return []string{"start4" + variant + ".elf", "start_" + variant + ".elf"},
		[]string{"fixup4" + variant + ".dat", "fixup_" + variant + ".dat"}
}

// tftpLimit is the size from which on a file is too large for the board's TFTP client, which
// counts 65535 blocks (rule tftpBlocks); fixed reports whether newer EEPROMs load it.
func (m *Model) tftpLimit() (size int64, fixed bool) {
	if m.gen == bootROM {
		return 65535 * 512, false
	}
	return 65535 * 1468, true
}

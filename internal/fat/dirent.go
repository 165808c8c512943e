// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import (
	"slices"
	"time"
	"unicode/utf16"
)

const direntSize = 32

// First bytes of a directory entry that are not part of a name.
const (
	slotEnd     = 0x00 // this entry and all after it are free
	slotDeleted = 0xE5
	slotKanji   = 0x05 // stands for a name that begins with 0xE5
)

// Attributes of a directory entry.
const (
	attrReadOnly = 0x01
	attrHidden   = 0x02
	attrSystem   = 0x04
	attrVolume   = 0x08
	attrDir      = 0x10
	attrArchive  = 0x20
	attrLong     = 0x0F // of the entries of a long name, with attrLongMask
	attrLongMask = 0x3F
)

// Bits of byte 12: parts of the short name that are shown in lower case.
const (
	lowerBase = 0x08
	lowerExt  = 0x10
)

// dirent is one directory entry as stored. Spec: Microsoft FAT 1.03, "FAT Directory Structure".
type dirent [direntSize]byte

func (d *dirent) rawName() [11]byte { return [11]byte(d[:11]) }
func (d *dirent) attr() byte        { return d[11] }
func (d *dirent) isDir() bool       { return d[11]&attrDir != 0 }
func (d *dirent) isLong() bool      { return d[11]&attrLongMask == attrLong }
func (d *dirent) isVolume() bool    { return d[11]&attrVolume != 0 }
func (d *dirent) created() time.Time {
	if le.Uint16(d[16:]) == 0 {
		return time.Time{}
	}
	return decodeTime(le.Uint16(d[16:]), le.Uint16(d[14:])).Add(time.Duration(d[13]) * createdStep)
}
func (d *dirent) modified() time.Time { return decodeTime(le.Uint16(d[24:]), le.Uint16(d[22:])) }
func (d *dirent) size() uint32        { return le.Uint32(d[28:]) } // bytes; 0 for a directory

// cluster is the first cluster. FAT12 and FAT16 leave the upper half to other uses.
func (d *dirent) cluster(width int) uint32 {
	c := uint32(le.Uint16(d[26:]))
	if width == 32 {
		c |= uint32(le.Uint16(d[20:])) << 16
	}
	return c
}

func (d *dirent) setAttr(attr byte) { d[11] = attr }
func (d *dirent) setSize(n uint32)  { le.PutUint32(d[28:], n) }

// setCluster leaves the upper half alone where it has other uses.
func (d *dirent) setCluster(c uint32, width int) {
	le.PutUint16(d[26:], uint16(c))
	if width == 32 {
		le.PutUint16(d[20:], uint16(c>>16))
	}
}

// createdStep is what the time of creation is cut to.
const createdStep = 10 * time.Millisecond

func (d *dirent) setCreated(t time.Time) {
	date, clock, hundredths := encodeTime(t)
	d[13] = hundredths
	le.PutUint16(d[14:], clock)
	le.PutUint16(d[16:], date)
}

func (d *dirent) setModified(t time.Time) {
	date, clock, _ := encodeTime(t)
	le.PutUint16(d[22:], clock)
	le.PutUint16(d[24:], date)
}

func (d *dirent) setAccessed(t time.Time) {
	date, _, _ := encodeTime(t)
	le.PutUint16(d[18:], date)
}

// isDot reports whether d is the entry "." or "..", which are never listed.
func (d *dirent) isDot() bool {
	n := string(d[:11])
	return n == ".          " || n == "..         "
}

// decodeTime decodes a date and a time of day, in UTC. What is outside the calendar is moved into it.
func decodeTime(date, clock uint16) time.Time {
	month := max(1, min(12, int(date>>5&0x0F)))
	day := max(1, int(date&0x1F))
	return time.Date(1980+int(date>>9), time.Month(month), day,
		min(23, int(clock>>11)), min(59, int(clock>>5&0x3F)), min(59, 2*int(clock&0x1F)), 0, time.UTC)
}

// encodeTime encodes t as a date, a time of day in steps of 2 seconds, and the hundredths of a second
// beyond it. A time outside the years 1980 to 2107 becomes the nearest inside.
func encodeTime(t time.Time) (date, clock uint16, hundredths byte) {
	t = t.UTC()
	if t.Year() < 1980 {
		t = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	} else if t.Year() > 2107 {
		t = time.Date(2107, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	date = uint16(t.Year()-1980)<<9 | uint16(t.Month())<<5 | uint16(t.Day())
	clock = uint16(t.Hour())<<11 | uint16(t.Minute())<<5 | uint16(t.Second()/2)
	return date, clock, byte(t.Second()%2*100 + t.Nanosecond()/1e7)
}

// checksum is the number that ties the entries of a long name to their short entry.
func checksum(short [11]byte) byte {
	var sum byte
	for _, b := range short {
		sum = sum>>1 | sum<<7
		sum += b
	}
	return sum
}

const (
	longChars = 13  // UTF-16 units in one entry of a long name
	maxLong   = 255 // UTF-16 units in a long name
	maxSlots  = 20  // entries of a long name
	lastLong  = 0x40
)

// longOffsets are where the UTF-16 units of a long name's entry stand.
var longOffsets = [longChars]int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}

// longName collects the entries of a long name, which stand in front of the short entry, last part first.
type longName struct {
	units [maxSlots * longChars]uint16
	slots int  // entries of the name; 0: there is no name
	left  int  // entries still to come
	sum   byte // checksum of the short name it belongs to
}

func (l *longName) reset() { l.slots = 0 }

// add takes the next entry of a long name; one out of order ends the name.
func (l *longName) add(d *dirent) {
	seq := int(d[0] &^ lastLong)
	if d[0]&lastLong != 0 {
		l.slots, l.left, l.sum = seq, seq, d[13]
		if seq > maxSlots {
			l.slots = 0
		}
	}
	if l.slots == 0 || seq == 0 || seq != l.left || d[13] != l.sum {
		l.slots = 0
		return
	}
	l.left--
	for i, off := range longOffsets {
		l.units[l.left*longChars+i] = le.Uint16(d[off:])
	}
}

// name returns the long name of the short entry d that follows, "" if it has none. It ends before the first 0, or
// where the 0 is missing, as some writers leave it out, before the padding of 0xFFFF, which no name holds.
func (l *longName) name(d *dirent) string {
	if l.slots == 0 || l.left != 0 || l.sum != checksum(d.rawName()) {
		return ""
	}
	units := l.text()
	if len(units) > maxLong {
		return ""
	}
	return string(utf16.Decode(units))
}

// text returns the units up to the end of the name.
func (l *longName) text() []uint16 {
	units := l.units[:l.slots*longChars]
	if i := slices.IndexFunc(units, func(u uint16) bool { return u == 0 || u == 0xFFFF }); i >= 0 {
		return units[:i]
	}
	return units
}

// longUnits returns the UTF-16 units of a long name.
func longUnits(name string) []uint16 {
	if name == "" {
		return nil
	}
	return utf16.Encode([]rune(name))
}

// longSlots is the number of entries that the units of a long name take in front of its short entry.
func longSlots(units []uint16) int { return (len(units) + longChars - 1) / longChars }

// appendSet appends to b the entries of a file as they are stored: those of its long name, if it has one, last
// part first, then d.
func appendSet(b []byte, units []uint16, d *dirent) []byte {
	n := longSlots(units)
	sum := checksum(d.rawName())
	for seq := n; seq > 0; seq-- {
		l := dirent{0: byte(seq), 11: attrLong, 13: sum}
		if seq == n {
			l[0] |= lastLong
		}
		for i, off := range longOffsets {
			u := uint16(0xFFFF)
			if at := (seq-1)*longChars + i; at < len(units) {
				u = units[at]
			} else if at == len(units) {
				u = 0
			}
			le.PutUint16(l[off:], u)
		}
		b = append(b, l[:]...)
	}
	return append(b, d[:]...)
}

// appendDeleted appends n entries that are free but not the end of the directory.
func appendDeleted(b []byte, n int) []byte {
	for ; n > 0; n-- {
		b = append(b, slotDeleted)
		b = append(b, make([]byte, direntSize-1)...)
	}
	return b
}

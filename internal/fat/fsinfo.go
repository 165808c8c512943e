// SPDX-License-Identifier: GPL-3.0-or-later

package fat

import "bytes"

// fsInfo is the sector of a FAT32 volume that holds the number of free clusters and a hint where they begin.
// Spec: Microsoft FAT 1.03, "FAT32 FSInfo Sector Structure and Backup Boot Sector".
type fsInfo [bootSize]byte

func (i *fsInfo) ok() bool {
	return le.Uint32(i[0:]) == 0x41615252 && le.Uint32(i[484:]) == 0x61417272 && le.Uint32(i[508:]) == 0xAA550000
}

func (i *fsInfo) setFree(n uint32) { le.PutUint32(i[488:], n) }
func (i *fsInfo) setNext(c uint32) { le.PutUint32(i[492:], c) }

// noHint is the hint of a volume without a free cluster.
const noHint = 0xFFFFFFFF

// writeFSInfo writes the number of free clusters and the first of them, in one write, if the volume
// has a place for them.
func (c *commit) writeFSInfo() error {
	if c.v.fsInfo == 0 {
		return nil
	}
	var info fsInfo
	if err := readAt(c.dev, info[:], c.v.fsInfo); err != nil {
		return err
	}
	if !info.ok() {
		return nil
	}
	old := info
	next, ok := c.space.nextFree(2)
	if !ok || next >= c.v.end { // what was freed may not be there
		next = noHint
	}
	info.setFree(uint32(c.free + c.fat.freed))
	info.setNext(next)
	if bytes.Equal(old[:], info[:]) {
		return nil
	}
	return c.writeAt(info[:], c.v.fsInfo)
}

// SPDX-License-Identifier: GPL-3.0-or-later

package partition

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Disk is what a Plan is carried out on.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error // makes all earlier writes durable before any later one
	Truncate(size int64) error
}

// Plan is a change of a disk's size and table that was worked out and checked, and
// can be carried out.
type Plan struct {
	OldSize, NewSize int64       // of the disk in bytes
	Before, After    *Table      // nil if the disk has no table
	Cut              []Partition // those that end past OldSize: what they lost becomes zeros
	NoRoom           string      // of a disk that is left alone, where the backup of its GPT would end; else ""

	ops []op
}

// Repairs reports whether the plan writes a damaged primary GPT anew.
func (p *Plan) Repairs() bool { return p.Before != nil && p.Before.FromBackup && p.Changes() }

// op is one step of a plan.
type op struct {
	kind opKind
	off  int64  // opWrite: where; opSize: the new size
	data []byte // opWrite
	old  []byte // opWrite: what data replaces; shorter where the old disk ends
}

type opKind int

const (
	opWrite opKind = iota
	opSync         // a barrier
	opSize
)

// NewPlan works out how disk d of size bytes, whose table is t, becomes newSize bytes
// long and how partition grow (0 for none) extends to its new end. A nil t is a disk
// without a table. Nothing is written, and nothing is planned if size and partitions
// are to stay, but for a GPT whose primary is damaged, or whose backup is not at the end,
// if it has room there.
// newSize should be a whole number of sectors; what is left over stays unused.
//
// Errors: a table that is damaged, a partition that would be cut off or that cannot
// grow, or the error of d.
func NewPlan(d io.ReaderAt, size int64, t *Table, newSize int64, grow int) (*Plan, error) {
	p := &Plan{OldSize: size, NewSize: newSize, Before: t, After: t}
	next := &overlay{d: d, size: size, end: max(size, newSize), plan: p}
	if t == nil {
		next.grow()
		next.shrink()
		return p, nil
	}
	if newSize == size && grow == 0 && !t.needsRepair(d, size) {
		if t.Scheme == GPT && t.minSize() > size {
			p.NoRoom = fmt.Sprintf("at byte %d, past the end of the image", t.minSize())
		}
		return p, nil
	}
	if t.Damage != nil {
		return nil, t.Damage
	}
	var err error
	if p.Cut, err = t.sound(size, newSize); err != nil {
		return nil, err
	}
	if least := t.minSize(); newSize < least && newSize < size {
		return nil, fmt.Errorf("the image cannot be smaller than %d bytes: %s", least, t.tail())
	}
	switch t.Scheme {
	case MBR:
		err = t.planMBR(next, grow)
	case GPT:
		err = t.planGPT(next, grow)
	}
	if err != nil {
		return nil, err
	}
	next.shrink()
	next.end = newSize
	p.After, err = ReadUnit(next, newSize, t.SectorSize)
	if err != nil {
		return nil, fmt.Errorf("the new table would not be readable: %w", err)
	}
	return p, p.check(grow)
}

// check compares the table as it will be read with what was wanted of it.
func (p *Plan) check(grow int) error {
	same := func(a, b Partition) bool {
		if a.Num == grow && b.Size > a.Size {
			b.Size = a.Size
		}
		return a == b
	}
	if p.After.Damage != nil || !slices.EqualFunc(p.Before.Partitions, p.After.Partitions, same) {
		return fmt.Errorf("%w: its entries overlap each other on the disk", ErrCorrupt)
	}
	return nil
}

// sound returns an error if partitions overlap, or if one is not whole on the disk of
// size bytes and will not be when that has newSize bytes: it would hide what was lost.
// Without an error it returns the partitions that are cut. One that starts at sector 0
// may hold others: images that are a CD as well as a disk have their whole file system so.
func (t *Table) sound(size, newSize int64) (cut []Partition, err error) {
	byStart := func(a, b Partition) int { return cmp.Compare(a.Start, b.Start) }
	parts := slices.SortedFunc(slices.Values(t.Partitions), byStart)
	for i, p := range parts {
		if i > 0 && p.Start < parts[i-1].End() && parts[i-1].Start > 0 {
			return nil, fmt.Errorf("partitions %d and %d overlap: correct the table with sfdisk first",
				parts[i-1].Num, p.Num)
		}
		if p.End() <= size {
			continue
		}
		if p.End() > newSize {
			return nil, fmt.Errorf("partition %d ends at byte %d, but the image has only %d: "+
				"copy it again, or grow it to at least %d bytes", p.Num, p.End(), size, t.minSize())
		}
		cut = append(cut, p)
	}
	return cut, nil
}

// minSize returns the smallest size in bytes that a disk with this table can have: the
// end of the last partition, and for a GPT what its backup needs after that.
func (t *Table) minSize() int64 {
	end := t.SectorSize
	for _, p := range t.Partitions {
		end = max(end, p.End())
	}
	for _, p := range t.primaries {
		end = max(end, p.end()*t.SectorSize)
	}
	if t.gpt != nil {
		end = max(end, t.gpt.header.firstUsable()*t.SectorSize)
		end += (t.gpt.arraySectors() + 1) * t.SectorSize
	}
	return end
}

// tail says what ends at minSize.
func (t *Table) tail() string {
	last, ok := t.last()
	switch {
	case !ok:
		return "that is what the partition table needs"
	case t.Scheme == GPT:
		return fmt.Sprintf("partition %d and the backup of the table end there", last.Num)
	case last.End() < t.minSize():
		return "an extended partition ends there"
	}
	return fmt.Sprintf("partition %d ends there", last.Num)
}

// last returns the partition that is last on the disk.
func (t *Table) last() (last Partition, ok bool) {
	for _, p := range t.Partitions {
		if !ok || p.End() > last.End() {
			last, ok = p, true
		}
	}
	return last, ok
}

// Changes reports whether the plan does anything.
func (p *Plan) Changes() bool { return len(p.ops) > 0 }

// Apply carries the plan out. If a step fails it puts everything back as it was, the
// size too; should that fail as well, what is there is one of the states below.
//
// The steps in order, and what a cut after each leaves:
//
//  1. The disk is made longer (a damaged primary GPT is repaired before that). The old
//     table, which does not need the end.
//  2. The writes of the plan, see planMBR and planGPT: the old table or the new.
//  3. The disk is made shorter. The new table, which does not need the old end.
//
// All is durable when Apply returns.
func (p *Plan) Apply(d Disk) error {
	for i, o := range p.ops {
		if err := o.apply(d); err != nil {
			return p.undo(d, i, err)
		}
	}
	return nil
}

func (o op) apply(d Disk) error {
	switch o.kind {
	case opSync:
		return d.Sync()
	case opSize:
		return d.Truncate(o.off)
	}
	n, err := d.WriteAt(o.data, o.off)
	if err == nil && n < len(o.data) {
		err = io.ErrShortWrite
	}
	return err
}

// undo takes the steps up to and including number n back after err, which it returns.
// It stops at what cannot be put back: a disk whose table may be the new one keeps the
// new size. Bytes that were cut off are not missed, so a disk that became shorter stays.
func (p *Plan) undo(d Disk, n int, err error) error {
	for i := n; i >= 0; i-- {
		var rerr error
		switch o := p.ops[i]; {
		case o.kind == opWrite:
			rerr = o.restore(d)
		case o.kind == opSize && p.NewSize > p.OldSize:
			rerr = d.Truncate(p.OldSize)
		case o.kind == opSize && i < n:
			return err
		}
		if rerr != nil {
			return fmt.Errorf("%w; what was there before could not be restored: %w", err, rerr)
		}
	}
	return err
}

// restore writes the old bytes unless they are there.
func (o op) restore(d Disk) error {
	now, err := readAt(d, o.off, int64(len(o.old)))
	if err == nil && bytes.Equal(now, o.old) {
		return nil
	}
	return op{kind: opWrite, off: o.off, data: o.old}.apply(d)
}

// overlay is the disk as it will be when the operations of a plan are done: d, which
// is size bytes long, followed by zeros up to end.
type overlay struct {
	d         io.ReaderAt
	size, end int64
	plan      *Plan
}

// ReadAt reads as io.ReaderAt says.
func (v *overlay) ReadAt(p []byte, off int64) (int, error) {
	if off >= v.end {
		return 0, io.EOF
	}
	var eof error
	if room := v.end - off; int64(len(p)) > room {
		p, eof = p[:room], io.EOF
	}
	if err := v.readOld(p, off); err != nil {
		return 0, err
	}
	for _, o := range v.plan.ops {
		from, to := max(off, o.off), min(off+int64(len(p)), o.off+int64(len(o.data)))
		if o.kind == opWrite && from < to {
			copy(p[from-off:to-off], o.data[from-o.off:])
		}
	}
	return len(p), eof
}

// readOld fills p from the disk as it is, and with zeros past its end.
func (v *overlay) readOld(p []byte, off int64) error {
	clear(p)
	n := min(int64(len(p)), v.size-off)
	if n <= 0 {
		return nil
	}
	old, err := readAt(v.d, off, n)
	copy(p, old)
	return err
}

// write adds a write to the plan, unless the bytes are there already.
func (v *overlay) write(off int64, data []byte) error {
	now := make([]byte, len(data))
	if _, err := v.ReadAt(now, off); err != nil {
		return err
	}
	if bytes.Equal(now, data) {
		return nil
	}
	old := now[:max(0, min(int64(len(now)), v.size-off))]
	v.plan.ops = append(v.plan.ops, op{opWrite, off, data, old})
	return nil
}

// barrier adds a sync to the plan, if there is something to sync.
func (v *overlay) barrier() {
	if ops := v.plan.ops; len(ops) > 0 && ops[len(ops)-1].kind != opSync {
		v.plan.ops = append(ops, op{kind: opSync})
	}
}

// grow adds the step that makes the disk longer, if it is to become so.
func (v *overlay) grow() {
	if v.plan.NewSize > v.plan.OldSize {
		v.plan.ops = append(v.plan.ops, op{kind: opSize, off: v.plan.NewSize})
	}
}

// shrink makes what was planned durable, and then the disk shorter, if it is to become so.
func (v *overlay) shrink() {
	v.barrier()
	if v.plan.NewSize < v.plan.OldSize {
		v.plan.ops = append(v.plan.ops, op{kind: opSize, off: v.plan.NewSize}, op{kind: opSync})
	}
}

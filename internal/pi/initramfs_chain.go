// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
)

const (
	inputSize   = 128 << 10 // bytes of the buffer of an input
	maxArchives = 100       // generators make up to four
)

// chain reads the archives of an initramfs one after another.
type chain struct {
	ctx      context.Context
	opt      InitramfsOptions
	in       *Initramfs
	file     *input // what is read, packed
	names    *names
	entries  int
	unpacked int64
	limit    struct { // of entries and of unpacked
		entries  int
		unpacked int64
	}
	archive *Archive // the one that is being read, the last of in.Archives
}

func newChain(ctx context.Context, r io.Reader, opt InitramfsOptions) *chain {
	c := &chain{ctx: ctx, opt: opt, in: &Initramfs{Junk: -1}, file: newInput(ctx, r), names: newNames()}
	c.limit.entries, c.limit.unpacked = maxEntries, maxUnpacked
	c.file.src.more = c.report
	return c
}

// read reads the chain to its end, to junk or to an error. As the kernel does, it passes
// over zeros, takes a '0' at a multiple of four for a cpio archive, and anything else for
// a compressed one.
func (c *chain) read() error {
	for {
		if err := c.file.skipZeros(nil); err == io.EOF {
			return c.atEnd()
		} else if err != nil {
			return c.file.src.failure(err)
		}
		format := detect(c.file)
		if format == "" && len(c.in.Archives) > 0 {
			c.in.Junk = c.file.offset()
			return nil
		}
		c.begin(format)
		if len(c.in.Archives) > maxArchives {
			return c.failure(unreadable("there are more archives before it than any initramfs has"))
		}
		err := c.readArchive(format)
		c.archive.Packed = c.file.offset() - c.archive.Offset
		if err != nil {
			return c.failure(err)
		}
		if c.in.Junk >= 0 {
			return nil
		}
	}
}

// atEnd returns the error of a chain without an archive.
func (c *chain) atEnd() error {
	if len(c.in.Archives) > 0 {
		return nil
	}
	if c.file.offset() == 0 {
		return &DamageError{Reason: "an empty file"}
	}
	return &DamageError{Reason: "nothing but zeros"}
}

func (c *chain) begin(format string) {
	c.in.Archives = append(c.in.Archives, Archive{Offset: c.file.offset(), Format: format})
	c.archive = &c.in.Archives[len(c.in.Archives)-1]
	c.report()
}

// failure makes the error of a chain out of what went wrong in an archive: what failed
// outside of it, the file or the context, goes unchanged.
func (c *chain) failure(err error) error {
	if outer := c.file.src.err; outer != nil {
		return outer
	}
	if ctxErr := c.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	var unread unreadable
	switch {
	case errors.Is(err, ErrTooLarge):
		return err
	case errors.As(err, &unread):
		return &UnreadError{Archive: *c.archive, Reason: string(unread)}
	}
	return &DamageError{Archive: *c.archive, Reason: short(err).Error()}
}

// readArchive reads one archive of the file.
func (c *chain) readArchive(format string) error {
	switch format {
	case "":
		head, _ := c.file.Peek(6)
		return fmt.Errorf("no initramfs: neither a cpio archive nor a compressed one, it begins with %q", head)
	case formatCPIO:
		return c.readEntries(c.file)
	}
	d, err := newDecoder(format, c.file)
	if err != nil {
		return err
	}
	junk, err := c.readPacked(newInput(c.ctx, d))
	d.Close()
	if junk {
		c.in.Junk = c.file.offset()
	}
	return err
}

// readPacked reads what one compressed archive holds: one cpio archive or several, with
// zeros between and after them. It stops at junk, and reports whether there was some.
func (c *chain) readPacked(in *input) (junk bool, err error) {
	for {
		if err := c.readEntries(in); err != nil {
			return false, err
		}
		if err := in.skipZeros(c.spend); err == io.EOF {
			return false, nil
		} else if err != nil {
			return false, err
		}
		if head, _ := in.Peek(1); head[0] != '0' || in.offset()%4 != 0 {
			return true, nil
		}
	}
}

// readEntries reads one cpio archive up to and with its trailer.
func (c *chain) readEntries(in *input) error {
	c.names.newArchive()
	for {
		h, err := readCPIO(in)
		if err != nil {
			return err
		}
		head := cpioHeaderSize + h.nameSize
		if err := c.spend(head + pad4(head) + h.size + pad4(h.size)); err != nil {
			return err
		}
		if h.name == cpioTrailer {
			return in.skip(h.size + pad4(h.size))
		}
		if c.entries++; c.entries > c.limit.entries {
			return ErrTooLarge
		}
		c.archive.Entries++
		in.summing, in.sum = h.crc && h.size > 0 && h.mode&modeType == modeRegular, 0
		err = c.names.add(h, in)
		if in.summing && err == nil && in.sum != h.check {
			err = fmt.Errorf("wrong checksum of %q", h.name)
		}
		if in.summing = false; err != nil {
			return err
		}
	}
}

// spend counts n bytes as unpacked, and fails past the limit.
func (c *chain) spend(n int64) error {
	c.unpacked += n
	c.archive.Unpacked += n
	if c.unpacked > c.limit.unpacked {
		return ErrTooLarge
	}
	return nil
}

// report reports how far it is.
func (c *chain) report() {
	if c.opt.Progress != nil && c.archive != nil {
		c.opt.Progress(Progress{Format: c.archive.Format, Read: c.file.src.n})
	}
}

// input is a buffered reader that knows how far it is.
type input struct {
	*bufio.Reader
	src     *source
	summing bool   // Read and skip add up what they pass
	sum     uint32 // of the bytes that were passed
}

func newInput(ctx context.Context, r io.Reader) *input {
	src := &source{ctx: ctx, r: r}
	return &input{Reader: bufio.NewReaderSize(src, inputSize), src: src}
}

// offset returns how many bytes were taken from in.
func (in *input) offset() int64 { return in.src.n - int64(in.Buffered()) }

// Read implements io.Reader.
func (in *input) Read(p []byte) (int, error) {
	n, err := in.Reader.Read(p)
	if in.summing {
		for _, b := range p[:n] {
			in.sum += uint32(b)
		}
	}
	return n, err
}

// skip passes over n bytes.
func (in *input) skip(n int64) error {
	if in.summing {
		_, err := io.CopyN(io.Discard, in, n)
		return short(err)
	}
	for n > 0 {
		k, err := in.Discard(int(min(n, 1<<30)))
		if n -= int64(k); err != nil {
			return short(err)
		}
	}
	return nil
}

// skipZeros passes over zeros, and calls spend, if there is one, with how many. It returns
// io.EOF at the end.
func (in *input) skipZeros(spend func(int64) error) error {
	for {
		if _, err := in.Peek(1); err != nil {
			return err
		}
		buffered, _ := in.Peek(in.Buffered())
		n := 0
		for n < len(buffered) && buffered[n] == 0 {
			n++
		}
		in.Discard(n)
		if n == 0 {
			return nil
		}
		if spend == nil {
			continue
		}
		if err := spend(int64(n)); err != nil {
			return err
		}
	}
}

// source is a reader that heeds a context and counts. It remembers what failed, so that this is kept
// apart from what a decompressor above it says of its data.
type source struct {
	ctx  context.Context
	r    io.Reader
	n    int64  // bytes read
	err  error  // other than io.EOF
	more func() // called after each read, if set
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		s.err = err
		return 0, err
	}
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	if s.more != nil {
		s.more()
	}
	return n, err
}

// failure returns what failed in s, else err.
func (s *source) failure(err error) error {
	if s.err != nil {
		return s.err
	}
	return err
}

package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Row is one row's values in the order of the table's columns.
type Row []any

// What one page of rows holds at most. The second bounds memory where rows are
// long; a page always takes one row.
const (
	PageRows  = 10_000
	pageBytes = 8 << 20
)

// Page gathers rows while they are read.
type Page struct {
	Rows  []Row
	bytes int
}

// Add takes a row in and reports whether there is room for another.
func (p *Page) Add(r Row) bool {
	p.Rows = append(p.Rows, r)
	for _, v := range r {
		switch v := v.(type) {
		case string:
			p.bytes += len(v)
		case []byte:
			p.bytes += len(v)
		}
		p.bytes += 32
	}
	return len(p.Rows) < PageRows && p.bytes < pageBytes
}

// Check reports what is wrong with a row that an engine has read.
func (t *Table) Check(r Row) error {
	for i, c := range t.Columns {
		ok := false
		switch v := r[i].(type) {
		case nil:
			ok = c.Null
		case int64:
			ok = c.Type == Integer
		case string:
			ok = c.Type == Text
		case bool:
			ok = c.Type == Bool
		case []byte:
			ok = v != nil && (c.Type == Bytes || c.Type == ID && len(v) == 16)
		}
		if !ok {
			return fmt.Errorf("%s.%s of row %s is no value of its column", t.Name, c.Name, t.key(r))
		}
	}
	return nil
}

// key renders a row's key for people. Only names and numbers are in keys.
func (t *Table) key(r Row) string {
	text := ""
	for _, v := range r[:t.Key] {
		if text != "" {
			text += "/"
		}
		if b, ok := v.([]byte); ok {
			text += fmt.Sprintf("%x", b)
			continue
		}
		text += fmt.Sprint(v)
	}
	return text
}

// Digest is of a set of rows, in whatever order they came: how many they are, and
// the sum of the first 128 bits of the SHA-256 of each.
type Digest struct {
	Rows   int64
	hi, lo uint64
}

// add takes a row in. b is for it to write in, and is returned.
func (d *Digest) add(b []byte, r Row) []byte {
	b = b[:0]
	for _, v := range r {
		switch v := v.(type) {
		case nil:
			b = append(b, 'n')
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v))
		case bool:
			if v {
				b = append(b, 't')
			} else {
				b = append(b, 'f')
			}
		case string:
			b = append(binary.BigEndian.AppendUint64(append(b, 's'), uint64(len(v))), v...)
		case []byte:
			b = append(binary.BigEndian.AppendUint64(append(b, 'b'), uint64(len(v))), v...)
		}
	}
	sum := sha256.Sum256(b)
	var carry uint64
	d.lo, carry = bits.Add64(d.lo, binary.BigEndian.Uint64(sum[8:]), 0)
	d.hi, _ = bits.Add64(d.hi, binary.BigEndian.Uint64(sum[:]), carry)
	d.Rows++
	return b
}

// String implements [fmt.Stringer].
func (d Digest) String() string { return fmt.Sprintf("%d:%016x%016x", d.Rows, d.hi, d.lo) }

package directory

import "roster/internal/id"

// DefaultPage and MaxPage bound how many things one page holds.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// Page asks for part of a list by keyset: at most Limit things after the one
// the previous page ended with, so that the thousandth page costs what the first
// does. The zero After is the start; the zero Limit is [DefaultPage].
//
// At keeps the pages of a list of memberships to one moment: given the At of the
// first page, the others are of the same revision and instant. Of keeps them to one
// list likewise: an address or an external id may have come to mean another, and a
// page of that one is refused.
type Page struct {
	After int64
	Limit int
	At    When
	Of    Edge
}

// keeps refuses a page that would be of something else than the first was.
func (p Page) keeps(of Edge) error {
	if p.Of != (Edge{}) && p.Of != of {
		return errMoved
	}
	return nil
}

var errMoved = &Error{Kind: Invalid, Code: "cursor.foreign", Detail: "What was named so when the list began is not what is named so now; start again."}

// Or returns p as of a moment, unless it is of one already: a page that a cursor
// asks for keeps to the moment of the first.
func (p Page) Or(at When) Page {
	if p.At.IsZero() {
		p.At = at
	}
	return p
}

func (p Page) limit() int {
	switch {
	case p.Limit <= 0:
		return DefaultPage
	case p.Limit > MaxPage:
		return MaxPage
	}
	return p.Limit
}

// number is After in a list by number: one that is out of range ends the list
// and does not begin it again.
func (p Page) number() id.Number {
	return id.Number(min(max(p.After, 0), int64(id.MaxNumber)))
}

// Found is one page of a list. Next is the After of the following page, or 0 at
// the end. At is the moment that a list of memberships is of, From the other one
// of a diff, Of which group or member or both, and Total how many entries it has in
// all if that was asked for.
type Found[T any] struct {
	Items []T
	Next  int64
	At    When
	From  When
	Of    Edge
	Total int64
}

// found cuts items, of which one more than limit were read, down to a page.
func found[T any](items []T, limit int, key func(T) int64) Found[T] {
	if len(items) <= limit {
		return Found[T]{Items: items}
	}
	items = items[:limit]
	return Found[T]{Items: items, Next: key(items[limit-1])}
}

package directory

import (
	"errors"
	"slices"
)

// alone is a batch in which an item that is refused costs the others nothing,
// whoever refuses it: a rule such as [ErrLastAdmin], or the store. The batch is
// tried whole; if it is refused it is halved, and its halves are tried, until
// the items that are refused stand alone. So a batch of which nothing is refused
// takes one try, and that one is no part of the transaction but its whole.
type alone struct {
	*tx
	standing Standing
	keep     bool
	failures int
}

// maxFailures is how many tries of one batch may fail. One that fails more often
// is refused with what failed last, because then it is not about some items.
const maxFailures = 256

func (a *alone) change(add, remove []item) ([]Result, error) {
	if !a.inParts {
		results, err := a.tx.change(add, remove, Each, a.standing, a.keep)
		if err != nil && !errors.Is(err, Unavailable) {
			err = errInParts
		}
		return results, err
	}
	var results []Result
	err := a.Try(func() (err error) {
		// Each try marks its items, and none may see the marks of another.
		results, err = a.tx.change(slices.Clone(add), slices.Clone(remove), Each, a.standing, a.keep)
		return err
	})
	if err == nil {
		return results, nil
	}
	if a.failures++; a.failures > maxFailures || errors.Is(err, Unavailable) {
		return nil, err
	}
	switch n, m := len(add), len(remove); {
	case n+m == 1:
		only := slices.Concat(add, remove)[0]
		return []Result{{Outcome: Bad, Edge: only.edge, Problem: problemOf(err)}}, nil
	case n > 0 && m > 0: // additions come first here too
		return a.both(add, nil, nil, remove)
	case n > 0:
		return a.both(add[:n/2], nil, add[n/2:], nil)
	default:
		return a.both(nil, remove[:m/2], nil, remove[m/2:])
	}
}

// both changes two parts of a batch, one after the other.
func (a *alone) both(add1, remove1, add2, remove2 []item) ([]Result, error) {
	first, err := a.change(add1, remove1)
	if err != nil {
		return nil, err
	}
	second, err := a.change(add2, remove2)
	return append(first, second...), err
}

// problemOf is what an item of a batch says that failed with err.
func problemOf(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Err: err}
}

package syncano

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"roster/internal/id"
)

// defaultPage is how many objects a page holds unless fewer are asked for, and
// the most there can be (section 3.1).
const defaultPage = 100

// paging is what a request says about the page it wants.
type paging struct {
	size       int
	descending bool
	forward    bool // or direction is not given
	directed   bool // direction is given
	last       int64
	limited    bool // last is given
	carried    url.Values
}

// readPaging reads the parameters of a list. Without a direction last_pk is
// ignored, whatever it says.
func readPaging(query map[string]string) (paging, error) {
	p := paging{size: defaultPage, forward: true, carried: url.Values{}}
	if text, given := query["page_size"]; given {
		if text == "" || strings.Trim(text, "0123456789") != "" {
			return p, errPage
		}
		n, err := strconv.Atoi(text)
		if err != nil || n > defaultPage {
			n = defaultPage
		}
		p.size = n
		p.carried.Set("page_size", text)
	}
	if text, given := query["ordering"]; given {
		p.descending = strings.EqualFold(text, "desc")
		p.carried.Set("ordering", text)
	}
	direction, given := query["direction"]
	if !given {
		return p, nil
	}
	if direction != "0" && direction != "1" {
		return p, errPage
	}
	p.directed, p.forward = true, direction == "1"
	if text, given := query["last_pk"]; given {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil || n > uint64(id.MaxNumber) {
			return p, errPage
		}
		p.last, p.limited = int64(n), true
	}
	return p, nil
}

// envelope is the answer of a list.
type envelope struct {
	Next         *string `json:"next"`
	Prev         *string `json:"prev"`
	Objects      []any   `json:"objects"`
	ObjectsCount *int64  `json:"objects_count,omitempty"`
}

// source yields at most limit items of a list, by ascending cursor above after,
// or by descending cursor below it; 0 is from the end.
type source[T any] func(after int64, descending bool, limit int) ([]T, error)

// page is one page of a list with what leads to its neighbours.
type page[T any] struct {
	items      []T
	next, prev *string
}

// read gets the page from a source, and makes its links as the original did: a
// full page has a next one, even if nothing follows.
func read[T any](p paging, path string, cursor func(T) int64, from source[T]) (page[T], error) {
	var out page[T]
	if p.size == 0 {
		return out, nil
	}
	down := p.descending == p.forward
	if p.limited && p.last == 0 && down {
		// Nothing is below 0, where a source would start from the end.
	} else {
		var err error
		if out.items, err = from(p.last, down, p.size); err != nil {
			return out, err
		}
	}
	if !p.forward {
		slices.Reverse(out.items)
	}
	full := len(out.items) == p.size
	if full {
		out.next = p.link(path, "1", cursor(out.items[len(out.items)-1]))
	} else if !p.forward {
		out.next = &path
	}
	if p.directed {
		switch {
		case p.forward && len(out.items) == 0:
			out.prev = p.link(path, "0", -1)
		case p.forward || full:
			out.prev = p.link(path, "0", cursor(out.items[0]))
		}
	}
	return out, nil
}

// link leads to the neighbour of a page in a direction, from an object on; from
// the end if last is negative. Only these parameters are carried (section 3.1).
func (p paging) link(path, direction string, last int64) *string {
	var b strings.Builder
	b.WriteString(path)
	b.WriteByte('?')
	for _, name := range []string{"page_size", "ordering"} {
		if p.carried.Has(name) {
			b.WriteString(name + "=" + url.QueryEscape(p.carried.Get(name)) + "&")
		}
	}
	b.WriteString("direction=" + direction)
	if last >= 0 {
		b.WriteString("&last_pk=" + strconv.FormatInt(last, 10))
	}
	s := b.String()
	return &s
}

// few is the source of a list that is at hand, in ascending order.
func few[T any](all []T, cursor func(T) int64) source[T] {
	return func(after int64, descending bool, limit int) ([]T, error) {
		var out []T
		if descending {
			for _, item := range slices.Backward(all) {
				if (after == 0 || cursor(item) < after) && len(out) < limit {
					out = append(out, item)
				}
			}
			return out, nil
		}
		for _, item := range all {
			if cursor(item) > after && len(out) < limit {
				out = append(out, item)
			}
		}
		return out, nil
	}
}

// writePage answers with a page whose items were made into objects.
func writePage[T, V any](w http.ResponseWriter, v *visit, p page[T], objects []V) {
	out := envelope{Next: p.next, Prev: p.prev, Objects: make([]any, len(objects))}
	for i, o := range objects {
		out.Objects[i] = o
	}
	v.writeList(w, out)
}

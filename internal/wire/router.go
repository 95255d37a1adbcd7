package wire

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Slash says what a trailing slash means to a dialect.
type Slash uint8

// What a dialect may make of a trailing slash. None ever answers a redirect:
// clients turn a redirected POST into a GET and report success.
const (
	SlashForbidden Slash = iota // /x/ is another path than /x
	SlashRequired               // patterns end in a slash, and so must paths
	SlashOptional               // /x/ is /x
)

// Paths says how a dialect reads paths.
type Paths struct {
	Slash    Slash
	Collapse bool // // is /
	FoldCase bool // the literal parts match in any letter case
}

// Router finds the handler for a method and a path. It looks at the escaped
// path, segment by segment, so that an encoded slash stays inside its segment,
// a plus stays a plus, and nothing is cleaned away. Patterns are like
// [http.ServeMux]'s, without hosts and wildcards of several segments; a literal
// segment goes before a parameter. Parameters are read with
// [http.Request.PathValue]. A Router is made once and then only read.
type Router struct {
	paths Paths
	root  node

	// NotFound and MethodNotAllowed answer what no pattern does; allow lists
	// the methods of the path.
	NotFound         http.Handler
	MethodNotAllowed func(allow []string) http.Handler
}

type node struct {
	literal  map[string]*node
	param    *node
	handlers map[string]target
}

type target struct {
	names   []string
	handler http.Handler
}

// NewRouter returns a router without patterns.
func NewRouter(p Paths) *Router { return &Router{paths: p} }

// Handle registers a handler for a pattern such as "GET /users/{user}". It
// panics if the pattern is malformed or taken: patterns are written in code.
func (rt *Router) Handle(method, pattern string, h http.Handler) {
	segments, ok := rt.split(nil, pattern)
	if !ok || !strings.HasPrefix(pattern, "/") {
		panic("wire: pattern " + pattern + " does not suit the dialect's slashes")
	}
	n := &rt.root
	var names []string
	for _, s := range segments {
		if strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}") {
			names = append(names, s[1:len(s)-1])
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
			continue
		}
		if rt.paths.FoldCase {
			s = strings.ToLower(s)
		}
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		if n.literal[s] == nil {
			n.literal[s] = &node{}
		}
		n = n.literal[s]
	}
	if n.handlers == nil {
		n.handlers = map[string]target{}
	}
	if _, taken := n.handlers[method]; taken {
		panic("wire: two handlers for " + method + " " + pattern)
	}
	n.handlers[method] = target{names, h}
}

// split appends the parts of an escaped path to a list; false if its slashes do
// not suit.
func (rt *Router) split(list []string, path string) ([]string, bool) {
	path = strings.TrimPrefix(path, "/")
	if rt.paths.Slash == SlashRequired {
		if path == "" {
			return list, true
		}
		if !strings.HasSuffix(path, "/") {
			return nil, false
		}
		path = path[:len(path)-1]
	}
	segments := slices.AppendSeq(list, strings.SplitSeq(path, "/"))
	if rt.paths.Collapse {
		segments = slices.DeleteFunc(segments, func(s string) bool { return s == "" })
	} else if n := len(segments); rt.paths.Slash == SlashOptional && n > 1 && segments[n-1] == "" {
		segments = segments[:n-1]
	}
	return segments, true
}

// find walks down to the node of a path; values are the decoded parameters.
func (n *node) find(segments []string, fold bool, values []string) (*node, []string) {
	if len(segments) == 0 {
		if n.handlers == nil {
			return nil, nil
		}
		return n, values
	}
	literal := segments[0]
	if fold {
		literal = strings.ToLower(literal)
	}
	if next := n.literal[literal]; next != nil {
		if found, v := next.find(segments[1:], fold, values); found != nil {
			return found, v
		}
	}
	if n.param == nil || segments[0] == "" {
		return nil, nil
	}
	value, err := url.PathUnescape(segments[0])
	if err != nil {
		return nil, nil
	}
	return n.param.find(segments[1:], fold, append(values, value))
}

// ServeHTTP answers with the handler of the path and method. HEAD falls back to
// GET.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, h := rt.match(r, r.Method, r.URL.EscapedPath())
	if n != nil && h == nil && r.Method == http.MethodHead {
		n, h = rt.match(r, http.MethodGet, r.URL.EscapedPath())
	}
	switch {
	case n == nil:
		h = rt.NotFound
	case h == nil:
		h = rt.MethodNotAllowed(n.methods())
	}
	h.ServeHTTP(w, r)
}

// match finds the node of a path, nil if there is none, and its handler for a
// method, nil if there is none; with both it sets the path's parameters on r.
func (rt *Router) match(r *http.Request, method, escapedPath string) (*node, http.Handler) {
	// Room for what routes have; a longer path finds room elsewhere.
	var parts [12]string
	var params [4]string
	segments, ok := rt.split(parts[:0], escapedPath)
	if !ok {
		return nil, nil
	}
	n, values := rt.root.find(segments, rt.paths.FoldCase, params[:0])
	if n == nil {
		return nil, nil
	}
	t, ok := n.handlers[method]
	if !ok {
		return n, nil
	}
	for i, name := range t.names {
		r.SetPathValue(name, values[i])
	}
	return n, t.handler
}

func (n *node) methods() []string {
	methods := make([]string, 0, len(n.handlers))
	for m := range n.handlers {
		methods = append(methods, m)
	}
	slices.Sort(methods)
	return methods
}

// Lookup finds the handler of a method and path and sets the path's parameters
// on r, for dialects whose method is inside the body. allow lists the methods of
// the path, nil if there is no such path.
func (rt *Router) Lookup(r *http.Request, method, escapedPath string) (h http.Handler, allow []string) {
	n, h := rt.match(r, method, escapedPath)
	if n == nil {
		return nil, nil
	}
	return h, n.methods()
}
